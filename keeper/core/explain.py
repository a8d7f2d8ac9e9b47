"""One sentence for a plan, and the record that a tick leaves: what it saw, chose, rejected, and what cut it."""

from collections import Counter
from collections.abc import Iterable, Mapping

from keeper.core.model import PoolName
from keeper.core.plan import Action, Delete, Drain, Grow, Plan, Purge, Reason, Reclaim
from keeper.core.stock import Stock, gaps_of
from keeper.core.view import Gap, View

STRONGEST_FIRST = (
    Reason.DEMAND,
    Reason.PRESSURE,
    Reason.FLOOR,
    Reason.REQUEST,
    Reason.RECLAIM,
    Reason.SURPLUS,
    Reason.TIDY,
)

MOST_LISTED = 50
"""A record lists at most so many rejections; how many there were is always told."""


def reason_of(plan: Plan, *, blind: bool) -> Reason:
    """The strongest reason of all actions; without any, whether the tick was steady or blind."""
    reasons = {action.because for action in plan.actions}
    found = next((reason for reason in STRONGEST_FIRST if reason in reasons), None)
    return found or (Reason.BLIND if blind else Reason.STEADY)


def sentence(plan: Plan, view: View, stocks: Mapping[PoolName, Stock], gaps: Iterable[Gap]) -> str:
    """What a person wants to read: what is there, what waits, what is done."""
    ready = sum(len(stock.ready) for stock in stocks.values())
    upcoming = sum(stock.upcoming for stock in stocks.values())
    queued = sum(sum(stub.queued.values()) for stub in view.job_stubs if not stub.kind.follows_nodes)
    state = [f"{ready} ready"]
    state += [f"{upcoming} upcoming"] if upcoming else []
    state += [f"{queued} queued"] if queued else []
    state += [f"{name} at {percent:.0f} % CPU" for name, percent in sorted(view.cpu.items())]
    state += [f"not seen: {', '.join(sorted(gaps))}"] if gaps else []
    doing = [_words(action) for action in plan.actions]
    return f"{', '.join(state)} → {'; '.join(doing) if doing else 'nothing to do'}"


def record(plan: Plan, view: View) -> dict[str, object]:
    """The decision record, ready for JSON."""
    return {
        "at": view.now.isoformat(),
        "reason": plan.reason,
        "sentence": plan.sentence or plan.reason,
        "saw": _saw(view),
        "chose": [_action(action) for action in plan.actions],
        "rejected": [{"what": each.what, "why": each.why} for each in plan.rejected[:MOST_LISTED]],
        "rejected_count": len(plan.rejected),
        "cuts": [{"guard": each.guard, "what": each.what} for each in plan.cuts],
    }


def _words(action: Action) -> str:
    match action:
        case Grow():
            return f"grow {action.pool} {action.before} → {action.target} ({action.because})"
        case Drain() if action.because is Reason.TIDY:
            return f"lift the deadline of {action.instance} (batch work)"
        case Drain():
            return f"drain {action.instance} ({action.because})"
        case Reclaim():
            return f"take back {action.instance} ({action.because})"
        case Delete():
            return f"delete {', '.join(action.instances)} ({action.because})"
        case Purge():
            return f"forget {action.instance} ({action.because})"


def _action(action: Action) -> dict[str, object]:
    common: dict[str, object] = {"action": type(action).__name__.lower(), "because": action.because}
    match action:
        case Grow():
            return common | {"pool": action.pool, "before": action.before, "target": action.target}
        case Drain():
            seconds = None if action.deadline is None else action.deadline.total_seconds()
            return common | {"pool": action.pool, "instance": action.instance, "deadline_seconds": seconds}
        case Reclaim():
            return common | {"pool": action.pool, "instance": action.instance}
        case Delete():
            return common | {"pool": action.pool, "instances": list(action.instances)}
        case Purge():
            return common | {"instance": action.instance}


def _saw(view: View) -> dict[str, object]:
    statuses = Counter("ready" if node.ready else "draining" if node.draining else node.status for node in view.nodes)
    return {
        "nodes": dict(sorted(statuses.items())),
        "allocations": sum(allocation.live for allocation in view.allocations),
        "queued": sum(sum(stub.queued.values()) for stub in view.job_stubs if not stub.kind.follows_nodes),
        "blocked": len(view.blocked),
        "capacity": {name: scale_set.capacity for name, scale_set in sorted(view.scale_sets.items())},
        "cpu": {name: round(percent, 1) for name, percent in sorted(view.cpu.items())},
        "pressures": len([each for each in view.memory.pressures if each.resolved is None]),
        "set_asides": len(view.memory.set_asides),
        "failures": [f"{each.pool}: {each.kind}" for each in view.failures],
        "gaps": sorted(gaps_of(view)),
    }
