"""The adapter to Nomad's HTTP API. It translates; it never decides."""
