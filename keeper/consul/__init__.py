"""The adapter to Consul's HTTP API. It translates; it never decides."""
