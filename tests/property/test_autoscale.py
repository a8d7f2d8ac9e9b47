"""What no plan ever does, whatever the world and the memory are."""

from datetime import datetime

from hypothesis import given
from hypothesis import strategies as st

from keeper.core import guards, scaling
from keeper.core.model import (
    DRAIN_DEADLINE,
    NO_DEADLINE,
    InstanceState,
    JobKind,
    Node,
    NodeStatus,
    Pool,
    TemplateSource,
)
from keeper.core.plan import Action, Delete, Drain, Grow, Plan, Purge, Reclaim
from keeper.core.rules import AutoscaleRules
from keeper.core.view import View
from tests.property.builders import RULES
from tests.property.worlds import after, shuffled, worlds


def plan_of(view: View, rules: AutoscaleRules = RULES):
    return scaling.plan_autoscale(view, rules)


GENEROUS = AutoscaleRules(max_draining=9)
"""With no budget in the way, other rules have to hold by themselves."""


def carries(view: View, node: Node, *kinds: JobKind) -> bool:
    return any(each.live and each.node == node.id and each.kind in kinds for each in view.allocations)


def named(view: View, name: str) -> list[Node]:
    return [node for node in view.nodes if node.name == name]


def to_be(view: View, action: Grow) -> int:
    """How many machines the pool has once the growth is over, by what its scale set makes of a new capacity."""
    then = after(view, Plan((action,), action.because, "", view.memory))
    listed = then.instances.get(action.pool)
    alive = [each for each in listed or () if each.state is not InstanceState.DELETING]
    return len(alive) if listed is not None else action.target


@given(view=worlds(), rules=st.sampled_from([RULES, GENEROUS]))
def test_no_plan_breaks_a_guard(view, rules):
    assert guards.check(plan_of(view, rules), view, rules) == []


@given(view=worlds())
def test_no_pool_leaves_its_bounds(view):
    plan = plan_of(view, GENEROUS)
    pools = {pool.name: pool for pool in view.pools}
    for action in plan.actions:
        match action:
            case Grow():
                assert to_be(view, action) <= pools[action.pool].maximum
            case Drain() if action.deadline is not None:
                drained = {each.node for each in plan.actions if isinstance(each, Drain) and each.pool == action.pool}
                prefix = pools[action.pool].scale_set + "_"
                ready = [n for n in view.nodes if n.ready and n.name.startswith(prefix) and n.id not in drained]
                assert len(ready) >= pools[action.pool].minimum
            case Delete():
                gone = [name for name in action.instances if named(view, name)]
                alive = [
                    each
                    for each in view.instances[action.pool]
                    if each.state is not InstanceState.DELETING and each.name not in action.instances
                ]
                assert not gone or len(alive) >= pools[action.pool].minimum
            case _:
                pass


@given(view=worlds())
def test_a_growth_never_lowers_capacity(view):
    for action in plan_of(view).actions:
        if isinstance(action, Grow):
            assert action.before == view.scale_sets[action.pool].capacity
            assert action.target >= action.before
            assert action.etag == view.scale_sets[action.pool].etag


@given(view=worlds())
def test_no_instance_with_live_work_is_deleted_before_its_deadline(view):
    for action in plan_of(view).actions:
        if isinstance(action, Delete):
            for node in (node for name in action.instances for node in named(view, name)):
                assert not carries(view, node, JobKind.BATCH)
                if carries(view, node, JobKind.SERVICE):
                    assert node.last_drain is not None
                    assert datetime.fromisoformat(node.last_drain.meta[DRAIN_DEADLINE]) < view.now


def had_nodes(view: View, pool: Pool) -> bool:
    """Whether the pool had a node once and has machines that are not just bought and not known to be without one."""
    template, scale_set = view.memory.templates.get(pool.name), view.scale_sets.get(pool.name)
    if template is None or scale_set is None or template.source is not TemplateSource.SEEN:
        return False
    nodeless = [name for name in view.memory.first_seen if name.startswith(pool.scale_set + "_")]
    bought = [growth.target - growth.before for growth in view.memory.growths if growth.pool == pool.name]
    listed = view.instances.get(pool.name)
    alive = [each for each in listed or () if each.state is not InstanceState.DELETING]
    return (scale_set.capacity if listed is None else len(alive)) > max(len(nodeless), sum(bought))


@given(view=worlds())
def test_nothing_shrinks_on_a_failed_or_partial_read(view):
    unseen = {each.node for each in view.allocations if each.live} - {node.id for node in view.nodes}
    vanished = not view.nodes and any(had_nodes(view, pool) for pool in view.pools)
    partial = view.gaps or unseen or vanished or len(view.scale_sets) < len(view.pools)
    if partial:
        for action in plan_of(view).actions:
            lifts = isinstance(action, Drain) and action.deadline is None and not node_of(view, action).eligible
            assert isinstance(action, Grow | Reclaim) or lifts


