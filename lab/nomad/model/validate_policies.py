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
    if update["Stagger"] <= 0:
        found.append(f"Stagger must be greater than zero: {go_duration(update['Stagger'])}")
    return found


def migrate_problems(migrate: Record) -> list[str]:
    """Answer the problems of a group's migrate strategy."""
    found = []
    if migrate["MaxParallel"] < 0:
        found.append(f"MaxParallel must be >= 0 but found {migrate['MaxParallel']}")
    if not migrate["HealthCheck"]:
        found += ["Missing HealthCheck"] if migrate["MaxParallel"] > 0 else []
    elif migrate["HealthCheck"] not in {"checks", "task_states"}:
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
    if policy is None or not (policy["Attempts"] > 0 or policy["Unlimited"]):
        return []
    delays = _delays(policy)
    found = [*_attempts(policy), *delays]
    if policy["Unlimited"]:
        return found
    if policy["Interval"] < _MIN_INTERVAL:
        found.append(f"Interval cannot be less than 15s (got {go_duration(policy['Interval'])})")
    return found if delays else [*found, *_viable(policy)]


def _attempts(policy: Record) -> list[str]:
    if policy["Attempts"] <= 0:
        return []
    found = [] if policy["Interval"] > 0 else ["Interval must be a non zero value if Attempts > 0"]
    if policy["Unlimited"]:
        attempts, interval = policy["Attempts"], go_duration(policy["Interval"])
        text = f"Reschedule Policy with Attempts = {attempts}, Interval = {interval}, and Unlimited = true is ambiguous"
        found += [text, "If Attempts >0, Unlimited cannot also be set to true"]
    return found


def _delays(policy: Record) -> list[str]:
    found = []
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
    return found


def _viable(policy: Record) -> list[str]:
    """Say how many attempts the interval has room for, when these are fewer than wanted."""
    attempts, interval, delay = (policy[key] for key in ("Attempts", "Interval", "Delay"))
    possible, wanted = _ROOM[policy["DelayFunction"]](attempts, interval, delay, policy["MaxDelay"])
    if possible is None:
        return []
    times = [go_duration(value) for value in (interval, delay, policy["MaxDelay"])]
    text = f"Nomad can only make {possible} attempts in {times[0]} with initial delay {times[1]}"
    function = f'delay function "{policy["DelayFunction"]}"'
    text += (
        f" and {function}" if policy["DelayFunction"] == "constant" else f", {function}, and delay ceiling {times[2]}"
    )
    rounded = (wanted + SECOND // 2) // SECOND * SECOND
    return [text, f"Set the interval to at least {go_duration(rounded)} to accommodate {attempts} attempts"]


type _Room = tuple[int | None, int]
"""How many attempts are possible (None: all), and the interval that would do."""


def _constant(attempts: int, interval: int, delay: int, _most: int) -> _Room:
    wanted = attempts * delay
    return (interval // delay if interval < wanted else None), wanted


def _exponential(attempts: int, interval: int, delay: int, most: int) -> _Room:
    wanted = possible = 0
    for number in range(attempts):
        following = 2**number * delay
        wanted = wanted + most if following > most else following
        possible += wanted < interval
    return (possible if possible < attempts else None), wanted


def _fibonacci(attempts: int, interval: int, delay: int, most: int) -> _Room:
    slots = [delay, delay]
    linear = False
    while len(slots) < attempts:
        following = slots[-1] + (most if linear else slots[-2])
        if not linear and following > most:
            following, linear = most, True
        slots.append(following)
    possible = next((number for number, slot in enumerate(slots) if slot > interval), 0)
    return (possible if interval < slots[-1] else None), slots[-1]


_ROOM = {"constant": _constant, "exponential": _exponential, "fibonacci": _fibonacci}


def restart_problems(policy: Record) -> list[str]:
    """Answer the problems of a restart policy."""
    found = []
    mode, attempts = policy["Mode"], policy["Attempts"]
    if mode not in {"fail", "delay"}:
        found.append(f'Unsupported restart mode: "{mode}"')
    if attempts == 0 and mode != "fail":
        found.append(f'Restart policy "{mode}" with 0 attempts is ambiguous')
    interval, delay = go_duration(policy["Interval"]), go_duration(policy["Delay"])
    if policy["Interval"] < _MIN_DELAY:
        found.append(f"Interval can not be less than 5s (got {interval})")
    if attempts * policy["Delay"] > policy["Interval"]:
        text = (
            f"Nomad can't restart the TaskGroup {attempts} times in an interval of {interval} with a delay of {delay}"
        )
        found.append(text)
    return found


def scaling_problems(group: Record) -> list[str]:
    """Answer the problems of a group's scaling policy."""
    policy = group["Scaling"]
    if not policy:
        return []
    found = [*_target(policy), *_bounds(policy)]
    if policy["Max"] < group["Count"]:
        found.append("task group count must not be greater than maximum count in scaling policy")
    if group["Count"] < policy["Min"]:
        found.append("task group count must not be less than minimum count in scaling policy")
    return [f"Scaling policy invalid: {text}" for text in found]


def _target(policy: Record) -> list[str]:
    if policy["Type"] != "horizontal":
        return [f'scaling policy type "{policy["Type"]}" is not valid']
    missing = {"Namespace": "namespace", "Job": "job", "Group": "group"}
    return [f"missing target {name}" for key, name in missing.items() if not policy["Target"][key]]


def _bounds(policy: Record) -> list[str]:
    found = []
    if policy["Max"] < 0:
        found.append("maximum count must be specified and non-negative")
    elif policy["Max"] < policy["Min"]:
        found.append("maximum count must not be less than minimum count")
    if policy["Min"] < 0:
        found.append("minimum count must be specified and non-negative")
    return found
