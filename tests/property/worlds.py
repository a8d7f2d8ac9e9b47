"""Worlds at random, and what an action does to one: a small pure model of Nomad and Azure for one instant."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from hypothesis import strategies as st

from keeper.core.memory import FailureKind, Growth, GrowthFailure, Memory, Pressure, ScaleRequest, SetAside
from keeper.core.model import (
    DrainStatus,
    InstanceName,
    InstanceState,
    JobKind,
    LastDrain,
    Mode,
    Node,
    NodeStatus,
    Pool,
    PoolName,
    Priority,
    Provisioning,
    Resources,
)
from keeper.core.plan import Action, Delete, Drain, Grow, Plan, Purge, Reclaim
from keeper.core.view import Claim, Gap, View
from tests.property.builders import (
    LONG_AGO,
    NOW,
    RULES,
    allocation,
    blocked,
    group,
    instance,
    job,
    left,
    name_of,
    node,
    pool,
    scale_set,
    stub,
    template,
)

JOBS = (
    job("web", group("g", 1000, 2000, count=4)),
    job("api", group("g", 2500, 3000, count=3), group("side", 500, 500, count=2)),
    job("one", group("g", 500, 500, count=1)),
    job("calm", group("g", 500, 1000, count=3), meta={"keeper_do_not_disrupt": "true"}),
    job("disk", group("g", 500, 1000, count=3, sticky_disk=True)),
    job("data", group("g", 500, 1000, count=3, csi_volumes=frozenset({"v"}))),
    job("crunch", group("g", 1500, 2000, count=5), kind=JobKind.BATCH),
    job("agent", group("g", 100, 100), kind=JobKind.SYSTEM),
    job("huge", group("g", 9000, 1000, count=2)),
    job("elsewhere", group("g", 500, 500, count=2), datacenters=("mars",)),
)

SHAPES = (
    "ready",
    "ready",
    "ready",
    "draining",
    "left",
    "left-batch",
    "theirs",
    "ineligible",
    "down",
    "waking",
    "half-back",
)


def worlds(*, whole: bool = False, refused: bool = True) -> st.SearchStrategy[View]:
    """Any world: a wild one, or a calm one in which something may well leave. See below for the arguments."""
    return calm_worlds(whole=whole) | wild_worlds(whole=whole, refused=refused)


@st.composite
def calm_worlds(draw: st.DrawFn, *, whole: bool = False) -> View:
    """Idle nodes, found unneeded for long, with little work and at most one thing that should keep some of them."""
    pools = draw(_pools())[-2:]
    nodes = [
        _shaped(node(each.name, number), draw(st.sampled_from(CALM)))
        for each in pools
        for number in range(draw(st.integers(1, 3)))
    ]
    trouble = draw(st.sampled_from(TROUBLES[:5] if whole else TROUBLES))
    chosen = draw(st.sampled_from(nodes))
    zones = {each.name: draw(st.sampled_from("12")) for each in nodes}
    listed = {
        p.name: tuple(
            instance(n, zone=zones[n.name], protected=trouble == "protected" and n is chosen)
            for n in nodes
            if n.name.startswith(p.scale_set + "_")
        )
        for p in pools
    }
    claim = Claim(chosen.name, "repair", "r", NOW + timedelta(hours=1))
    return View(
        now=NOW,
        pools=pools,
        memory=Memory(unneeded={n.name: LONG_AGO for n in nodes}),
        nodes=tuple(n for n in nodes if trouble != "unseen" or n is not chosen),
        allocations=_allocations(draw, nodes, most=2),
        job_stubs=tuple(stub(each, int(trouble == "queued" and each is JOBS[0])) for each in JOBS),
        jobs={each.key: each for each in JOBS},
        blocked=(blocked(JOBS[0]),) if trouble == "queued" else (),
        deploying=frozenset({JOBS[0].key}) if trouble == "deploying" else frozenset(),
        scale_sets={p.name: scale_set(p, len(listed[p.name])) for p in pools},
        instances=listed,
        templates={p.name: template(p) for p in pools},
        claims=(claim,) if trouble == "claimed" else (),
        gaps=frozenset({draw(st.sampled_from(Gap))}) if trouble == "gap" else frozenset(),
    )


@st.composite
def wild_worlds(draw: st.DrawFn, *, whole: bool = False, refused: bool = True) -> View:
    """A view that may hold anything: half-done drains, strangers' drains, late instances, old memory, failed reads.

    With `whole` every read succeeded. Without `refused` Nomad refuses nothing that fits: believing it is remembered before
    it is acted upon, so that a crash just then costs another wait.
    """
    pools = draw(_pools())
    nodes: list[Node] = []
    instances: dict[PoolName, list] = {p.name: [] for p in pools}
    for each in pools:
        for number in range(draw(st.integers(0, 4))):
            shape = draw(st.sampled_from(SHAPES))
            zone = draw(st.sampled_from(each.zones)) if each.zones else ""
            made = _shaped(node(each.name, number, node_pool=each.node_pool), shape)
            nodes.append(made)
            if draw(st.integers(0, 9)):
                instances[each.name].append(
                    instance(made, zone=zone, protected=not draw(st.integers(0, 7)), state=_state(draw))
                )
        for number in range(draw(st.integers(0, 2))):
            instances[each.name].append(instance(node(each.name, 50 + number), state=_state(draw)))
    allocations = _allocations(draw, nodes)
    queued = {each.key.id: draw(st.integers(0, 6)) for each in JOBS if not draw(st.integers(0, 2))}
    listed = [p.name for p in pools if draw(st.integers(0, 5))]
    return View(
        now=NOW,
        pools=pools,
        memory=draw(_memories(pools, [n.name for n in nodes], refused=refused)),
        nodes=tuple(nodes),
        allocations=allocations,
        job_stubs=tuple(stub(each, queued.get(each.key.id, 0)) for each in JOBS),
        jobs={each.key: each for each in JOBS if draw(st.integers(0, 19))},
        blocked=tuple(
            blocked(each, quota="" if draw(st.integers(0, 5)) else "team") for each in JOBS if queued.get(each.key.id)
        ),
        deploying=frozenset(each.key for each in JOBS if not draw(st.integers(0, 9))),
        scale_sets={
            p.name: scale_set(
                p,
                max(len(instances[p.name]) + draw(st.integers(-1, 1)), 0),
                provisioning=draw(st.sampled_from([Provisioning.SUCCEEDED] * 3 + [Provisioning.UPDATING])),
            )
            for p in pools
            if whole or draw(st.integers(0, 19))
        },
        instances={name: tuple(instances[name]) for name in listed},
        templates={p.name: template(p) for p in pools if draw(st.integers(0, 9))},
        failures=tuple(_failure(draw, p.name) for p in pools if not draw(st.integers(0, 7))),
        claims=tuple(
            Claim(n.name, draw(st.sampled_from(["repair", RULES.controller])), "r", NOW + timedelta(hours=1))
            for n in nodes
            if not draw(st.integers(0, 9))
        ),
        gaps=frozenset() if whole else draw(st.frozensets(st.sampled_from(Gap), max_size=1)),
    )


CALM = ("ready", "ready", "ready", "ready", "ready", "left", "draining")
TROUBLES = ("none", "protected", "claimed", "deploying", "queued", "gap", "unseen")


@st.composite
def _pools(draw: st.DrawFn) -> tuple[Pool, ...]:
    made = []
    for name in ("general", "spot", "zonal")[: draw(st.integers(1, 3))]:
        least = draw(st.integers(0, 2))
        made.append(
            pool(
                name,
                minimum=least,
                maximum=least + draw(st.integers(0, 5)),
                mode=draw(st.sampled_from(Mode)),
                order=draw(st.sampled_from([10, 20])),
                price=draw(st.sampled_from([0.1, 0.5])),
                priority=Priority.SPOT if name == "spot" else Priority.REGULAR,
                zones=("1", "2") if name == "zonal" else (),
                headroom=draw(st.sampled_from([Resources(), Resources(), Resources(cpu=4000, memory=4000)])),
            )
        )
    return tuple(made)


def _shaped(plain: Node, shape: str) -> Node:
    stranger = LastDrain(DrainStatus.COMPLETE, LONG_AGO, LONG_AGO, {"drained_by": "a person"})
    over = left(plain)
    assert over.last_drain is not None
    return {
        "ready": plain,
        "draining": left(plain, over=False),
        "left": over,
        "left-batch": left(plain, batch=True, over=False),
        "theirs": replace(plain, eligible=False, last_drain=stranger),
        "ineligible": replace(plain, eligible=False),
        "down": replace(plain, status=NodeStatus.DOWN),
        "waking": replace(plain, status=NodeStatus.INITIALIZING),
        "half-back": replace(over, last_drain=replace(over.last_drain, status=DrainStatus.CANCELED)),
    }[shape]


def _state(draw: st.DrawFn) -> InstanceState:
    return draw(st.sampled_from([InstanceState.RUNNING] * 6 + list(InstanceState)))


def _allocations(draw: st.DrawFn, nodes: list[Node], *, most: int = 3) -> tuple:
    made = []
    for each in nodes:
        for number in range(draw(st.integers(0, most))):
            spec = draw(st.sampled_from(JOBS[:8]))
            made.append(allocation(spec, each, number))
    return tuple(made)


def _failure(draw: st.DrawFn, name: PoolName) -> GrowthFailure:
    kind = draw(st.sampled_from(FailureKind))
    return GrowthFailure(name, kind, NOW, kind, "no", cores_left=draw(st.sampled_from([None, 0, 5, 9])))


@st.composite
def _memories(draw: st.DrawFn, pools: Sequence[Pool], names: Sequence[InstanceName], *, refused: bool) -> Memory:
    since = st.sampled_from([LONG_AGO, LONG_AGO, NOW - timedelta(minutes=1)])
    ages = st.sampled_from([NOW - timedelta(minutes=2), NOW - timedelta(minutes=30)])
    kinds = st.sampled_from(FailureKind)
    return Memory(
        paused="maintenance" if not draw(st.integers(0, 19)) else None,
        unneeded={name: draw(since) for name in names if draw(st.integers(0, 3))},
        first_seen={name_of(p.name, 50 + n): draw(since) for p in pools for n in range(2) if draw(st.booleans())},
        pressures=tuple(
            Pressure(f"a-{p.name}", "cpu", p.name, NOW - timedelta(minutes=9), NOW + timedelta(hours=1), draw(ages))
            for p in pools
            if not draw(st.integers(0, 5))
        ),
        requests=tuple(
            ScaleRequest("op", p.name, draw(st.integers(p.minimum, p.maximum)), NOW, NOW + timedelta(hours=1))
            for p in pools
            if not draw(st.integers(0, 5))
        ),
        set_asides=tuple(
            SetAside(
                draw(kinds),
                p.name,
                NOW + timedelta(minutes=5),
                1,
                LONG_AGO,
                cores_left=draw(st.sampled_from([None, 5])),
            )
            for p in pools
            if not draw(st.integers(0, 7))
        ),
        growths=tuple(
            Growth(p.name, draw(ages), 1, draw(st.integers(1, 4)), draw(st.sampled_from([None, "op"])))
            for p in pools
            if not draw(st.integers(0, 5))
        ),
        refused={(each.key, "g"): draw(ages) for each in JOBS[:3] if refused and not draw(st.integers(0, 3))},
    )


def shuffled(view: View, draw: st.DrawFn) -> View:
    """The same world, told in another order."""
    return replace(
        view,
        pools=tuple(draw(st.permutations(view.pools))),
        nodes=tuple(draw(st.permutations(view.nodes))),
        allocations=tuple(draw(st.permutations(view.allocations))),
        job_stubs=tuple(draw(st.permutations(view.job_stubs))),
        blocked=tuple(draw(st.permutations(view.blocked))),
        instances={name: tuple(draw(st.permutations(each))) for name, each in reversed(view.instances.items())},
        scale_sets=dict(reversed(view.scale_sets.items())),
        templates=dict(reversed(view.templates.items())),
        jobs=dict(reversed(view.jobs.items())),
    )


def after(view: View, plan: Plan, done: int | None = None) -> View:
    """The world after the plan's memory was stored and its first `done` actions were carried out."""
    view = replace(view, memory=plan.memory, failures=(), finished=frozenset())
    for action in plan.actions[:done]:
        view = _after(view, action)
    return view


