"""What waits: allocations that Nomad wants to place and cannot; and which jobs a tick has to read for it.

How many comes from the jobs' summaries, for it falls with each placement; why they wait comes from blocked evaluations,
which may be stale and are never counted by (recordings/nomad-1.6.5, Demand). Work that follows nodes and work that a
quota holds back asks for no machine.
"""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from keeper.core.asks import Ask, ask
from keeper.core.candidates import candidates
from keeper.core.load import loads_of
from keeper.core.model import JobKey, JobStub
from keeper.core.plan import Rejected
from keeper.core.rules import AutoscaleRules
from keeper.core.stock import gaps_of, take_stock
from keeper.core.view import Gap, View

MOST_JOBS = 40
"""How many jobs a tick reads at most in order to prove that their work fits elsewhere."""


class Demand(NamedTuple):
    """What waits, in the order in which Nomad serves it, and what waits for something else than machines."""

    asks: tuple[Ask, ...]
    rejected: tuple[Rejected, ...]


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


def jobs_wanted(view: View, rules: AutoscaleRules) -> tuple[JobStub, ...]:
    """The jobs whose specifications this tick needs, sorted by key: those that wait, and those of nodes that might go."""
    stubs = {stub.key: stub for stub in view.job_stubs}
    wanted = {stub.key for stub in waiting(view)}
    if not gaps_of(view):
        wanted |= _jobs_of_candidates(view, rules)
    return tuple(stubs[key] for key in sorted(wanted & stubs.keys()))


def _jobs_of_candidates(view: View, rules: AutoscaleRules) -> set[JobKey]:
    loads, found = loads_of(view), set[JobKey]()
    for candidate in candidates(view, take_stock(view, rules), loads):
        jobs = {each.job for each in candidate.load.work}
        if len(found | jobs) > MOST_JOBS:
            break
        found |= jobs
    return found
