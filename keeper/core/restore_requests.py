"""The fields of a restore in a request's body and in an operation's record."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC
from typing import cast

from keeper.core.messages import parse_time
from keeper.core.problems import FieldError
from keeper.core.restoring import LATEST, Force, Progress, Step, phrase
from keeper.core.snapshots import parse_stem

FIELDS = ("snapshot", "confirm", "force", "copy")


@dataclass(frozen=True, slots=True)
class Restoring:
    """Which snapshot, by its stem (a dry run may name the latest), and what is forced."""

    snapshot: str
    force: frozenset[Force] = frozenset()
    copy: bool = False
    """Read it from the second account: the first one's is lost or damaged."""


def parse(given: Mapping[str, object], cluster: str, *, dry_run: bool) -> Restoring:
    """What a request asks to restore; raises `FieldError`. The phrase is asked for unless nothing will be changed."""
    snapshot = given.get("snapshot")
    if not isinstance(snapshot, str):
        raise FieldError("snapshot", "the name of a snapshot", snapshot)
    if snapshot not in LATEST:
        parse_stem(snapshot)
    elif not dry_run:
        raise FieldError("snapshot", "the whole name of a snapshot; a dry run with latest tells it", snapshot)
    expected = phrase(cluster, snapshot)
    if not dry_run and given.get("confirm") != expected:
        raise FieldError("confirm", f"the phrase {expected!r}", given.get("confirm"))
    copy = given.get("copy", False)
    if not isinstance(copy, bool):
        raise FieldError("copy", "true or false", copy)
    return Restoring(snapshot, _forced(given.get("force", [])), copy)


def _forced(value: object) -> frozenset[Force]:
    try:
        return frozenset(Force(name) for name in cast("list[object]", value))
    except (TypeError, ValueError):
        raise FieldError("force", "a list of " + ", ".join(Force), value) from None


def to_json(restoring: Restoring | None) -> dict[str, object]:
    """The fields of a record; none when it is no restore."""
    if restoring is None:
        return {}
    return {"snapshot": restoring.snapshot, "force": sorted(restoring.force), "copy": restoring.copy}


def from_json(stored: Mapping[str, object]) -> Restoring | None:
    """What `to_json` wrote."""
    snapshot = stored.get("snapshot")
    if snapshot is None:
        return None
    return Restoring(cast("str", snapshot), _forced(stored.get("force", [])), stored.get("copy") is True)


def progress_to_json(progress: Progress) -> dict[str, object]:
    """The stored and the answered form."""
    restored = None if progress.restored is None else progress.restored.astimezone(UTC).isoformat()
    return {
        "snapshot": progress.snapshot,
        "step": progress.step,
        "doing": progress.doing,
        "doneBytes": progress.done_bytes,
        "totalBytes": progress.total_bytes,
        "undo": progress.undo,
        "restored": restored,
        "proof": progress.proof,
    }


def progress_from_json(stored: object) -> Progress | None:
    """What `progress_to_json` wrote; None when there is none."""
    if not isinstance(stored, dict):
        return None
    given = cast("dict[str, object]", stored)
    restored = given.get("restored")
    return Progress(
        snapshot=cast("str", given["snapshot"]),
        step=Step(given["step"]),
        doing=cast("str", given["doing"]),
        done_bytes=cast("int", given["doneBytes"]),
        total_bytes=cast("int", given["totalBytes"]),
        undo=cast("str | None", given["undo"]),
        restored=None if restored is None else parse_time("restored", restored),
        proof=cast("Mapping[str, object] | None", given["proof"]),
    )
