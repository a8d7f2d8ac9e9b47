"""What a job may not do when it is registered again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from lab.nomad.model.store import Record


def enforce(known: Record | None, index: int | None) -> None:
    """Refuse a job whose JobModifyIndex is not the expected one (0: not registered yet; None: whatever it is)."""
    if index is None:
        return
    prefix = f"Enforcing job modify index {index}"
    if known is None:
        if index:
            raise Refusal(500, f"{prefix}: job does not exist")
    elif not index:
        raise Refusal(500, f"{prefix}: job already exists")
    elif index != known["JobModifyIndex"]:
        raise Refusal(500, f"{prefix}: job exists with conflicting job modify index: {known['JobModifyIndex']}")


def check_update(known: Record | None, job: Record) -> None:
    """Refuse a change of what a job may not change once registered."""
    if known is None:
        return
    if known["Type"] != job["Type"]:
        raise Refusal(500, f'cannot update job from type "{known["Type"]}" to "{job["Type"]}"')
    for kind, key in (("periodic", "Periodic"), ("parameterized", "ParameterizedJob")):
        if known[key] and not job[key]:
            raise Refusal(500, f"cannot update {kind} job to being non-{kind}")
        if job[key] and not known[key]:
            raise Refusal(500, f"cannot update non-{kind} job to being {kind}")


def keep_counts(known: Record, job: Record) -> None:
    """Give a job about to be registered the counts that its groups have now."""
    counts = {group["Name"]: group["Count"] for group in known["TaskGroups"]}
    for group in job["TaskGroups"]:
        group["Count"] = counts.get(group["Name"], group["Count"])


def forbidden_drivers(job: Record, namespace: Record) -> list[str]:
    """Say which drivers of a job its namespace does not allow, one sentence each."""
    rules = namespace.get("Capabilities") or {}
    allowed, denied = rules.get("EnabledTaskDrivers") or (), rules.get("DisabledTaskDrivers") or ()
    used = dict.fromkeys(task["Driver"] for group in job["TaskGroups"] or () for task in group["Tasks"] or ())
    wrong = [driver for driver in used if (allowed and driver not in allowed) or driver in denied]
    if not wrong:
        return []
    noun = "driver" if len(wrong) == 1 else "drivers"
    verb = "is" if len(wrong) == 1 else "are"
    names = " ".join(f'"{driver}"' for driver in wrong)
    shown = names if len(wrong) == 1 else f"[{names}]"
    return [f'used task {noun} {shown} {verb} not allowed in namespace "{job["Namespace"]}"']
