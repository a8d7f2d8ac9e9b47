"""Days of a cluster, one file each: what happens, and what must hold at the end."""
