"""What `keeper status` says of backups, and `keeper explain` of decisions, in lines for a person."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import cast

UNITS = ((86_400, "d"), (3_600, "h"), (60, "min"))


def backups(answer: Mapping[str, object]) -> Iterator[str]:
    """One line for each product's snapshots, each product's last rehearsal, and the newest restore."""
    for product, known in _objects(answer, "snapshots").items():
        yield f"{product} snapshot: {_snapshot(known)}"
    for product, verdict in _objects(answer, "rehearsals").items():
        yield f"{product} rehearsal: {_verdict(verdict)}"
    restore = answer.get("restore")
    if isinstance(restore, dict):
        yield _restore(cast("dict[str, object]", restore))


def decisions(records: Iterable[Mapping[str, object]]) -> list[tuple[str, str, str, str, str]]:
    """Time, controller, cause, reason and sentence, oldest first; one line for what a controller says over and over."""
    return [_decision(list(same)) for _, same in groupby(records, lambda each: (each["controller"], each["sentence"]))]


def age(seconds: float) -> str:
    """A time span in its largest whole unit."""
    size, unit = next((each for each in UNITS if abs(seconds) >= each[0]), (1, "s"))
    return f"{int(seconds / size)} {unit}"


def progress(operation: Mapping[str, object]) -> str:
    """How far a restore has come, or "" before it began."""
    now = operation.get("progress")
    if not isinstance(now, dict):
        return ""
    given = cast("dict[str, object]", now)
    total, done = cast("int", given["totalBytes"]), cast("int", given["doneBytes"])
    part = f" {done * 100 // total} % of {total} bytes" if total else ""
    return f"{given['step']}: {given['doing'] or 'done'}{part}"


def _decision(same: list[Mapping[str, object]]) -> tuple[str, str, str, str, str]:
    """The newest of decisions that say the same, and since when."""
    newest = same[-1]
    times = "" if len(same) == 1 else f" ({len(same)} times since {_time(same[0])})"
    controller, cause, reason = (str(newest.get(name, "")) for name in ("controller", "cause", "reason"))
    return _time(newest), controller, cause, reason, f"{newest['sentence']}{times}"


def _time(record: Mapping[str, object]) -> str:
    return f"{datetime.fromisoformat(str(record['at'])):%H:%M:%S}"


def _snapshot(known: Mapping[str, object]) -> str:
    seconds = known["ageSeconds"]
    newest = "none is verified" if seconds is None else f"{known['newest']}, {age(cast('float', seconds))} old"
    late = ", overdue" if known["overdue"] else ""
    problem = f"; fails since {known['since']}: {known['problem']}" if known["problem"] else ""
    return newest + late + problem


def _verdict(verdict: Mapping[str, object]) -> str:
    passed = "passed" if verdict["passed"] else "failed: " + "; ".join(cast("list[str]", verdict["problems"]))
    return f"{verdict['snapshot']} {passed} ({verdict['at']})"


def _restore(operation: Mapping[str, object]) -> str:
    how = operation["outcome"] or progress(operation) or "asked for"
    return f"restore of {operation['snapshot']} ({operation['id']}) {operation['status']}: {how}"


def _objects(answer: Mapping[str, object], name: str) -> Mapping[str, Mapping[str, object]]:
    return cast("Mapping[str, Mapping[str, object]]", answer.get(name, {}))
