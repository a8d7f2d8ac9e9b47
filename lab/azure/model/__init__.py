"""The deterministic model: time is handed in, nothing waits, nothing reads a socket."""
