"""Waiting work is served from the cheapest source that fits: free room, nodes that leave, what is upcoming, new instances.

Work that fits into free room is Nomad's to place. When Nomad has refused it for a while, it knows something that the keeper
does not, and is believed: the work is served as if there were no free room.
"""

from dataclasses import replace

from keeper.core.asks import Ask, AskKey
from keeper.core.constraints import Verdict
from keeper.core.demand import demand_of
from keeper.core.draft import Draft
from keeper.core.fit import Room, fill
from keeper.core.model import PoolName, TemplateSource
from keeper.core.plan import Reason
from keeper.core.view import Gap

MOST_DOUBLINGS = 10
"""The wait before Nomad is believed again stops growing after so many times."""


def serve(draft: Draft) -> None:
    """Serve all demand, and remember since when Nomad refuses what fits."""
    asks, rejected = demand_of(draft.view)
    draft.rejected += rejected
    believed = {ask.key for ask in asks if _is_believed(ask.key, draft)}

    left, moves = fill(draft.free, [ask for ask in asks if ask.key not in believed])
    draft.use([move.bin for move in moves])
    left = [ask for ask in asks if ask.key in believed] + left
    left = _take_back(draft, left)
    left = _wait(draft, left)
    left = _buy(draft, left)
    left = _try(draft, left)
    for ask in left:
        _report(draft, ask)

    fitting = {move.ask.key for move in moves}
    _remember(draft, asks, fitting, believed - {ask.key for ask in left})


def _is_believed(key: AskKey, draft: Draft) -> bool:
    memory, rules = draft.view.memory, draft.rules
    since = memory.refused.get(key)
    doublings = min(memory.believed.get(key, 0), MOST_DOUBLINGS)
    waited = since is not None and draft.view.now - since >= rules.believe_after * 2**doublings
    return waited or (key in memory.believed and since in draft.lost_growths())


def _take_back(draft: Draft, asks: list[Ask]) -> list[Ask]:
    """Nodes that leave are asked before anything is bought; only those that help are taken back, if they were not yet."""
    if not asks:
        return asks
    back = [node for stock in draft.stocks.values() for node in stock.nodes if node.id in draft.reclaims]
    asks, _ = fill(draft.rooms.of_nodes(back), asks)
    pools = {node.id: (node, stock.pool.name) for stock in draft.stocks.values() for node in draft.leaving(stock)}
    left, moves = fill(draft.rooms.of_nodes(node for node, _ in pools.values()), asks)
    for used in dict.fromkeys(move.bin.node.id for move in moves if move.bin.node is not None):
        node, pool = pools[used]
        draft.reclaim(node, pool, Reason.RECLAIM)
    draft.use([move.bin for move in moves])
    return left


def _wait(draft: Draft, asks: list[Ask]) -> list[Ask]:
    """What was bought and has not joined yet is counted before more is bought, this tick's own purchases included."""
    if not asks:
        return asks
    coming = {name: stock.upcoming + draft.market.offers[name].bought for name, stock in draft.stocks.items()}
    shelves = [draft.rooms.of_new(name, count) for name, count in coming.items() if count]
    left, _ = fill(Room(shelf for shelf in shelves if shelf is not None), asks)
    return left


def _buy(draft: Draft, asks: list[Ask]) -> list[Ask]:
    if not asks:
        return asks
    before = {name: offer.bought for name, offer in draft.market.offers.items()}
    left = draft.market.shop(asks)
    for name, offer in draft.market.offers.items():
        if offer.bought > before[name]:
            draft.reasons[name] = Reason.DEMAND
    return left


def _try(draft: Draft, asks: list[Ask]) -> list[Ask]:
    """Where one cannot tell whether work would run, a single instance is bought to see."""
    return [ask for ask in asks if not _is_tried(draft, ask)]


def _is_tried(draft: Draft, ask: Ask) -> bool:
    for name, stock in draft.stocks.items():
        if draft.market.could_ever(name, ask)[0] is not Verdict.UNKNOWN:
            continue
        if stock.upcoming or draft.market.offers[name].bought:
            return True
        if _may_try(draft, name) and draft.buy(stock, 1, Reason.DEMAND):
            return True
    return False


def _may_try(draft: Draft, name: PoolName) -> bool:
    """A pool with ready nodes is learnt from first; then what is still unknown differs from instance to instance.

    Instances that were tried in vain stand idle. One in each zone is enough: the next would be like one of them.
    """
    stock, learnt = draft.stocks[name], draft.view.templates[name].source is TemplateSource.SEEN
    idle = sum(not draft.load(node).work for node in stock.ready)
    tried = idle >= max(len(stock.pool.zones), 1)
    return ((learnt and not tried) or not stock.ready) and draft.market.room(name)[0] > 0


def _report(draft: Draft, ask: Ask) -> None:
    """Say why an ask is not bought for: because no pool could ever run it, or because none may grow now."""
    verdicts = {name: draft.market.could_ever(name, ask) for name in draft.stocks}
    able = [name for name, (verdict, _) in verdicts.items() if verdict is not Verdict.FAILS]
    draft.wanted.update(able)
    if able:
        whys = [f"{name}: {_why_not(draft, name, *verdicts[name])}" for name in able]
        draft.reject(f"{ask.count} of {ask.name}", f"waits: {'; '.join(whys)}")
    else:
        whys = [f"{name}: {why}" for name, (_, why) in verdicts.items()]
        draft.reject(f"{ask.count} of {ask.name}", f"infeasible: {'; '.join(whys) or 'there is no pool'}")


def _why_not(draft: Draft, name: PoolName, verdict: Verdict, why: str) -> str:
    """Why a pool that may be able to run work gets no instance for it now."""
    room, limit = draft.market.room(name)
    return f"tried in vain: {why}" if verdict is Verdict.UNKNOWN and room else limit


def _remember(draft: Draft, asks: tuple[Ask, ...], fitting: set[AskKey], served: set[AskKey]) -> None:
    """Believing Nomad once starts the clock anew, and it runs twice as long."""
    memory, now = draft.view.memory, draft.view.now
    if Gap.JOBS in draft.gaps:
        return
    keys = {ask.key for ask in asks}
    refused = {key: since for key, since in memory.refused.items() if key in keys and key not in served}
    refused |= {key: now for key in keys & (fitting | served) if key not in refused}
    believed = {key: times for key, times in memory.believed.items() if key in keys}
    believed |= {key: believed.get(key, 0) + 1 for key in served}
    draft.remember(replace(memory, refused=_sorted(refused), believed=_sorted(believed)))


def _sorted[K, V](given: dict[K, V]) -> dict[K, V]:
    return {key: given[key] for key in sorted(given, key=str)}
