"""Projections of full records into the shorter shapes that lists answer with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.drainer import NO_TRANSITION

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_NODE_KEYS = (
    "CreateIndex",
    "Datacenter",
    "Drain",
    "Drivers",
    "HostVolumes",
    "ID",
    "LastDrain",
    "ModifyIndex",
    "Name",
    "NodeClass",
    "NodePool",
    "SchedulingEligibility",
    "Status",
    "StatusDescription",
)
_JOB_KEYS = (
    "CreateIndex",
    "Datacenters",
    "ID",
    "JobModifyIndex",
    "ModifyIndex",
    "Multiregion",
    "Name",
    "Namespace",
    "NodePool",
    "ParentID",
    "Priority",
    "Status",
    "StatusDescription",
    "Stop",
    "SubmitTime",
    "Type",
)
_ALLOC_TEXTS = (
    "ClientDescription",
    "ClientStatus",
    "DesiredDescription",
    "DesiredStatus",
    "EvalID",
    "FollowupEvalID",
    "ID",
    "JobID",
    "Name",
    "Namespace",
    "NextAllocation",
    "NodeID",
    "NodeName",
    "PreemptedByAllocation",
    "TaskGroup",
)
_ALLOC_NUMBERS = ("CreateIndex", "CreateTime", "ModifyIndex", "ModifyTime")
_EVAL_TEXTS = (
    "BlockedEval",
    "DeploymentID",
    "ID",
    "JobID",
    "Namespace",
    "NextEval",
    "NodeID",
    "PreviousEval",
    "Status",
    "StatusDescription",
    "TriggeredBy",
    "Type",
)


def node_stub(node: Record, *, os: bool = False, resources: bool = False) -> Record:
    """Answer an entry of `/v1/nodes`, with `os` its system's name, with `resources` what it has."""
    stub = {key: node[key] for key in _NODE_KEYS}
    stub["Address"] = node["HTTPAddr"].rpartition(":")[0]
    stub["Version"] = node["Attributes"].get("nomad.version", "")
    if os:
        stub["Attributes"] = {"os.name": node["Attributes"].get("os.name", "")}
    if resources:
        stub |= {key: node[key] for key in ("NodeResources", "ReservedResources")}
    return stub


def job_stub(job: Record, summary: Record | None, *, meta: bool = False) -> Record:
    """Answer an entry of `/v1/jobs`; Meta only when asked for and there."""
    stub = {key: job[key] for key in _JOB_KEYS}
    stub |= {
        "JobSummary": summary,
        "ParameterizedJob": bool(job["ParameterizedJob"]),
        "Periodic": bool(job["Periodic"]),
    }
    if meta and job["Meta"]:
        stub["Meta"] = job["Meta"]
    return stub


def alloc_stub(alloc: Record, *, resources: bool = False, task_states: bool = True) -> Record:
    """Answer an entry of `/v1/allocations`; every key is there, empty ones as null or empty text."""
    stub = {key: alloc.get(key) or "" for key in _ALLOC_TEXTS}
    stub |= {key: alloc.get(key) or 0 for key in _ALLOC_NUMBERS}
    stub |= {
        "DeploymentStatus": alloc.get("DeploymentStatus"),
        "DesiredTransition": {**NO_TRANSITION, **(alloc.get("DesiredTransition") or {})},
        "JobType": alloc["Job"]["Type"],
        "JobVersion": alloc["Job"]["Version"],
        "PreemptedAllocations": alloc.get("PreemptedAllocations"),
        "RescheduleTracker": alloc.get("RescheduleTracker"),
        "TaskStates": alloc.get("TaskStates") if task_states else None,
    }
    if resources:
        stub["AllocatedResources"] = alloc["AllocatedResources"]
    return stub


def eval_stub(evaluation: Record) -> Record:
    """Answer an entry of an evaluation's RelatedEvals."""
    stub = {key: evaluation.get(key) or "" for key in _EVAL_TEXTS}
    stub |= {key: evaluation.get(key) or 0 for key in (*_ALLOC_NUMBERS, "Priority")}
    return stub | {"WaitUntil": evaluation.get("WaitUntil")}
