"""Task states and their events as clients report them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.times import SECOND, go_duration, rfc3339

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

KEPT_EVENTS = 10
_EVENT: Record = {
    "Details": {},
    "DiskLimit": 0,
    "DisplayMessage": "",
    "DownloadError": "",
    "DriverError": "",
    "DriverMessage": "",
    "ExitCode": 0,
    "FailedSibling": "",
    "FailsTask": False,
    "GenericSource": "",
    "KillError": "",
    "KillReason": "",
    "KillTimeout": 0,
    "Message": "",
    "RestartReason": "",
    "SetupError": "",
    "Signal": 0,
    "StartDelay": 0,
    "TaskSignal": "",
    "TaskSignalReason": "",
    "Time": 0,
    "Type": "",
    "ValidationError": "",
    "VaultError": "",
}
PENDING_STATE: Record = {
    "Events": [],
    "Failed": False,
    "FinishedAt": None,
    "LastRestart": None,
    "Restarts": 0,
    "StartedAt": None,
    "State": "pending",
    "TaskHandle": None,
}


def event(kind: str, now: int, shown: str, **fields: object) -> Record:
    """Answer one task event."""
    return {**_EVENT, "Type": kind, "Time": now, "DisplayMessage": shown, **fields}


def with_event(state: Record, new: Record, **changes: object) -> Record:
    """Answer the task state with one more event; the ten newest are kept."""
    return {**state, "Events": [*state["Events"], new][-KEPT_EVENTS:], **changes}


def received(state: Record, now: int) -> Record:
    """Answer the state of a task that its client has taken up."""
    state = with_event(state, event("Received", now, "Task received by client"))
    text = "Building Task Directory"
    return with_event(state, event("Task Setup", now, text, Message=text, Details={"message": text}))


def started(state: Record, now: int) -> Record:
    """Answer the state of a task that has just started."""
    running = event("Started", now, "Task started by client")
    return with_event(state, running, State="running", StartedAt=rfc3339(now), FinishedAt=None)


def terminated(state: Record, now: int, code: int) -> Record:
    """Answer the state of a task whose process has ended by itself."""
    details = {"exit_code": str(code), "oom_killed": "false", "signal": "0"}
    return with_event(state, event("Terminated", now, f"Exit Code: {code}", ExitCode=code, Details=details))


def dead(state: Record, now: int, *, failed: bool) -> Record:
    """Answer the final state of a task."""
    return {**state, "State": "dead", "Failed": failed, "FinishedAt": rfc3339(now)}


def killing(state: Record, now: int, timeout: int) -> Record:
    """Answer the state of a task that was sent its stop signal."""
    text = go_duration(timeout)
    shown = f"Sent interrupt. Waiting {text} before force killing"
    return with_event(state, event("Killing", now, shown, KillTimeout=timeout, Details={"kill_timeout": text}))


def shutdown_delay(state: Record, now: int, delay: int, *, skipped: bool) -> Record:
    """Answer the state of a task that is given time before its stop signal, or is denied it."""
    kind, verb = ("Skipping shutdown delay", "Skipping") if skipped else ("Waiting for shutdown delay", "Waiting for")
    shown = f"{verb} shutdown_delay of {go_duration(delay)} before killing the task."
    return with_event(state, event(kind, now, shown))


def leader_dead(state: Record, now: int) -> Record:
    """Answer the state of a task whose group's leader has ended."""
    return with_event(state, event("Leader Task Dead", now, "Leader Task in Group dead"))


def killed(state: Record, now: int, *, code: int = 130) -> Record:
    """Answer the final state of a task that was stopped."""
    state = terminated(state, now, code)
    return dead(with_event(state, event("Killed", now, "Task successfully killed")), now, failed=False)


def restarting(state: Record, now: int, delay: int) -> Record:
    """Answer the state of a task that waits to be started again."""
    shown = f"Task restarting in {delay / SECOND:g}s"
    why = event("Restarting", now, shown, StartDelay=delay, RestartReason="Restart within policy")
    again = {"State": "pending", "Restarts": state["Restarts"] + 1, "LastRestart": rfc3339(now)}
    return with_event(state, why, **again)


def not_restarting(state: Record, now: int, attempts: int, interval: int) -> Record:
    """Answer the final state of a task that has used up its restarts."""
    text = f'Exceeded allowed attempts {attempts} in interval {go_duration(interval)} and mode is "fail"'
    why = event("Not Restarting", now, text, RestartReason=text, FailsTask=True, Details={"restart_reason": text})
    return dead(with_event(state, why), now, failed=True)


def driver_failure(state: Record, now: int, text: str) -> Record:
    """Answer the state of a task that its driver could not start."""
    return with_event(state, event("Driver Failure", now, text, DriverError=text, Details={"driver_error": text}))
