"""What a task does once started: how long it runs, how it ends, how long it takes to stop."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.nomad.model.times import MILLISECOND, SECOND

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_UNITS = {"ns": 1, "us": 1000, "ms": MILLISECOND, "s": SECOND, "m": 60 * SECOND, "h": 3600 * SECOND}
_PART = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s|m|h)")
STOP_TIME = 200 * MILLISECOND


@dataclass(frozen=True, slots=True)
class Workload:
    """A task's fate. `runs_for` None means until it is stopped; times in nanoseconds."""

    runs_for: int | None = None
    exit_code: int = 0
    stops_in: int = STOP_TIME
    start_error: str = ""
    starts_after: int = 0


def duration(text: object) -> int:
    """Answer the nanoseconds of a Go duration (`1m30s`) or of a plain number of them; 0 for none."""
    if isinstance(text, int):
        return text
    return sum(int(float(number) * _UNITS[unit]) for number, unit in _PART.findall(str(text or "")))


def workload_of(task: Record) -> Workload:
    """Answer what a task does, from its driver's configuration.

    `mock_driver` is taken at its word; `raw_exec` and `exec` are known for sleep, true, false and shells that trap
    their stop signal; anything else runs until it is stopped.
    """
    config = task["Config"] or {}
    if task["Driver"] == "mock_driver":
        return _mock(task, config)
    command = str(config.get("command", "")).rpartition("/")[2]
    args = [str(arg) for arg in config.get("args") or ()]
    if command in {"true", "false"}:
        return Workload(runs_for=10 * MILLISECOND, exit_code=int(command == "false"))
    if command == "sleep" and args:
        return Workload(runs_for=duration(args[0] if args[0][-1:].isalpha() else args[0] + "s"))
    if any("trap ''" in arg for arg in args):
        return Workload(stops_in=task["KillTimeout"])
    return Workload()


def _mock(task: Record, config: Record) -> Workload:
    return Workload(
        runs_for=duration(config.get("run_for")),
        exit_code=int(config.get("exit_code") or 0),
        stops_in=min(duration(config.get("kill_after")), task["KillTimeout"]) or STOP_TIME,
        start_error=str(config.get("start_error") or ""),
        starts_after=duration(config.get("start_block_for")),
    )
