"""The HTTP face of the Nomad stand-in: a pure router, a threaded server around it, and a way in without sockets."""
