"""What waits: allocations that Nomad wants to place and cannot.

How many comes from the jobs' summaries, for it falls with each placement; why they wait comes from blocked evaluations,
which may be stale and are never counted by (recordings/nomad-1.6.5, Demand). Work that follows nodes and work that a
quota holds back asks for no machine.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

from keeper.core.model import JobKey, JobSpec, JobStub, TaskGroup
from keeper.core.places import Needs, needs_of
from keeper.core.plan import Rejected
from keeper.core.view import Gap, View

type AskKey = tuple[JobKey, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """So many equal allocations of one task group that need a place."""

    spec: JobSpec
    group: TaskGroup
    count: int
    needs: Needs

    @property
    def key(self) -> AskKey:
        """The job and the task group."""
        return self.spec.key, self.group.name

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.spec.key.id}/{self.group.name}"

    def of(self, count: int) -> "Ask":
        """The same ask for another number of allocations."""
        return replace(self, count=count)


class Demand(NamedTuple):
    """What waits, in the order in which Nomad serves it, and what waits for something else than machines."""

    asks: tuple[Ask, ...]
    rejected: tuple[Rejected, ...]


def ask(spec: JobSpec, group: TaskGroup, count: int) -> Ask:
    """An ask with its needs spelled out."""
    return Ask(spec, group, count, needs_of(spec, group))


def waiting(view: View) -> tuple[JobStub, ...]:
    """The jobs whose queued work asks for machines, sorted by their keys."""
    return tuple(stub for stub, why in _queued(view) if why is None)


def demand_of(view: View) -> Demand:
    """Every ask of the view. A job that was not read cannot be sized, which is said and not guessed."""
    asks: list[Ask] = []
    rejected = [Rejected(stub.key.id, why) for stub, why in _queued(view) if why]
    for stub in waiting(view):
        spec = view.jobs.get(stub.key)
        if spec is None:
            rejected.append(Rejected(stub.key.id, "its specification was not read"))
            continue
        for name, count in sorted(stub.queued.items()):
            if count > 0 and name in spec.groups:
                asks.append(ask(spec, spec.groups[name], count))
    asks.sort(key=lambda each: (-each.spec.priority, each.key))
    return Demand(tuple(asks), tuple(rejected))


def _queued(view: View) -> Iterator[tuple[JobStub, str | None]]:
    """Jobs with queued work that nodes could serve, and why they wait for something else, if they do."""
    reasons = _why_blocked(view)
    for stub in sorted(view.job_stubs, key=lambda stub: stub.key):
        if stub.kind.follows_nodes or stub.stopped or not any(count > 0 for count in stub.queued.values()):
            continue
        yield stub, reasons.get(stub.key, _SETTLING if Gap.EVALUATIONS not in view.gaps else None)


_SETTLING = "settling: Nomad has not given up on it"


def _why_blocked(view: View) -> Mapping[JobKey, str | None]:
    """For each job with a blocked evaluation: None when it waits for room, else what it waits for."""
    found: dict[JobKey, str | None] = {}
    for blocked in view.blocked:
        if blocked.node is not None or blocked.kind.follows_nodes:
            continue
        if not blocked.quota:
            found[blocked.job] = None
        else:
            found.setdefault(blocked.job, f"waits for quota {blocked.quota}, not for machines")
    return found


def merge(*wanted: Iterable[JobStub]) -> tuple[JobStub, ...]:
    """Each job once, sorted by its key."""
    return tuple(stub for _, stub in sorted({stub.key: stub for stubs in wanted for stub in stubs}.items()))
