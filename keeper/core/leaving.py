"""What becomes of nodes that leave: kept, waited for, deleted when empty, forgotten when gone. Only what the keeper made."""

from datetime import datetime, timedelta

from keeper.core.draft import Draft
from keeper.core.model import (
    DRAIN_DEADLINE,
    NO_DEADLINE,
    DrainStatus,
    Instance,
    InstanceState,
    Node,
    NodeStatus,
    PoolName,
)
from keeper.core.plan import Delete, Drain, Purge, Reason
from keeper.core.rules import AutoscaleRules
from keeper.core.stock import Stock, is_leaving

SLACK = timedelta(minutes=10)
"""How long past its deadline a drain may still be stopping tasks: `kill_timeout` extends past it (Nomad issue 9902)."""


def tidy(draft: Draft) -> None:
    """Adopt or undo what an earlier tick left behind, before anything else is decided."""
    for stock in draft.stocks.values():
        for node in stock.nodes:
            if _is_half_taken_back(node, draft) and draft.is_free(node):
                draft.reclaim(node, stock.pool.name, Reason.TIDY)
        for node in draft.leaving(stock):
            instance = stock.instance(node.name)
            if instance is not None and instance.protected:
                draft.reclaim(node, stock.pool.name, Reason.TIDY)


def lift_deadlines(draft: Draft) -> None:
    """Batch work that landed on a node before its drain began is waited for without limit.

    Also where the instance is said to be gone: a list may be stale, and a lifted deadline harms nobody.
    """
    for stock in draft.stocks.values():
        for node in stock.nodes:
            ours = node.draining and is_leaving(node, draft.view.memory, draft.rules)
            able = node.status is NodeStatus.READY and draft.is_free(node) and node.id not in draft.reclaims
            if ours and able and draft.load(node).batch and deadline_of(node, draft.rules) is not None:
                draft.lifts.append(Drain(node.id, node.name, stock.pool.name, None, Reason.TIDY))


def deadline_of(node: Node, rules: AutoscaleRules) -> datetime | None:
    """When Nomad stops what is left on a node that leaves, or None when it waits without limit.

    The drain's meta tells; a drain whose meta does not is taken to have the usual deadline.
    """
    last = node.last_drain
    if last is None or last.meta.get(DRAIN_DEADLINE) == NO_DEADLINE:
        return None
    try:
        return datetime.fromisoformat(last.meta[DRAIN_DEADLINE])
    except (KeyError, ValueError):
        return last.started + rules.drain_deadline


def is_through(draft: Draft, node: Node) -> bool:
    """Whether the node may be deleted as far as its work goes: it is empty, or only overdue service work is left.

    A drain that is "complete" proves nothing: with no room nothing has moved, and forced ones complete while tasks run.
    """
    load = draft.load(node)
    if not load.work:
        return True
    deadline = deadline_of(node, draft.rules)
    return not load.batch and deadline is not None and draft.view.now >= deadline + SLACK


def finish(draft: Draft) -> None:
    """Delete the instances that are through and those that never joined; forget the nodes of those that are gone."""
    growing = {growth.pool for growth in draft.view.memory.growths} | draft.reasons.keys()
    for name, stock in draft.stocks.items():
        useless = [each for each in stock.late if each.name.lower() not in draft.others and not each.protected]
        done = [instance for node in draft.leaving_for_good(stock) if (instance := _deletable(draft, stock, node))]
        alive = sum(each.state is not InstanceState.DELETING for each in stock.instances or ())
        spare = max(alive - len(stock.late) - stock.pool.minimum, 0)
        if name in growing and (done or useless):
            draft.reject(f"deleting from {name}", "its growth comes first")
            continue
        if useless:
            _delete(draft, name, useless, Reason.TIDY)
        if done[:spare]:
            _delete(draft, name, done[:spare], Reason.SURPLUS)
    forget_gone(draft)


def forget_gone(draft: Draft) -> None:
    """Purge nodes that are down and whose instance is gone, so that Nomad places their work anew at once."""
    for stock in draft.stocks.values():
        if stock.instances is None:
            continue
        listed = {each.name.lower() for each in stock.instances}
        for node in stock.nodes:
            if node.status is NodeStatus.DOWN and node.name.lower() not in listed and draft.is_free(node):
                draft.purges.append(Purge(node.id, node.name, Reason.TIDY))


def _is_half_taken_back(node: Node, draft: Draft) -> bool:
    """A drain of ours that was cancelled while its node stayed ineligible: taking it back was cut short."""
    last = node.last_drain
    if last is None or last.owner != draft.rules.controller or last.status is not DrainStatus.CANCELED:
        return False
    seen_back = draft.view.memory.returned.get(node.name) == last.updated
    return not seen_back and not node.draining and not node.eligible and node.status is NodeStatus.READY


def _deletable(draft: Draft, stock: Stock, node: Node) -> Instance | None:
    instance = stock.instance(node.name)
    if instance is None or instance.protected or instance.state is InstanceState.DELETING:
        return None
    return instance if is_through(draft, node) else None


def _delete(draft: Draft, pool: PoolName, instances: list[Instance], because: Reason) -> None:
    names, ids = tuple(each.name for each in instances), tuple(each.id for each in instances)
    draft.deletes.append(Delete(pool, names, ids, because))
