"""Autoscale: gives each pool the size that waiting work, alerts, requests and limits ask for.

One tick is one circle: observe → plan → guard → act → report. Nothing in it waits. Cut anywhere, the next tick replans
from what it sees and reaches the same end.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from keeper.controllers.actions import Done, act
from keeper.controllers.intake import end_dry_run, settle, take_in
from keeper.controllers.ledger import Ledger
from keeper.controllers.observation import Observation
from keeper.core import explain, guards, scaling, setasides
from keeper.core.memory import Memory
from keeper.core.messages import Controller, Kind, Message
from keeper.core.plan import Delete, Drain, Plan
from keeper.core.rules import AutoscaleRules
from keeper.core.view import Claim, View
from keeper.errors import GuardBroken
from keeper.ports import World
from keeper.telemetry import Event, event

LEASE = "cluster"
"""Shared by the controllers that change machines: their ticks are short and take turns."""

FOLLOW_UP = timedelta(seconds=10)
"""While a growth is under way, how soon to look again without waiting for the timer: its failure should not wait."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick came to. The plan is None when the message was satisfied already."""

    plan: Plan | None = None
    done: Done | None = None


def run(world: World, message: Message) -> Outcome:
    """One tick because of `message`. Raises `LostLease` at once when another tick has its turn.

    Running it again with the same message is harmless: what was done is seen, what was taken in is known.
    """
    rules, ledger = world.settings.autoscale, Ledger(world.records)
    with world.leases.hold(LEASE) as lease:
        now = world.clock.now()
        memory, version = ledger.remember()
        if message.satisfied_by(memory.observed):
            event(Event.TICK_SATISFIED, controller=message.controller, cause=message.cause, at=message.at)
            return Outcome()

        taken = take_in(ledger, memory, message, now, rules)
        claims, claims_version = ledger.claims(now)
        view = Observation(world).look(taken.memory, claims, now)
        plan = scaling.plan_autoscale(view, rules)
        record = explain.record(plan, view) | {"cause": message.cause, "kind": message.kind}
        event(Event.TICK_PLANNED, controller=message.controller, reason=plan.reason, sentence=plan.sentence)
        refuse_broken(plan, view, rules)
        if taken.dry_run:
            end_dry_run(ledger, taken, record, now)
            return Outcome(plan)

        settle(ledger, memory, taken, plan.memory, now)
        if (claimed := claims_of(plan, view, rules)) != claims:
            ledger.save_claims(claimed, claims_version)
        remembered = replace(plan.memory, observed=memory.observed if view.gaps else now)
        version = ledger.save_memory(remembered, version)
        done = act(world, lease, plan, view)
        after = follow_up(world, done.remembered(remembered), done, now)
        if after != remembered:
            ledger.save_memory(after, version)
        ledger.decide(Controller.AUTOSCALE, record | report(done, world.clock.now() - now), now)
        return Outcome(plan, done)


def refuse_broken(plan: Plan, view: View, rules: AutoscaleRules) -> None:
    """Raise `GuardBroken` when the plan breaks a named rule; nothing of it is applied then."""
    broken = guards.check(plan, view, rules)
    if broken:
        raise GuardBroken(broken[0].guard, "; ".join(each.what for each in broken))


def claims_of(plan: Plan, view: View, rules: AutoscaleRules) -> tuple[Claim, ...]:
    """The claims as the plan leaves them: what it drains or deletes is autoscale's until the drain must be over."""
    touched = {
        name: action.because
        for action in plan.actions
        if isinstance(action, Drain | Delete)
        for name in ((action.instance,) if isinstance(action, Drain) else action.instances)
    }
    expires = view.now + rules.drain_deadline + rules.join_timeout
    kept = tuple(claim for claim in view.claims if claim.instance not in touched)
    return kept + tuple(Claim(name, rules.controller, why, expires) for name, why in sorted(touched.items()))


def follow_up(world: World, memory: Memory, done: Done, now: datetime) -> Memory:
    """Fold what Azure refused into memory, and ask for another look when something is under way or was cut short.

    A refusal asks at once, so that the next pool is tried in the next tick; a running growth asks later; once is enough.
    """
    memory = setasides.note_failures(memory, done.failures, now, world.settings)
    delay = _delay(memory, done)
    if delay is None or (memory.follow_up is not None and now < memory.follow_up <= now + delay):
        return memory
    due = world.clock.now() + delay
    again = Message(Kind.NUDGE, Controller.AUTOSCALE, "follow-up", due, "keeper")
    world.corridor.send(again.to_json(), delay=delay)
    return replace(memory, follow_up=due)


def _delay(memory: Memory, done: Done) -> timedelta | None:
    if done.stopped is not None:
        return done.stopped.retry_after
    if done.failures:
        return timedelta()
    return FOLLOW_UP if memory.growths else None


def report(done: Done, took: timedelta) -> dict[str, object]:
    """The part of the decision record that only acting could tell."""
    stopped = None if done.stopped is None else str(done.stopped)
    refused = [f"{failure.pool}: {failure.code}" for failure in done.failures]
    event(Event.TICK_DONE, controller=Controller.AUTOSCALE, actions=len(done.actions), took=took)
    return {"done": len(done.actions), "refused": refused, "stopped": stopped, "seconds": took.total_seconds()}
