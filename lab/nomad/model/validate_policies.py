"""Problems of update, migrate and reschedule policies, in Nomad's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.times import SECOND, go_duration

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_CHECKS = frozenset({"checks", "task_states", "manual"})
_MIN_DELAY = 5 * SECOND
_MIN_INTERVAL = 15 * SECOND
_FUNCTIONS = ("constant", "exponential", "fibonacci")


def update_problems(update: Record) -> list[str]:
    """Answer the problems of a group's update strategy."""
    found = []
    if update["HealthCheck"] not in _CHECKS:
        found.append(f'Invalid health check given: "{update["HealthCheck"]}"')
    if update["MaxParallel"] < 0:
        found.append(f"Max parallel can not be less than zero: {update['MaxParallel']} < 0")
    if update["Canary"] < 0:
        found.append(f"Canary count can not be less than zero: {update['Canary']} < 0")
    if update["AutoPromote"] and not update["Canary"]:
        found.append("Auto Promote requires a Canary count greater than zero")
    return [*found, *_update_times(update)]


def _update_times(update: Record) -> list[str]:
    found = []
    well, deadline, progress = (update[k] for k in ("MinHealthyTime", "HealthyDeadline", "ProgressDeadline"))
    if well < 0:
        found.append(f"Minimum healthy time may not be less than zero: {go_duration(well)}")
    if deadline <= 0:
        found.append(f"Healthy deadline must be greater than zero: {go_duration(deadline)}")
    if progress < 0:
        found.append(f"Progress deadline must be zero or greater: {go_duration(progress)}")
    if well >= deadline:
        texts = go_duration(well), go_duration(deadline)
        found.append(f"Minimum healthy time must be less than healthy deadline: {texts[0]} > {texts[1]}")
    if progress and deadline >= progress:
        texts = go_duration(deadline), go_duration(progress)
        found.append(f"Healthy deadline must be less than progress deadline: {texts[0]} > {texts[1]}")
    return found


def migrate_problems(migrate: Record) -> list[str]:
    """Answer the problems of a group's migrate strategy."""
    found = []
    if migrate["MaxParallel"] < 0:
        found.append(f"MaxParallel must be >= 0 but found {migrate['MaxParallel']}")
    if migrate["HealthCheck"] not in {"checks", "task_states"}:
        found.append(f'Invalid HealthCheck: "{migrate["HealthCheck"]}"')
    if migrate["MinHealthyTime"] < 0:
        found.append(f"MinHealthyTime is {go_duration(migrate['MinHealthyTime'])} and must be >= 0")
    if migrate["HealthyDeadline"] < 0:
        found.append(f"HealthyDeadline is {go_duration(migrate['HealthyDeadline'])} and must be >= 0")
    if migrate["MinHealthyTime"] > migrate["HealthyDeadline"]:
        found.append("MinHealthyTime must be less than HealthyDeadline")
    return found


def reschedule_problems(policy: Record | None) -> list[str]:
    """Answer the problems of a reschedule policy; one without attempts has none."""
    if policy is None or not (policy["Attempts"] or policy["Unlimited"]):
        return []
    found = _attempts(policy)
    if policy["Delay"] < _MIN_DELAY:
        found.append(f"Delay cannot be less than 5s (got {go_duration(policy['Delay'])})")
    if policy["DelayFunction"] not in _FUNCTIONS:
        names = " ".join(f'"{name}"' for name in _FUNCTIONS)
        found.append(f'Invalid delay function "{policy["DelayFunction"]}", must be one of [{names}]')
    if policy["DelayFunction"] != "constant":
        delay, most = go_duration(policy["Delay"]), go_duration(policy["MaxDelay"])
        if policy["MaxDelay"] < _MIN_DELAY:
            found.append(f"Max Delay cannot be less than 5s (got {delay})")
        if policy["MaxDelay"] < policy["Delay"]:
            found.append(f"Max Delay cannot be less than Delay {delay} (got {most})")
    if not policy["Unlimited"] and policy["Interval"] < _MIN_INTERVAL:
        found.append(f"Interval cannot be less than 15s (got {go_duration(policy['Interval'])})")
    return found


def _attempts(policy: Record) -> list[str]:
    if policy["Attempts"] <= 0:
        return []
    found = [] if policy["Interval"] > 0 else ["Interval must be a non zero value if Attempts > 0"]
    if policy["Unlimited"]:
        attempts, interval = policy["Attempts"], go_duration(policy["Interval"])
        text = f"Reschedule Policy with Attempts = {attempts}, Interval = {interval}, and Unlimited = true is ambiguous"
        found += [text, "If Attempts >0, Unlimited cannot also be set to true"]
    return found
