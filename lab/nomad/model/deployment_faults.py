"""When a deployment has failed, and what becomes of its job then. Nothing is written here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.nomad.model.reschedule import may_be_tried_again
from lab.nomad.model.updating import spec_changed
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import ACTIVE_DEPLOYMENT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.nomad.model.store import Record


@dataclass(frozen=True, slots=True)
class Fault:
    """A deployment has failed; with `reverts` its job goes back to a stable version, if there is one."""

    reverts: bool


def hopeless(deployment: Record, job: Record, allocs: Iterable[Record], now: int) -> Fault | None:
    """Answer the fault that needs no deadline: an unhealthy allocation that nothing will replace."""
    failed = [alloc for alloc in allocs if _is_final(deployment, job, alloc, now)]
    if not failed:
        return None
    return Fault(any(deployment["TaskGroups"][alloc["TaskGroup"]]["AutoRevert"] for alloc in failed))


def _is_final(deployment: Record, job: Record, alloc: Record, now: int) -> bool:
    state = deployment["TaskGroups"].get(alloc["TaskGroup"])
    if state is None or health(alloc) is not False:
        return False
    if not state["ProgressDeadline"]:
        return True
    group = next((g for g in job["TaskGroups"] if g["Name"] == alloc["TaskGroup"]), None)
    again = group is not None and may_be_tried_again(alloc, group["ReschedulePolicy"], now)
    return deployment["Status"] in ACTIVE_DEPLOYMENT and not again


def out_of_time(deployment: Record, job: Record) -> Fault | None:
    """Answer the fault of a deployment whose deadline has passed; None when all it lacks is a promotion."""
    short = [name for name, state in deployment["TaskGroups"].items() if _is_short(state)]
    if not short:
        return None
    updates = {group["Name"]: group["Update"] or {} for group in job["TaskGroups"]}
    return Fault(any(updates.get(name, {}).get("AutoRevert") for name in short))


def _is_short(state: Record) -> bool:
    waits = state["DesiredCanaries"] > 0 and not state["Promoted"]
    return state["HealthyAllocs"] < (state["DesiredCanaries"] if waits else state["DesiredTotal"])


def way_back(text: str, job: Record, versions: Iterable[Record]) -> tuple[str, Record | None]:
    """Answer the description of a failure that reverts, and the stable version to go back to, if that would help."""
    stable = next((v for v in sorted(versions, key=lambda v: -v["Version"]) if v["Stable"]), None)
    if stable is None:
        return f"{text} - no stable job version to auto revert to", None
    if spec_changed(job, stable):
        return f"{text} - rolling back to job version {stable['Version']}", stable
    same = f"not rolling back to stable job version {stable['Version']} as current job has same specification"
    return f"{text} - {same}", None


def unfinished(deployment: Record, allocs: Iterable[Record]) -> list[Record]:
    """Answer the states of the groups that still have something to do before their deadline."""
    well = [alloc["TaskGroup"] for alloc in allocs if not terminal(alloc) and health(alloc)]
    return [
        state
        for name, state in deployment["TaskGroups"].items()
        if (state["DesiredCanaries"] and not state["Promoted"]) or well.count(name) < state["DesiredTotal"]
    ]


def health(alloc: Record | None) -> bool | None:
    """Answer what is known of an allocation's health."""
    return (alloc.get("DeploymentStatus") or {}).get("Healthy") if alloc else None
