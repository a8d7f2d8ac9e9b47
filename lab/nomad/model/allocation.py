"""A new allocation's record, from the option that was chosen for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.nomad.model.ids import uuid_of
from lab.nomad.model.words import Client, Desired

if TYPE_CHECKING:
    from lab.nomad.model.fitting import Option
    from lab.nomad.model.metrics import Metrics
    from lab.nomad.model.store import Record

_SIGNING_KEY = uuid_of("signing key")
_NOTHING = {
    "CPU": 0,
    "Cores": 0,
    "Devices": None,
    "DiskMB": 0,
    "IOPS": 0,
    "MemoryMB": 0,
    "MemoryMaxMB": 0,
    "Networks": None,
}


@dataclass(frozen=True, slots=True)
class Birth:
    """What a new allocation has from its evaluation: identity, name, job, time, deployment."""

    alloc_id: str
    name: str
    job: Record
    group: Record
    eval_id: str
    now: int
    deployment_id: str = ""


def new_allocation(birth: Birth, option: Option, metrics: Metrics) -> Record:
    """Answer the record of a placed allocation; keys that would be empty are absent, as on the wire."""
    allocated = option.allocated
    alloc: Record = {
        "AllocatedResources": allocated,
        "ClientStatus": Client.PENDING,
        "CreateTime": birth.now,
        "DesiredStatus": Desired.RUN,
        "EvalID": birth.eval_id,
        "ID": birth.alloc_id,
        "Job": birth.job,
        "JobID": birth.job["ID"],
        "Metrics": metrics.record(),
        "ModifyTime": birth.now,
        "Name": birth.name,
        "Namespace": birth.job["Namespace"],
        "NodeID": option.node["ID"],
        "NodeName": option.node["Name"],
        "Resources": _total(allocated, birth.group),
        "SharedResources": {
            **_NOTHING,
            "DiskMB": allocated["Shared"]["DiskMB"],
            "Networks": allocated["Shared"]["Networks"],
        },
        "SigningKeyID": _SIGNING_KEY,
        "TaskGroup": birth.group["Name"],
        "TaskResources": {name: _flat(task) for name, task in allocated["Tasks"].items()},
    }
    if birth.deployment_id:
        alloc["DeploymentID"] = birth.deployment_id
    return alloc


def _flat(task: Record) -> Record:
    return {
        **_NOTHING,
        "CPU": task["Cpu"]["CpuShares"],
        "MemoryMB": task["Memory"]["MemoryMB"],
        "MemoryMaxMB": task["Memory"]["MemoryMaxMB"],
        "Networks": task["Networks"],
    }


def _total(allocated: Record, group: Record) -> Record:
    tasks = list(allocated["Tasks"].values())
    memory = sum(task["Memory"]["MemoryMB"] for task in tasks)
    most = sum(task["Memory"]["MemoryMaxMB"] or task["Memory"]["MemoryMB"] for task in tasks)
    networks = [network for task in tasks for network in task["Networks"] or ()]
    return {
        **_NOTHING,
        "CPU": sum(task["Cpu"]["CpuShares"] for task in tasks),
        "DiskMB": group["EphemeralDisk"]["SizeMB"],
        "MemoryMB": memory,
        "MemoryMaxMB": most,
        "Networks": [*(allocated["Shared"]["Networks"] or ()), *networks] or None,
    }
