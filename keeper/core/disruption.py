"""Why a node must stay: work that would be harmed by moving, or that asked to be left alone."""

from collections.abc import Iterable, Mapping

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


class Objections:
    """Answers for one view why work keeps its node; equal work is asked about once."""

    def __init__(self, view: View) -> None:
        self._view = view
        self._stay = metas(view)
        self._known: dict[tuple[JobKey, str, JobKind], str | None] = {}

    def of(self, work: Iterable[Allocation]) -> list[str]:
        """Every objection once, sorted; none when all may move or, being batch work, is waited for."""
        kinds = {(each.job, each.group, each.kind) for each in work}
        return sorted({why for kind in kinds if (why := self._ask(*kind)) is not None})

    def _ask(self, job: JobKey, group: str, kind: JobKind) -> str | None:
        key = (job, group, kind)
        if key not in self._known:
            self._known[key] = self._objection(job, group, kind)
        return self._known[key]

    def _objection(self, job: JobKey, name: str, kind: JobKind) -> str | None:
        if self._stay.get(job, False):
            return f"{job.id} asks not to be disrupted"
        spec = self._view.jobs.get(job)
        group = spec.groups.get(name) if spec else None
        if spec is None or group is None:
            return f"the specification of {job.id} was not read"
        if kind is JobKind.BATCH:
            return None
        if job in self._view.deploying:
            return f"{job.id} has an active deployment"
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
