"""A submitted job with every field that Nomad 1.6.5 fills in: what `GET /v1/job/:id` answers afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.model.canonical_parts import (
    constraints,
    group_networks,
    resources,
    scaling,
    spreads,
    volumes,
)
from lab.nomad.model.canonical_services import implied, services
from lab.nomad.model.canonical_tasks import blocks
from lab.nomad.model.times import SECOND
from lab.nomad.model.words import DEFAULT_NAMESPACE, DEFAULT_POOL, JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
_RESTART = {"Attempts": 2, "Delay": 15 * SECOND, "Interval": 30 * MINUTE, "Mode": "fail", "RenderTemplates": False}
_RESTART_BATCH = {**_RESTART, "Attempts": 3, "Interval": 24 * HOUR}
_RESCHEDULE: dict[str, Record] = {
    JobType.SERVICE: {
        "Attempts": 0,
        "Delay": 30 * SECOND,
        "DelayFunction": "exponential",
        "Interval": 0,
        "MaxDelay": HOUR,
        "Unlimited": True,
    },
    JobType.BATCH: {
        "Attempts": 1,
        "Delay": 5 * SECOND,
        "DelayFunction": "constant",
        "Interval": 24 * HOUR,
        "MaxDelay": 0,
        "Unlimited": False,
    },
    JobType.SYSBATCH: {
        "Attempts": 0,
        "Delay": 0,
        "DelayFunction": "",
        "Interval": 0,
        "MaxDelay": 0,
        "Unlimited": False,
    },
}
_MIGRATE = {
    "HealthCheck": "checks",
    "HealthyDeadline": 5 * MINUTE,
    "MaxParallel": 1,
    "MinHealthyTime": 10 * SECOND,
}
_UPDATE = {
    "AutoPromote": False,
    "AutoRevert": False,
    "Canary": 0,
    "HealthCheck": "checks",
    "HealthyDeadline": 5 * MINUTE,
    "MaxParallel": 1,
    "MinHealthyTime": 10 * SECOND,
    "ProgressDeadline": 10 * MINUTE,
    "Stagger": 30 * SECOND,
}
_NO_UPDATE = {
    "AutoPromote": False,
    "AutoRevert": False,
    "Canary": 0,
    "HealthCheck": "",
    "HealthyDeadline": 0,
    "MaxParallel": 0,
    "MinHealthyTime": 0,
    "ProgressDeadline": 0,
    "Stagger": 0,
}
_LOG_CONFIG = {"Disabled": False, "MaxFileSizeMB": 10, "MaxFiles": 10}
_TEXTS = ("ConsulToken", "NomadTokenID", "VaultNamespace", "VaultToken")
_NOT_SUBMITTED = ("ConsulNamespace", "DispatchIdempotencyToken", "ParentID", "StatusDescription")
"""Fields that only Nomad itself sets: what a submitted job says there is dropped."""


def given(record: Record | None, key: str, default: Any) -> Any:  # noqa: ANN401  # a JSON value of any type
    """Answer the value of a key, or the default when it is absent or null."""
    value = (record or {}).get(key)
    return default if value is None else value


def merged(default: Record, own: Record | None) -> Record:
    """Answer the defaults with what is given (and not null) laid over them; unknown keys are dropped."""
    return {key: given(own, key, value) for key, value in default.items()}


def canonical_job(job: Record) -> Record:
    """Answer the job in full. Status, version and indexes are the caller's to set. The argument is left alone."""
    kind = given(job, "Type", JobType.SERVICE)
    named = {
        "ID": job["ID"],
        "Name": given(job, "Name", job["ID"]),
        "Namespace": given(job, "Namespace", DEFAULT_NAMESPACE) or DEFAULT_NAMESPACE,
    }
    full = {text: given(job, text, "") for text in _TEXTS} | dict.fromkeys(_NOT_SUBMITTED, "")
    return full | {
        **named,
        "Affinities": constraints(job.get("Affinities"), affinity=True),
        "AllAtOnce": given(job, "AllAtOnce", False),
        "Constraints": constraints(job.get("Constraints")),
        "Datacenters": list(job.get("Datacenters") or ["*"]),
        "Dispatched": False,
        "Meta": job.get("Meta") or None,
        "Multiregion": _multiregion(job.get("Multiregion")),
        "NodePool": given(job, "NodePool", "") or DEFAULT_POOL,
        "ParameterizedJob": _parameterized(job.get("ParameterizedJob")),
        "Payload": job.get("Payload"),
        "Periodic": _periodic(job.get("Periodic")),
        "Priority": given(job, "Priority", 0) or 50,
        "Region": given(job, "Region", "global") or "global",
        "Spreads": spreads(job.get("Spreads")),
        "Stable": False,
        "Status": "",
        "Stop": given(job, "Stop", False),
        "SubmitTime": 0,
        "TaskGroups": [_group(job, named, kind, group) for group in job.get("TaskGroups") or ()] or None,
        "Type": kind,
        "Update": _job_update(kind, job.get("Update")),
        "Version": 0,
    }


def _job_update(kind: str, update: Record | None) -> Record:
    """Of a job's own update block only two fields are kept: the rest is its groups'."""
    full = merged(_UPDATE, update) if update is not None or kind == JobType.SERVICE else _NO_UPDATE
    kept = {key: full[key] for key in ("MaxParallel", "Stagger")} if full["MaxParallel"] > 0 else {}
    return {**_NO_UPDATE, **kept}


