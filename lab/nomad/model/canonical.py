"""A submitted job with every field that Nomad 1.6.5 fills in: what `GET /v1/job/:id` answers afterwards."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.model.canonical_parts import (
    constraints,
    group_networks,
    resources,
    scaling,
    services,
    spreads,
    volumes,
)
from lab.nomad.model.times import SECOND
from lab.nomad.model.words import DEFAULT_NAMESPACE, DEFAULT_POOL, JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

MINUTE, HOUR = 60 * SECOND, 3600 * SECOND
_RESTART = {"Attempts": 2, "Delay": 15 * SECOND, "Interval": 30 * MINUTE, "Mode": "fail", "RenderTemplates": False}
_RESTART_BATCH = {**_RESTART, "Attempts": 3, "Interval": 24 * HOUR}
_RESCHEDULE: dict[str, Record | None] = {
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
_TEXTS = ("ConsulNamespace", "ConsulToken", "DispatchIdempotencyToken", "NomadTokenID", "ParentID", "StatusDescription")


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
    update = job.get("Update") if kind in {JobType.SERVICE, JobType.SYSTEM} else None
    full = {text: given(job, text, "") for text in (*_TEXTS, "VaultNamespace", "VaultToken")}
    namespace = given(job, "Namespace", DEFAULT_NAMESPACE) or DEFAULT_NAMESPACE
    return full | {
        "Affinities": constraints(job.get("Affinities"), affinity=True),
        "AllAtOnce": given(job, "AllAtOnce", False),
        "Constraints": constraints(job.get("Constraints")),
        "Datacenters": list(job.get("Datacenters") or ["*"]),
        "Dispatched": given(job, "Dispatched", False),
        "ID": job["ID"],
        "Meta": job.get("Meta") or None,
        "Multiregion": job.get("Multiregion"),
        "Name": given(job, "Name", "") or job["ID"],
        "Namespace": namespace,
        "NodePool": given(job, "NodePool", "") or DEFAULT_POOL,
        "ParameterizedJob": _parameterized(job.get("ParameterizedJob")),
        "Payload": job.get("Payload"),
        "Periodic": _periodic(job.get("Periodic")),
        "Priority": given(job, "Priority", 50),
        "Region": given(job, "Region", "global") or "global",
        "Spreads": spreads(job.get("Spreads")),
        "Stable": False,
        "Status": "",
        "Stop": given(job, "Stop", False),
        "SubmitTime": 0,
        "TaskGroups": [_group(job, kind, group) for group in job.get("TaskGroups") or ()] or None,
        "Type": kind,
        "Update": _job_update(kind, update),
        "Version": 0,
    }


def _job_update(kind: str, update: Record | None) -> Record:
    if kind == JobType.SERVICE:
        own = update or {}
        return {
            **_NO_UPDATE,
            "MaxParallel": given(own, "MaxParallel", 1),
            "Stagger": given(own, "Stagger", 30 * SECOND),
        }
    if kind == JobType.SYSTEM and update:
        return {**_NO_UPDATE, "MaxParallel": given(update, "MaxParallel", 1), "Stagger": given(update, "Stagger", 0)}
    return dict(_NO_UPDATE)


def _group(job: Record, kind: str, group: Record) -> Record:
    restart = merged(
        _RESTART_BATCH if kind in {JobType.BATCH, JobType.SYSBATCH} else _RESTART, group.get("RestartPolicy")
    )
    reschedule = _RESCHEDULE.get(kind)
    is_service = kind == JobType.SERVICE
    count = 0 if group.get("Count") == 0 else (group.get("Count") or 1)
    if group.get("Count") is None and group.get("Scaling"):
        count = given(group["Scaling"], "Min", 1)
    return {
        "Affinities": constraints(group.get("Affinities"), affinity=True),
        "Constraints": _group_constraints(group),
        "Consul": {"Namespace": given(group.get("Consul"), "Namespace", "")},
        "Count": count,
        "EphemeralDisk": merged({"Migrate": False, "SizeMB": 300, "Sticky": False}, group.get("EphemeralDisk")),
        "MaxClientDisconnect": group.get("MaxClientDisconnect"),
        "Meta": group.get("Meta") or None,
        "Migrate": merged(_MIGRATE, group.get("Migrate") or job.get("Migrate")) if is_service else group.get("Migrate"),
        "Name": group.get("Name", ""),
        "Networks": group_networks(group.get("Networks")),
        "ReschedulePolicy": merged(reschedule, group.get("ReschedulePolicy") or job.get("Reschedule"))
        if reschedule is not None
        else group.get("ReschedulePolicy"),
        "RestartPolicy": restart,
        "Scaling": scaling(job, group, count),
        "Services": services(group.get("Services"), group),
        "ShutdownDelay": group.get("ShutdownDelay"),
        "Spreads": spreads(group.get("Spreads")),
        "StopAfterClientDisconnect": group.get("StopAfterClientDisconnect"),
        "Tasks": [_task(restart, task) for task in group.get("Tasks") or ()] or None,
        "Update": _group_update(kind, job.get("Update"), group.get("Update")),
        "Volumes": volumes(group.get("Volumes")),
    }


def _group_update(kind: str, of_job: Record | None, own: Record | None) -> Record | None:
    if kind == JobType.SERVICE or own:
        return merged(merged(_UPDATE, of_job), own)
    return merged(_UPDATE, of_job) if of_job and kind != JobType.SYSTEM else None


def _group_constraints(group: Record) -> list[Record] | None:
    found = constraints(group.get("Constraints")) or []
    every_service = [
        *(group.get("Services") or ()),
        *(s for t in group.get("Tasks") or () for s in t.get("Services") or ()),
    ]
    if any(service.get("Provider") == "nomad" for service in every_service):
        found = [
            *found,
            {"LTarget": "${attr.nomad.service_discovery}", "Operand": "=", "RTarget": "true"},
            {"LTarget": "${attr.nomad.version}", "Operand": "semver", "RTarget": ">= 1.4.0"},
        ]
    return found or None


def _task(restart: Record, task: Record) -> Record:
    lifecycle = task.get("Lifecycle")
    full = {key: task.get(key) or None for key in ("Artifacts", "Config", "CSIPluginConfig", "DispatchPayload", "Env")}
    full |= {key: task.get(key) or None for key in ("Identity", "Meta", "ScalingPolicies", "Templates", "Vault")}
    full |= {key: given(task, key, "") for key in ("Driver", "KillSignal", "Kind", "Name", "User")}
    return full | {
        "Affinities": constraints(task.get("Affinities"), affinity=True),
        "Constraints": constraints(task.get("Constraints")),
        "KillTimeout": given(task, "KillTimeout", 5 * SECOND),
        "Leader": given(task, "Leader", False),
        "Lifecycle": merged({"Hook": "", "Sidecar": False}, lifecycle) if lifecycle else None,
        "LogConfig": merged(_LOG_CONFIG, task.get("LogConfig")),
        "Resources": resources(task.get("Resources")),
        "RestartPolicy": merged(restart, task.get("RestartPolicy")),
        "Services": services(task.get("Services"), task),
        "ShutdownDelay": given(task, "ShutdownDelay", 0),
        "VolumeMounts": task.get("VolumeMounts") or None,
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
    return merged(default, periodic) | {"Specs": list(periodic.get("Specs") or ())}


def _parameterized(parameterized: Record | None) -> Record | None:
    if parameterized is None:
        return None
    full = merged({"MetaOptional": None, "MetaRequired": None, "Payload": "optional"}, parameterized)
    return {key: value or (None if key != "Payload" else "optional") for key, value in full.items()}
