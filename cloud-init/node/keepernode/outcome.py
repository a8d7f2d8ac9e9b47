"""What a run of the program came to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Outcome:
    """What a run changed, and what it left for later with the reason."""

    changed: list[str] = field(default_factory=list[str])
    pending: list[str] = field(default_factory=list[str])

    def add(self, more: Outcome) -> None:
        """Take in what another step did."""
        self.changed += more.changed
        self.pending += more.pending
