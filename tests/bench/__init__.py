"""What is promised in figures, measured. `make bench` writes build/bench.json."""
