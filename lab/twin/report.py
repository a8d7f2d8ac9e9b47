"""What the twin found out: one line each as it happens, and all of them in `build/twin.json`."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

from lab.clock import wall_clock

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path


class Broken(Exception):
    """Something did not hold that must."""


@dataclass(frozen=True, slots=True)
class Line:
    """One statement, whether it holds, seconds since the start, and what was seen."""

    what: str
    holds: bool
    at: float
    seen: str


@dataclass(slots=True)
class Report:
    """Collects; `path` is written at every line, so that a run that was cut leaves what it knew."""

    path: Path
    started: datetime = field(default_factory=wall_clock)
    lines: list[Line] = field(default_factory=list)
    facts: dict[str, object] = field(default_factory=dict)

    def note(self, what: str) -> None:
        """Say what is going on."""
        print(f"{self.seconds():6.1f} s  ....  {what}", flush=True)

    def check(self, what: str, seen: str = "", *, holds: bool) -> bool:
        """Record a statement; the run goes on whatever it is."""
        line = Line(what, holds, round(self.seconds(), 1), seen)
        self.lines.append(line)
        print(f"{line.at:6.1f} s  {'ok  ' if holds else 'FAIL'}  {what}{f'  ({seen})' if seen else ''}", flush=True)
        self.write()
        return holds

    def must(self, what: str, seen: str = "", *, holds: bool) -> None:
        """Record a statement without which nothing that follows makes sense."""
        if not self.check(what, seen, holds=holds):
            raise Broken(what)

    @property
    def failed(self) -> list[str]:
        """What did not hold."""
        return [line.what for line in self.lines if not line.holds]

    def write(self) -> None:
        """Write the file."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        document = {
            "seconds": round(self.seconds(), 1),
            "failed": self.failed,
            **self.facts,
            "checks": [asdict(line) for line in self.lines],
        }
        self.path.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")

    def seconds(self) -> float:
        """Return seconds since the start."""
        return (wall_clock() - self.started).total_seconds()
