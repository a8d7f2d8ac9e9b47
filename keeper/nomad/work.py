"""Nomad's JSON of allocations, job stubs, evaluations and deployments into the keeper's words."""

from collections.abc import Iterable
from datetime import UTC, datetime

from keeper.core.model import (
    Allocation,
    BlockedEvaluation,
    ClientStatus,
    Desired,
    Device,
    JobKey,
    JobKind,
    JobStub,
    NodeId,
    Resources,
)
from keeper.nomad import wire
from keeper.nomad.sizes import Size, at_once

CLIENT_STATUSES = {status.value: status for status in ClientStatus}
DESIRED = {desired.value: desired for desired in Desired}
KINDS = {kind.value: kind for kind in JobKind}
NO_PORTS: frozenset[int] = frozenset()
ENDED_DEPLOYMENTS = frozenset({"successful", "failed", "cancelled"})
"""Every other status is an active deployment (https://developer.hashicorp.com/nomad/api-docs/deployments)."""


def to_allocation(stub: wire.AllocationStub) -> Allocation:
    """Translate one allocation of the list. A client status that is not known counts as one that may still run."""
    given = stub["AllocatedResources"]
    devices = [each for task in given["Tasks"].values() for each in task.get("Devices") or ()]
    return Allocation(
        id=stub["ID"],
        job=JobKey(stub["Namespace"], stub["JobID"]),
        group=stub["TaskGroup"],
        kind=KINDS[stub["JobType"]],
        node=NodeId(stub["NodeID"]),
        desired=DESIRED[stub["DesiredStatus"]],
        client=CLIENT_STATUSES.get(stub["ClientStatus"], ClientStatus.UNKNOWN),
        resources=_given(given),
        static_ports=_static_ports(given),
        devices=tuple(Device(d["Vendor"], d["Type"], d["Name"], len(d["DeviceIDs"] or ())) for d in devices),
    )


def to_stub(stub: wire.JobStub) -> JobStub:
    """Translate one job of the list."""
    summary = stub["JobSummary"]
    groups = (summary["Summary"] if summary else None) or {}
    return JobStub(
        key=JobKey(stub["Namespace"], stub["ID"]),
        kind=KINDS[stub["Type"]],
        modify_index=stub["JobModifyIndex"],
        stopped=stub["Stop"],
        queued={name: group["Queued"] for name, group in groups.items()},
        meta=stub.get("Meta") or {},
    )


def to_blocked(evaluation: wire.Evaluation) -> BlockedEvaluation:
    """Translate one blocked evaluation."""
    node, groups = evaluation.get("NodeID"), evaluation.get("FailedTGAllocs") or {}
    created = evaluation.get("CreateTime")
    return BlockedEvaluation(
        job=JobKey(evaluation["Namespace"], evaluation["JobID"]),
        kind=KINDS[evaluation["Type"]],
        node=NodeId(node) if node else None,
        quota=evaluation.get("QuotaLimitReached") or "",
        groups=frozenset(groups),
        exhausted=frozenset(dimension for group in groups.values() for dimension in group["DimensionExhausted"] or ()),
        since=datetime.fromtimestamp(created / 1e9, UTC) if created else None,
    )


def deploying(deployments: Iterable[wire.Deployment]) -> frozenset[JobKey]:
    """The jobs with a deployment that has not ended."""
    return frozenset(
        JobKey(each["Namespace"], each["JobID"]) for each in deployments if each["Status"] not in ENDED_DEPLOYMENTS
    )


def _given(given: wire.AllocatedResources) -> Resources:
    """What an allocation holds on its node."""
    tasks, disk = given["Tasks"], given["Shared"]["DiskMB"]
    if len(tasks) == 1:
        (task,) = tasks.values()
        return Resources(
            task["Cpu"]["CpuShares"], len(task["Cpu"].get("ReservedCores") or ()), task["Memory"]["MemoryMB"], disk
        )
    lifecycles = given.get("TaskLifecycles") or {}
    return at_once(
        (
            (
                Size(task["Cpu"]["CpuShares"], len(task["Cpu"].get("ReservedCores") or ()), task["Memory"]["MemoryMB"]),
                lifecycles.get(name),
            )
            for name, task in tasks.items()
        ),
        disk,
    )


def _static_ports(given: wire.AllocatedResources) -> frozenset[int]:
    """The host ports that an allocation holds by number: its group's, and those that older jobs ask for in their tasks."""
    found = list(given["Shared"].get("Networks") or ())
    for task in given["Tasks"].values():
        found += task.get("Networks") or ()
    if not found:
        return NO_PORTS
    return frozenset(port["Value"] for network in found for port in network.get("ReservedPorts") or ())
