"""Which instances nobody needs, and which of them start to leave now.

An instance is unneeded when all its work provably fits elsewhere with the headroom kept and nobody objects. The proof is
cumulative: all that are found could go together, so any of them may.
"""

from collections import Counter
from dataclasses import replace
from math import ceil

from keeper.core.asks import ask
from keeper.core.bins import Bin
from keeper.core.candidates import Candidate, candidates
from keeper.core.disruption import Objections
from keeper.core.draft import Draft
from keeper.core.fit import Move
from keeper.core.model import DrainStatus, Instance, InstanceState, JobKey, JobKind, PoolName, Resources
from keeper.core.plan import Drain, Reason
from keeper.core.pressure import is_pressed
from keeper.core.rules import AutoscaleRules
from keeper.core.stock import Stock, zone_counts

MOST_FAILED_PROOFS = 32
"""After so many nodes whose work fits nowhere, those with more work are not asked."""


def find_unneeded(draft: Draft) -> list[Candidate]:
    """The instances that could all go together, best first; since when is remembered."""
    found: list[Candidate] = []
    taken: Counter[PoolName] = Counter()
    objections = Objections(draft.view)
    bins = {each.node.id: each for shelf in draft.free.shelves for each in shelf.bins if each.node is not None}
    failed = 0
    for each in candidates(draft.view, draft.stocks, draft.loads):
        name = each.stock.pool.name
        why = _keeps_pool(draft, each.stock, taken[name]) or _keeps_node(draft, each, objections)
        if why is None and not _fits_elsewhere(draft, each, bins[each.node.id]):
            failed += 1
            why = "its work would not fit elsewhere with the headroom kept"
        if why is None:
            taken[name] += 1
            found.append(each)
        else:
            draft.reject(each.node.name, why)
        if failed >= MOST_FAILED_PROOFS:
            break
    known, now = draft.view.memory.unneeded, draft.view.now
    unneeded = {each.node.name: known.get(each.node.name, now) for each in found}
    draft.remember(replace(draft.view.memory, unneeded=dict(sorted(unneeded.items()))))
    return found


def start_drains(draft: Draft, unneeded: list[Candidate]) -> None:
    """Drain those that have been unneeded long enough, fewest disturbed allocations first, as far as budgets go."""
    moving = _moving_jobs(draft)
    zones = {name: zone_counts(stock) for name, stock in draft.stocks.items()}
    for each in sorted(unneeded, key=lambda each: len(each.load.work)):
        why = _not_now(draft, each, moving, zones[each.stock.pool.name])
        if why is not None:
            draft.reject(each.node.name, why)
            continue
        instance = each.stock.instance(each.node.name)
        zones[each.stock.pool.name][instance.zone if instance else ""] -= 1
        moving |= _service_jobs(each)
        deadline = None if each.load.batch else draft.rules.drain_deadline
        draft.drains.append(Drain(each.node.id, each.node.name, each.stock.pool.name, deadline, Reason.SURPLUS))


def budget_of(stock: Stock, rules: AutoscaleRules) -> int:
    """How many nodes of the pool may leave at once."""
    share = ceil((len(stock.ready) + len(stock.leaving)) * rules.max_draining_percent / 100)
    return max(rules.max_draining, share)


def floor_of(draft: Draft, stock: Stock) -> int:
    """The least instances the pool keeps: its minimum, or what somebody asked for."""
    asked = [each.count for each in draft.view.memory.requests if each.pool == stock.pool.name]
    return max(stock.pool.minimum, *asked, 0)


def _keeps_pool(draft: Draft, stock: Stock, taken: int) -> str | None:
    name, memory = stock.pool.name, draft.view.memory
    if is_pressed(memory, name, draft.view.now):
        return f"an alert presses on {name}"
    if stock.upcoming or name in draft.reasons or any(each.pool == name for each in draft.reclaims.values()):
        return f"{name} is growing"
    if name in draft.wanted:
        return f"{name} could serve work that waits"
    if len(stock.ready) - taken <= floor_of(draft, stock):
        return f"{name} keeps {floor_of(draft, stock)}"
    return None