def node_of(view: View, action: Drain | Reclaim | Purge) -> Node:
    return next(node for node in view.nodes if node.id == action.node)


@given(view=worlds())
def test_batch_work_is_never_ended_early(view):
    plan = plan_of(view)
    for action in plan.actions:
        if isinstance(action, Drain) and carries(view, node_of(view, action), JobKind.BATCH):
            assert action.deadline is None
    then = after(view, plan)
    claimed = {claim.instance for claim in view.claims if claim.controller != RULES.controller}
    for node in then.nodes if view.memory.paused is None else ():
        ours = node.draining and node.last_drain is not None and node.last_drain.owner == RULES.controller
        alive = node.status is NodeStatus.READY and node.name not in claimed
        if ours and alive and carries(then, node, JobKind.BATCH):
            assert node.last_drain.meta[DRAIN_DEADLINE] == NO_DEADLINE


@given(view=worlds())
def test_protected_work_and_instances_are_never_moved(view):
    protected = {each.name for listed in view.instances.values() for each in listed if each.protected}
    for action in plan_of(view).actions:
        if isinstance(action, Delete):
            assert not protected & set(action.instances)
        if isinstance(action, Drain) and node_of(view, action).eligible:
            assert action.instance not in protected
            jobs = {each.job.id for each in view.allocations if each.node == action.node}
            assert not jobs & {"one", "calm", "disk", "data"}


@given(view=worlds())
def test_only_drains_of_ours_are_taken_back_and_only_ours_are_deleted(view):
    for action in plan_of(view).actions:
        if isinstance(action, Reclaim):
            assert node_of(view, action).last_drain.owner == RULES.controller
        if isinstance(action, Delete):
            for node in (node for name in action.instances for node in named(view, name)):
                assert not node.eligible
                assert node.last_drain.owner == RULES.controller
        if isinstance(action, Purge):
            assert node_of(view, action).status is NodeStatus.DOWN


@given(view=worlds())
def test_what_another_controller_claims_is_left_alone(view):
    claimed = {claim.instance for claim in view.claims if claim.controller != RULES.controller}
    for action in plan_of(view).actions:
        touched = (
            action.instances if isinstance(action, Delete) else () if isinstance(action, Grow) else (action.instance,)
        )
        assert not claimed & set(touched)


@given(view=worlds(), data=st.data())
def test_equal_views_give_equal_plans_in_whatever_order_they_are_told(view, data):
    assert plan_of(view) == plan_of(shuffled(view, data.draw))


def asks_again(action: Action) -> bool:
    """Whether it only asks Azure once more for capacity that was asked for already: that changes no machine."""
    return isinstance(action, Grow) and action.target == action.before


def settled(view: View, ticks: int = 20) -> View:
    """The world when nothing is left to do."""
    for _ in range(ticks):
        plan = plan_of(view)
        view = after(view, plan)
        if all(asks_again(action) for action in plan.actions):
            return view
    raise AssertionError(f"no end in sight: {plan_of(view).sentence}")


def machines(view: View) -> tuple[object, ...]:
    """What the world looks like, without what the keeper remembers."""
    nodes = {(n.name, n.status, n.eligible, n.draining) for n in view.nodes}
    instances = {name: {each.name for each in listed} for name, listed in view.instances.items()}
    return nodes, instances, {name: each.capacity for name, each in view.scale_sets.items()}


def all_fits_on_fewer(finished: View, whole: View) -> bool:
    """Whether the only difference is that fewer drains were taken back, because what is ready has room for all work by now.

    Packing is no exact science: laid out anew on the nodes that the cut tick took back, work may need fewer of the others.
    """
    nodes = {node.name: node for node in whole.nodes}
    fewer = all(mine == nodes[mine.name] or (mine.draining and nodes[mine.name].ready) for mine in finished.nodes)
    waits = any(each.why.startswith("waits") for each in plan_of(finished).rejected)
    return fewer and machines(finished)[1:] == machines(whole)[1:] and not waits


@given(view=worlds(whole=True, refused=False), data=st.data())
def test_a_tick_cut_short_after_any_action_is_finished_by_the_next(view, data):
    plan = plan_of(view)
    cut = data.draw(st.integers(0, len(plan.actions)), label="actions done before the crash")

    finished, whole = settled(after(view, plan, cut)), settled(after(view, plan))

    assert machines(finished) == machines(whole) or all_fits_on_fewer(finished, whole)
