"""Carries out a plan, one action at a time, asking the lease before each write."""

from dataclasses import dataclass, replace
from datetime import timedelta

from keeper.core.memory import GrowthFailure, Memory
from keeper.core.model import DRAIN_OWNER, DRAIN_REASON, PoolName
from keeper.core.plan import Action, Delete, Drain, Grow, Plan, Purge, Reclaim
from keeper.core.view import View
from keeper.errors import Transient
from keeper.ports import GrowthRefused, Lease, World
from keeper.telemetry import Event, event


@dataclass(slots=True)
class Done:
    """What became of a plan's actions. `stopped` says why the rest was left for the next tick."""

    actions: list[Action]
    operations: dict[PoolName, str | None]
    failures: list[GrowthFailure]
    stopped: Transient | None = None

    def remembered(self, memory: Memory) -> Memory:
        """`memory` with where to ask how each growth went; a growth that was over at once is asked for no more."""
        growths = tuple(
            replace(growth, operation=self.operations[growth.pool]) if growth.pool in self.operations else growth
            for growth in memory.growths
        )
        return replace(memory, growths=growths)


def act(world: World, lease: Lease, plan: Plan, view: View) -> Done:
    """Apply the plan in its order. A transient error ends it; what was done stays done and is not undone."""
    done = Done([], {}, [])
    for action in plan.actions:
        try:
            lease.confirm()
            _apply(world, action, view, done)
        except GrowthRefused as refused:
            done.failures.append(refused.failure)
            event(Event.ACTION_REFUSED, pool=refused.failure.pool, kind=refused.failure.kind, why=str(refused))
            continue
        except Transient as exc:
            done.stopped = exc
            event(Event.TICK_STOPPED, action=type(action).__name__, why=str(exc), retry_after=exc.retry_after)
            break
        done.actions.append(action)
        event(Event.ACTION_DONE, action=type(action).__name__, **_facts(action))
    return done


def _apply(world: World, action: Action, view: View, done: Done) -> None:
    match action:
        case Grow():
            pool = world.settings.pool(action.pool)
            if pool is not None:
                current = view.scale_sets[action.pool]
                done.operations[action.pool] = world.scale_sets.grow(pool, current, action.target)
        case Drain():
            meta = action.meta(world.settings.autoscale.controller, view.now)
            world.nomad.drain(action.node, action.deadline, meta)
        case Reclaim():
            meta = {DRAIN_OWNER: world.settings.autoscale.controller, DRAIN_REASON: action.because}
            world.nomad.reclaim(action.node, meta)
        case Delete():
            pool = world.settings.pool(action.pool)
            if pool is not None:
                world.scale_sets.delete(pool, action.ids)
        case Purge():
            world.nomad.purge(action.node)


def _facts(action: Action) -> dict[str, object]:
    match action:
        case Grow():
            return {"pool": action.pool, "before": action.before, "target": action.target}
        case Drain():
            deadline = action.deadline or timedelta()
            return {"pool": action.pool, "node": action.node, "instance": action.instance, "deadline": deadline}
        case Reclaim():
            return {"pool": action.pool, "node": action.node, "instance": action.instance}
        case Delete():
            return {"pool": action.pool, "instance": ", ".join(action.instances)}
        case Purge():
            return {"node": action.node, "instance": action.instance}
