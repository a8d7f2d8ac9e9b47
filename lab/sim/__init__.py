"""The real controllers, with the real adapters, on a fake clock: hours of a cluster in a second, repeatable by its seed."""
