"""What the host knows of an app: its functions as the worker indexed them, and `host.json`."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum, StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TIME_SPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?")
SETTING = re.compile(r"%([^%\s]+)%")
FLEX_TIMEOUT = "00:30:00"
DEFAULT_BODY_LIMIT = 104_857_600


class HostError(Exception):
    """The app cannot be hosted as it is: a sentence that names what is wrong."""


class Trigger(StrEnum):
    """The trigger kinds that this host drives, by their binding type."""

    HTTP = "httpTrigger"
    TIMER = "timerTrigger"
    QUEUE = "queueTrigger"
    EVENT_GRID = "eventGridTrigger"


class RetryStrategy(StrEnum):
    """How the pause between retries grows."""

    FIXED = "fixed_delay"
    EXPONENTIAL = "exponential_backoff"


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """`@app.retry`: `limit` is the number of retries after the first run, -1 for no limit."""

    strategy: RetryStrategy
    limit: int
    first: timedelta
    longest: timedelta

    def pause(self, retries: int) -> timedelta:
        """Return how long to wait before retry number `retries` (1 is the first)."""
        if self.strategy is RetryStrategy.FIXED:
            return self.first
        return min(self.longest, self.first * 2 ** (retries - 1))


@dataclass(frozen=True, slots=True)
class Function:
    """One function: its trigger's binding and its output bindings, with every `%SETTING%` filled in."""

    name: str
    id: str
    trigger: Trigger
    binding: Mapping[str, Any]
    outputs: Mapping[str, Mapping[str, Any]]
    retry: RetryPolicy | None = None


@dataclass(frozen=True, slots=True)
class QueueOptions:
    """`extensions.queues` of host.json with its documented defaults.

    https://learn.microsoft.com/azure/azure-functions/functions-bindings-storage-queue#host-json
    """

    batch_size: int = 16
    new_batch_threshold: int = 8
    max_dequeue_count: int = 5
    visibility_timeout: timedelta = timedelta()
    max_polling_interval: timedelta = timedelta(minutes=1)
    base64: bool = True


@dataclass(frozen=True, slots=True)
class HostOptions:
    """What the host reads from `host.json`; `function_timeout` is None when there is no limit."""

    route_prefix: str = "api"
    function_timeout: timedelta | None = timedelta(minutes=30)
    queues: QueueOptions = field(default_factory=QueueOptions)


class Outcome(Enum):
    """How an invocation ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed out"
    LOST = "lost"
    """The worker process went away while it ran."""


@dataclass(frozen=True, slots=True)
class Result:
    """What one run of a function gave back; values are `{kind: content}` as the worker sent them."""

    outcome: Outcome
    returned: Mapping[str, Any] | None = None
    outputs: Mapping[str, Any] = field(default_factory=dict)
    error: str = ""
    stack: str = ""

    @property
    def ok(self) -> bool:
        """Whether the function ended well."""
        return self.outcome is Outcome.SUCCEEDED


def time_span(text: str) -> timedelta:
    """Parse .NET's `[d.]hh:mm[:ss]`; HostError names what is no time span."""
    match = TIME_SPAN.fullmatch(text.strip())
    if not match:
        raise HostError(f"{text!r} is no time span of the form [d.]hh:mm:ss")
    days, hours, minutes, seconds = (int(part or 0) for part in match.groups())
    return timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)


def read_host_json(app: Path) -> HostOptions:
    """Read `host.json` of an app; HostError when there is none or it cannot be read."""
    try:
        document = json.loads((app / "host.json").read_text())
    except (OSError, ValueError) as exc:
        raise HostError(f"host.json of {app} cannot be read: {exc}") from exc
    extensions = document.get("extensions", {})
    timeout = str(document.get("functionTimeout", FLEX_TIMEOUT))
    return HostOptions(
        route_prefix=extensions.get("http", {}).get("routePrefix", "api").strip("/"),
        function_timeout=None if timeout == "-1" else time_span(timeout),
        queues=_queue_options(extensions.get("queues", {})),
    )


def _queue_options(section: Mapping[str, Any]) -> QueueOptions:
    batch = int(section.get("batchSize", 16))
    return QueueOptions(
        batch_size=batch,
        new_batch_threshold=int(section.get("newBatchThreshold", batch // 2)),
        max_dequeue_count=int(section.get("maxDequeueCount", 5)),
        visibility_timeout=time_span(section.get("visibilityTimeout", "00:00:00")),
        max_polling_interval=time_span(section.get("maxPollingInterval", "00:01:00")),
        base64=section.get("messageEncoding", "base64").lower() == "base64",
    )


def read_function(found: Mapping[str, Any], settings: Mapping[str, str]) -> Function:
    """Turn the worker's description of a function into a `Function`; HostError when this host cannot drive it."""
    name = found["name"]
    bindings = [_fill(name, binding, settings) for binding in found["bindings"]]
    triggers = [binding for binding in bindings if binding["type"].lower().endswith("trigger")]
    known = {kind.lower(): kind for kind in Trigger}
    if len(triggers) != 1 or triggers[0]["type"].lower() not in known:
        kinds = ", ".join(binding["type"] for binding in bindings)
        raise HostError(f"function {name}: this host drives exactly one of {', '.join(Trigger)}, not {kinds}")
    outputs = {binding["name"]: binding for binding in bindings if binding["direction"].upper() == "OUT"}
    for output in outputs.values():
        if output["type"] not in {"http", "queue"}:
            raise HostError(f"function {name}: this host writes http and queue outputs, not {output['type']}")
    trigger = known[triggers[0]["type"].lower()]
    return Function(name, found["id"], trigger, triggers[0], outputs, _retry(found["retry"]))


def _fill(function: str, binding: Mapping[str, Any], settings: Mapping[str, str]) -> dict[str, Any]:
    def value_of(match: re.Match[str]) -> str:
        if match[1] not in settings:
            raise HostError(f"function {function}: no app setting {match[1]!r} to fill %{match[1]}%")
        return settings[match[1]]

    return {key: SETTING.sub(value_of, item) if isinstance(item, str) else item for key, item in binding.items()}


def _retry(found: Mapping[str, Any] | None) -> RetryPolicy | None:
    if not found:
        return None
    strategy = RetryStrategy(found["retry_strategy"])
    fixed = strategy is RetryStrategy.FIXED
    first = timedelta(seconds=found["delay_interval" if fixed else "minimum_interval"])
    longest = first if fixed else timedelta(seconds=found["maximum_interval"])
    return RetryPolicy(strategy, int(found["max_retry_count"]), first, longest)
