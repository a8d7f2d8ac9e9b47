"""The pure part: what the keeper knows and how it decides. Standard library only; no clock, no I/O, no logging."""