def _after(view: View, action: Action) -> View:
    match action:
        case Grow():
            return _grown(view, action)
        case Drain():
            carries = any(each.node == action.node for each in view.allocations)
            status = DrainStatus.DRAINING if carries else DrainStatus.COMPLETE
            last = LastDrain(status, view.now, view.now, action.meta(RULES.controller, view.now))
            return _with_node(view, action.node, eligible=False, draining=carries, last_drain=last)
        case Reclaim():
            found = next(n for n in view.nodes if n.id == action.node)
            last = found.last_drain
            if found.draining and last is not None:
                last = replace(last, status=DrainStatus.CANCELED)
            return _with_node(view, action.node, eligible=True, draining=False, last_drain=last)
        case Delete():
            return _deleted(view, action)
        case Purge():
            lost = tuple(each for each in view.allocations if each.node != action.node)
            return replace(view, nodes=tuple(n for n in view.nodes if n.id != action.node), allocations=lost)


def _grown(view: View, action: Grow) -> View:
    """A Uniform scale set comes to its goal, a Flexible one gets the difference."""
    before = view.scale_sets[action.pool]
    grown = replace(before, capacity=action.target, etag="new")
    view = replace(view, scale_sets={**view.scale_sets, action.pool: grown})
    there = view.instances.get(action.pool)
    if there is None:
        return view
    flexible = next(pool.mode is Mode.FLEXIBLE for pool in view.pools if pool.name == action.pool)
    more = action.target - (before.capacity if flexible else sum(i.state is not InstanceState.DELETING for i in there))
    new = tuple(instance(node(action.pool, 100 + len(there) + n), created=view.now) for n in range(more))
    return replace(view, instances={**view.instances, action.pool: there + new})


def _deleted(view: View, action: Delete) -> View:
    found = view.scale_sets[action.pool]
    smaller = replace(found, capacity=max(found.capacity - len(action.instances), 0))
    kept = tuple(each for each in view.instances[action.pool] if each.name not in action.instances)
    view = replace(
        view,
        scale_sets={**view.scale_sets, action.pool: smaller},
        instances={**view.instances, action.pool: kept},
    )
    for each in view.nodes:
        if each.name in action.instances:
            view = _with_node(view, each.id, status=NodeStatus.DOWN)
            view = replace(view, allocations=tuple(a for a in view.allocations if a.node != each.id))
    return view


def _with_node(view: View, node_id: str, **changes: object) -> View:
    return replace(view, nodes=tuple(replace(n, **changes) if n.id == node_id else n for n in view.nodes))
