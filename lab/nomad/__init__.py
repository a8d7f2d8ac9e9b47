"""A stand-in for a Nomad cluster: one model driven by a clock, an HTTP face in front of it."""
