"""One timer per controller. A timer is its own retry: it runs the tick itself and enqueues nothing."""

# The decorators of azure-functions take untyped keyword arguments.
# pyright: reportUnknownMemberType=false

import azure.functions as func

from keeper import wiring
from keeper.core.messages import Controller, Kind, Message

bp = func.Blueprint()


@bp.timer_trigger(arg_name="timer", schedule="%AUTOSCALE_SCHEDULE%", run_on_startup=False)
def autoscale(timer: func.TimerRequest) -> None:
    """Look again now: the safety net below the nudges."""
    cause = "timer past due" if timer.past_due else "timer"
    wiring.tick(Message(Kind.TIMER, Controller.AUTOSCALE, cause, wiring.now(), "timer"))


@bp.timer_trigger(arg_name="timer", schedule="%SNAPSHOT_SCHEDULE%", run_on_startup=False)
def snapshot(timer: func.TimerRequest) -> None:
    """Take the snapshots that are due; one that was missed while nobody ran is due now."""
    cause = "timer past due" if timer.past_due else "timer"
    wiring.tick(Message(Kind.TIMER, Controller.SNAPSHOT, cause, wiring.now(), "timer"))


@bp.timer_trigger(arg_name="timer", schedule="%REHEARSAL_SCHEDULE%", run_on_startup=False)
def rehearsal(timer: func.TimerRequest) -> None:
    """Keep the canaries, rehearse the newest snapshot, read the verdicts."""
    cause = "timer past due" if timer.past_due else "timer"
    wiring.tick(Message(Kind.TIMER, Controller.REHEARSAL, cause, wiring.now(), "timer"))


@bp.timer_trigger(arg_name="timer", schedule="%CERTIFICATES_SCHEDULE%", run_on_startup=False)
def certificates(timer: func.TimerRequest) -> None:
    """Make what machines wait for; renew what is old."""
    cause = "timer past due" if timer.past_due else "timer"
    wiring.tick(Message(Kind.TIMER, Controller.CERTIFICATES, cause, wiring.now(), "timer"))
