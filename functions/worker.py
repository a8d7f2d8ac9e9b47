"""The other end of the corridor: one message, one controller tick; and what becomes of messages nobody can handle."""

# The decorators of azure-functions take untyped keyword arguments.
# pyright: reportUnknownMemberType=false

import azure.functions as func

from keeper import wiring

bp = func.Blueprint()


@bp.queue_trigger(arg_name="msg", queue_name="%KEEPER_QUEUE%", connection="KEEPER_STORAGE")
def work(msg: func.QueueMessage) -> None:
    """Run the tick that the message asks for."""
    wiring.handle(msg.get_body().decode())


@bp.queue_trigger(arg_name="msg", queue_name="%KEEPER_QUEUE%-poison", connection="KEEPER_STORAGE")
def bury(msg: func.QueueMessage) -> None:
    """Record a message that failed five times, and say so loudly."""
    wiring.bury(msg.get_body().decode(errors="replace"))
