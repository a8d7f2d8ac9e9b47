"""Evaluation records: made, blocked, finished. Keys that would be empty are absent, as on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.words import EvalStatus, Trigger

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

FAILED_PLACEMENTS = "created to place remaining allocations"


def new_evaluation(eval_id: str, job: Record, trigger: Trigger, now: int, *, node_id: str = "") -> Record:
    """Answer a pending evaluation of a job."""
    evaluation = {
        "CreateTime": now,
        "ID": eval_id,
        "JobID": job["ID"],
        "ModifyTime": now,
        "Namespace": job["Namespace"],
        "Priority": job["Priority"],
        "Status": EvalStatus.PENDING,
        "TriggeredBy": trigger,
        "Type": job["Type"],
    }
    if node_id:
        evaluation["NodeID"] = node_id
    return evaluation


def blocked_evaluation(
    eval_id: str,
    source: Record,
    now: int,
    *,
    classes: dict[str, bool] | None,
    escaped: bool,
    failed: dict[str, Record],
) -> Record:
    """Answer the evaluation that waits for room on behalf of `source`."""
    blocked = {
        "CreateTime": now,
        "FailedTGAllocs": failed,
        "ID": eval_id,
        "JobID": source["JobID"],
        "ModifyTime": now,
        "Namespace": source["Namespace"],
        "PreviousEval": source["ID"],
        "Priority": source["Priority"],
        "SnapshotIndex": source.get("SnapshotIndex", 0),
        "Status": EvalStatus.BLOCKED,
        "StatusDescription": FAILED_PLACEMENTS,
        "TriggeredBy": Trigger.QUEUED_ALLOCS,
        "Type": source["Type"],
    }
    if source.get("JobModifyIndex"):
        blocked["JobModifyIndex"] = source["JobModifyIndex"]
    return blocked | eligibility_keys(classes, escaped=escaped)


def eligibility_keys(classes: dict[str, bool] | None, *, escaped: bool) -> Record:
    """Answer the keys that say on which node classes a blocked job may run."""
    if escaped:
        return {"EscapedComputedClass": True}
    return {"ClassEligibility": classes} if classes else {}


def finished(evaluation: Record, now: int, *, status: EvalStatus = EvalStatus.COMPLETE, **found: object) -> Record:
    """Answer an evaluation that a scheduler is done with; empty findings are left out (but empty QueuedAllocations)."""
    dropped = {"StatusDescription", "FailedTGAllocs", "BlockedEval", "DeploymentID"}
    kept = {key: value for key, value in evaluation.items() if key not in dropped}
    found = {key: value for key, value in found.items() if value or key == "QueuedAllocations"}
    return {**kept, **found, "Status": status, "ModifyTime": now}
