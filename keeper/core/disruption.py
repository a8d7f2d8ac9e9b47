"""Why a node must stay: work that would be harmed by moving, or that asked to be left alone."""

from collections.abc import Mapping

from keeper.core.model import Allocation, JobKey, JobKind, JobSpec, TaskGroup
from keeper.core.view import View

DO_NOT_DISRUPT = ("keeper_do_not_disrupt", "do_not_disrupt")
"""Keys of a job's meta. Any of these values says yes."""

TRUTHS = frozenset({"1", "true", "t", "yes", "y", "on"})


def asks_to_stay(meta: Mapping[str, str]) -> bool:
    """Whether a job's meta asks that it be left alone."""
    return any(meta.get(key, "").strip().lower() in TRUTHS for key in DO_NOT_DISRUPT)


def metas(view: View) -> Mapping[JobKey, bool]:
    """Which jobs ask to be left alone, by stub or by specification: either is enough."""
    found = {stub.key: asks_to_stay(stub.meta) for stub in view.job_stubs}
    for key, spec in view.jobs.items():
        found[key] = found.get(key, False) or asks_to_stay(spec.meta)
    return found


def objection(allocation: Allocation, view: View, stay: Mapping[JobKey, bool]) -> str | None:
    """Why the allocation keeps its node, or None when it may move or, being batch work, is waited for."""
    job = allocation.job.id
    if stay.get(allocation.job, False):
        return f"{job} asks not to be disrupted"
    spec = view.jobs.get(allocation.job)
    group = spec.groups.get(allocation.group) if spec else None
    if spec is None or group is None:
        return f"the specification of {job} was not read"
    if allocation.kind is JobKind.BATCH:
        return None
    if allocation.job in view.deploying:
        return f"{job} has an active deployment"
    return _bound(spec, group)


def _bound(spec: JobSpec, group: TaskGroup) -> str | None:
    name = f"{spec.key.id}/{group.name}"
    if group.csi_volumes or group.host_volumes:
        return f"{name} is bound to a volume"
    if group.sticky_disk:
        return f"{name} keeps its disk"
    if group.count <= 1:
        return f"{name} is the only one of its group"
    return None
