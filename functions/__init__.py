"""The doors: parse, then enqueue or answer. No decision is made here."""
