"""What every scenario needs: a timeline that a person can follow, waiting with a limit, and promises with figures."""

from __future__ import annotations

import json
import threading
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable

STYLES = {
    "load": "cyan",
    "keeper": "green",
    "azure": "yellow",
    "nomad": "blue",
    "consul": "magenta",
    "fault": "red",
    "scene": "bold",
}
NAP = 0.05


class MissedError(Exception):
    """Something that had to happen did not, in time."""


@dataclass(frozen=True, slots=True)
class Promise:
    """One promise and what was measured."""

    name: str
    measured: float
    bar: str
    ok: bool
    unit: str = ""


class Stage:
    """Prints the timeline (rich on a terminal, plain otherwise) and keeps the promises."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(highlight=False)
        self.promises: list[Promise] = []
        self.lines: list[dict[str, object]] = []
        self._began = time.monotonic()
        self._guard = threading.Lock()

    @property
    def elapsed(self) -> float:
        """Seconds since the curtain rose."""
        return time.monotonic() - self._began

    def raise_curtain(self) -> None:
        """Start counting now: set-up is over."""
        self._began = time.monotonic()

    def say(self, who: str, what: str) -> None:
        """Add one line to the timeline."""
        with self._guard:
            at = self.elapsed
            self.lines.append({"at": round(at, 2), "who": who, "what": what})
            style = STYLES.get(who, "default")
            self.console.print(f"{at:6.1f}s  [{style}]{who:<7}[/]  {_plain(what)}", soft_wrap=True)

    def scene(self, title: str) -> None:
        """Begin a part of the day."""
        with self._guard:
            self.console.print(f"\n[bold]{title}[/]")
            self.lines.append({"at": round(self.elapsed, 2), "who": "scene", "what": title})

    def until(self, what: str, holds: Callable[[], object], seconds: float = 20) -> float:
        """Wait until it holds and return how long that took; raises `MissedError`."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if holds():
                return time.monotonic() - began
            time.sleep(NAP)
        raise MissedError(f"{what}: not within {seconds:g} s")

    def at_most(self, name: str, measured: float, bar: float, unit: str = "s") -> None:
        """Promise that a figure stays under its bar."""
        self.promises.append(Promise(name, round(measured, 2), f"≤ {bar:g} {unit}".strip(), measured <= bar, unit))

    def equal(self, name: str, measured: float, bar: float) -> None:
        """Promise that a count is just this."""
        self.promises.append(Promise(name, measured, f"= {bar:g}", measured == bar))

    def close(self, path: Path, **facts: object) -> bool:
        """Print the table, write the JSON, and say whether every promise held."""
        table = Table("promise", "promised", "measured", "", box=None, title="What was promised and what was measured")
        for promise in self.promises:
            mark = "[green]kept[/]" if promise.ok else "[red]BROKEN[/]"
            table.add_row(promise.name, promise.bar, f"{promise.measured:g} {promise.unit}".strip(), mark)
        self.console.print()
        self.console.print(table)
        path.parent.mkdir(exist_ok=True)
        body = {"promises": [asdict(p) for p in self.promises], "timeline": self.lines, **facts}
        path.write_text(json.dumps(body, indent=1))
        return bool(self.promises) and all(promise.ok for promise in self.promises)


def _plain(text: str) -> str:
    """Text in which square brackets are no markup."""
    return text.replace("[", "\\[")