def _keeps_node(draft: Draft, each: Candidate, objections: Objections) -> str | None:
    if not draft.is_free(each.node):
        return "another controller claims it"
    if each.node.id in draft.needed:
        return "waiting work will land on it"
    instance = each.stock.instance(each.node.name)
    if instance is not None and instance.protected:
        return "its instance is protected"
    return next(iter(objections.of(each.load.work)), None)


def _fits_elsewhere(draft: Draft, each: Candidate, own: Bin) -> bool:
    """Move all its work to the other nodes, for the rest of this tick when that succeeds, else not at all."""
    shelf = draft.free.shelf(own)
    shelf.remove(own)
    moves = list[Move]()
    groups = Counter((allocation.job, allocation.group) for allocation in each.load.work)
    for (job, group), count in sorted(groups.items()):
        spec = draft.view.jobs[job]
        if draft.free.place(ask(spec, spec.groups[group], count), moves) < count:
            break
    else:
        if _keeps_headroom(draft, each.stock):
            return True
    draft.free.undo(moves)
    shelf.put_back(own)
    return False


def _keeps_headroom(draft: Draft, stock: Stock) -> bool:
    headroom = stock.pool.headroom
    if headroom == Resources():
        return True
    own = {node.id for node in stock.ready}
    free = Resources()
    for shelf in draft.free.shelves:
        for each in shelf.bins:
            if each.node is not None and each.node.id in own:
                free += each.free()
    return free.covers(headroom)


def _service_jobs(each: Candidate) -> set[JobKey]:
    return {allocation.job for allocation in each.load.work if allocation.kind is JobKind.SERVICE}


def _moving_jobs(draft: Draft) -> set[JobKey]:
    """Service jobs that a running drain moves. Drains that share a job are staggered (Nomad issue 25979)."""
    draining = (
        node
        for node in draft.view.nodes
        if node.draining or (node.last_drain is not None and node.last_drain.status is DrainStatus.DRAINING)
    )
    return {each.job for node in draining for each in draft.load(node).work if each.kind is JobKind.SERVICE}


def _not_now(draft: Draft, each: Candidate, moving: set[JobKey], zones: Counter[str]) -> str | None:
    stock, now = each.stock, draft.view.now
    since = draft.view.memory.unneeded[each.node.name]
    if now - since < draft.rules.unneeded_for and not _is_asked_to_shrink(draft, stock):
        return f"unneeded since {since:%H:%M:%S}"
    grew = draft.view.memory.grew.get(stock.pool.name)
    if grew is not None and now - grew < draft.rules.settle_for:
        return f"{stock.pool.name} grew at {grew:%H:%M:%S} and settles"
    instance = stock.instance(each.node.name)
    if instance is None or instance.state is not InstanceState.RUNNING:
        return "its instance was not seen running"
    return _budget(draft, stock) or _stagger(each, moving) or _balance(instance, stock, zones)


def _is_asked_to_shrink(draft: Draft, stock: Stock) -> bool:
    return any(
        each.pool == stock.pool.name and each.count < draft.staying(stock) for each in draft.view.memory.requests
    )


def _budget(draft: Draft, stock: Stock) -> str | None:
    leaving = len(stock.leaving) + sum(each.pool == stock.pool.name for each in draft.drains)
    budget = budget_of(stock, draft.rules)
    return f"{leaving} of at most {budget} are leaving {stock.pool.name}" if leaving >= budget else None


def _stagger(each: Candidate, moving: set[JobKey]) -> str | None:
    shared = sorted(_service_jobs(each) & moving)
    return f"{shared[0].id} is being moved by another drain" if shared else None


def _balance(instance: Instance, stock: Stock, zones: Counter[str]) -> str | None:
    """A pool over several zones keeps its balance: none becomes more than one larger than another because of the keeper."""
    if len(stock.pool.zones) <= 1:
        return None
    after = zones.copy()
    after[instance.zone] -= 1
    before, then = (max(each.values()) - min(each.values()) for each in (zones, after))
    return f"zone {instance.zone} has too few instances" if then > max(before, 1) else None