def _group(job: Record, named: Record, kind: str, group: Record) -> Record:
    batch = kind not in {JobType.SERVICE, JobType.SYSTEM}
    restart = merged(_RESTART_BATCH if batch else _RESTART, group.get("RestartPolicy"))
    scaled = given(group.get("Scaling"), "Min", 1)
    count = given(group, "Count", scaled)
    name = given(group, "Name", "")
    full = {
        "Affinities": constraints(group.get("Affinities"), affinity=True),
        "Constraints": constraints(group.get("Constraints")),
        "Consul": {"Namespace": given(group.get("Consul"), "Namespace", "") or given(job, "ConsulNamespace", "")},
        "Count": 1 if kind == JobType.SYSTEM and count == 0 else count,
        "EphemeralDisk": merged({"Migrate": False, "SizeMB": 300, "Sticky": False}, group.get("EphemeralDisk")),
        "MaxClientDisconnect": group.get("MaxClientDisconnect"),
        "Meta": group.get("Meta") or None,
        "Migrate": _inherited(
            _MIGRATE if kind == JobType.SERVICE else None, _MIGRATE, job.get("Migrate"), group.get("Migrate")
        ),
        "Name": name,
        "Networks": group_networks(group.get("Networks")),
        "ReschedulePolicy": _reschedule(kind, job.get("Reschedule"), group.get("ReschedulePolicy")),
        "RestartPolicy": restart,
        "Scaling": scaling(named, group, count),
        "Services": services(group.get("Services"), named, name),
        "ShutdownDelay": group.get("ShutdownDelay"),
        "Spreads": spreads(group.get("Spreads")),
        "StopAfterClientDisconnect": group.get("StopAfterClientDisconnect"),
        "Update": _group_update(kind, job.get("Update"), group.get("Update")),
        "Volumes": volumes(group.get("Volumes")),
    }
    tasks = [_task(job, named, full, task) for task in group.get("Tasks") or ()]
    full["Tasks"] = tasks or None
    full["Constraints"] = implied(full) or full["Constraints"]
    return full


def _inherited(usual: Record | None, default: Record, of_job: Record | None, own: Record | None) -> Record | None:
    """Answer a group's policy over its job's over the default; without either the usual one of its type."""
    if of_job is None and own is None:
        return usual
    return merged(merged(default, of_job), own)


def _reschedule(kind: str, of_job: Record | None, own: Record | None) -> Record | None:
    none = _RESCHEDULE[JobType.SYSBATCH]
    default = _RESCHEDULE.get(kind, none)
    return _inherited(None if kind == JobType.SYSTEM else default, default, of_job, own)


def _group_update(kind: str, of_job: Record | None, own: Record | None) -> Record | None:
    inherits = of_job is not None and any(value is not None for value in of_job.values())
    if kind == JobType.SERVICE or own is not None or inherits:
        return merged(merged(_UPDATE, of_job), own)
    return None


def _task(job: Record, named: Record, group: Record, task: Record) -> Record:
    lifecycle = task.get("Lifecycle") or {}
    full = {key: task.get(key) or None for key in ("Config", "Env", "Meta")}
    full |= {key: given(task, key, "") for key in ("Driver", "KillSignal", "Kind", "Name", "User")}
    hooked = lifecycle.get("Hook") or lifecycle.get("Sidecar")
    full |= blocks(task, (named, group), given(job, "VaultNamespace", ""))
    return full | {
        "Affinities": constraints(task.get("Affinities"), affinity=True),
        "Constraints": constraints(task.get("Constraints")),
        "KillTimeout": given(task, "KillTimeout", 0) or 5 * SECOND,
        "Leader": given(task, "Leader", False),
        "Lifecycle": merged({"Hook": "", "Sidecar": False}, lifecycle) if hooked else None,
        "LogConfig": merged(_LOG_CONFIG, task.get("LogConfig")),
        "Resources": resources(task.get("Resources")),
        "RestartPolicy": merged(group["RestartPolicy"], task.get("RestartPolicy")),
        "Services": services(task.get("Services"), named, group["Name"], full["Name"]),
        "ShutdownDelay": given(task, "ShutdownDelay", 0),
    }


def _multiregion(own: Record | None) -> Record | None:
    if own is None:
        return None
    region = {"Count": 1, "Datacenters": [], "Meta": {}, "Name": "", "NodePool": ""}
    return {
        "Regions": [merged(region, one) for one in own.get("Regions") or ()],
        "Strategy": merged({"MaxParallel": 0, "OnFailure": ""}, own.get("Strategy")),
    }


def _periodic(periodic: Record | None) -> Record | None:
    if periodic is None:
        return None
    default = {
        "Enabled": True,
        "ProhibitOverlap": False,
        "Spec": "",
        "SpecType": "cron",
        "Specs": None,
        "TimeZone": "UTC",
    }
    zone = given(periodic, "TimeZone", "") or "UTC"
    return merged(default, periodic) | {"Specs": list(periodic.get("Specs") or ()), "TimeZone": zone}


def _parameterized(parameterized: Record | None) -> Record | None:
    if parameterized is None:
        return None
    full = merged({"MetaOptional": None, "MetaRequired": None, "Payload": "optional"}, parameterized)
    return {key: value or (None if key != "Payload" else "optional") for key, value in full.items()}
