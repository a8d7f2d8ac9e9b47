"""Which failure an Azure error is, and how many cores a quota still leaves.

Codes alone do not tell: `OperationNotAllowed` is a quota, a throttle or a refusal of something else, and the real error may
sit in `details`, or as JSON text inside a detail's message (recordings/azure, Errors).
"""

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import NamedTuple, cast

from keeper.core.memory import FailureKind, GrowthFailure
from keeper.core.model import PoolName

type Json = Mapping[str, object]


class Fault(NamedTuple):
    """One code with its message, out of the nest of an error body."""

    code: str
    message: str


BY_CODE: Mapping[str, FailureKind] = {
    "skunotavailable": FailureKind.SKU_NOT_AVAILABLE,
    "subnetisfull": FailureKind.SUBNET_FULL,
    "zonalallocationfailed": FailureKind.ZONAL_ALLOCATION,
    "allocationfailed": FailureKind.ALLOCATION,
    "overconstrainedallocationrequest": FailureKind.OVERCONSTRAINED,
    "overconstrainedzonalallocationrequest": FailureKind.OVERCONSTRAINED_ZONAL,
    "operationpreempted": FailureKind.PREEMPTED,
    "toomanyrequests": FailureKind.THROTTLED,
    "retryableerror": FailureKind.THROTTLED,
    "conflict": FailureKind.CONFLICT,
    "vmagentstatuscommunicationerror": FailureKind.NEVER_BOOTED,
    "osprovisioningtimedout": FailureKind.NEVER_BOOTED,
    "osprovisioningclienterror": FailureKind.NEVER_BOOTED,
}
"""Codes that tell by themselves, in lower case."""

QUOTA_CODES = frozenset({"operationnotallowed", "quotaexceeded"})

_NEW_QUOTA = re.compile(r"Current Limit: (\d+).*?Current Usage: (\d+)", re.DOTALL)
_OLD_QUOTA = re.compile(r"Maximum allowed: (\d+).*?Current in use: (\d+)", re.DOTALL)
_ZONES = re.compile(r"\bzones?[\s'\":]+(\d(?:\s*,\s*\d)*)", re.IGNORECASE)
_DEPTH = 6
"""Deeper nests than any that was seen are not followed."""


def classify(pool: PoolName, at: datetime, error: object, *, status: int | None = None) -> GrowthFailure:
    """The failure that an error body spells. `error` is decoded JSON in any of Azure's wrappers; `status` is HTTP's."""
    faults = list(_faults(error)) or [Fault("", str(error))]
    kinds = [(_kind(fault, status), fault) for fault in faults]
    kind, fault = next(((k, f) for k, f in kinds if k not in VAGUE), kinds[-1])
    if kind is FailureKind.OTHER:
        kind, fault = next(((k, f) for k, f in kinds if k is FailureKind.CONFLICT), (kind, fault))
    limit, used = _quota(fault.message)
    left = None if limit is None or used is None else max(limit - used, 0)
    return GrowthFailure(pool, kind, at, fault.code, fault.message, _zones(fault.message), left, limit)


VAGUE = frozenset({FailureKind.OTHER, FailureKind.CONFLICT})
"""Kinds that a wrapper may have while what it wraps says more."""


def _kind(fault: Fault, status: int | None) -> FailureKind:
    code = fault.code.lower()
    if code in BY_CODE:
        return BY_CODE[code]
    if code in QUOTA_CODES and _quota(fault.message)[0] is not None:
        return _quota_kind(fault.message.lower())
    if status == 429:  # noqa: PLR2004 -- Too Many Requests
        return FailureKind.THROTTLED
    return FailureKind.OTHER


def _quota_kind(message: str) -> FailureKind:
    if "lowprioritycores" in message or "low priority" in message or "spot" in message:
        return FailureKind.LOW_PRIORITY_QUOTA
    if "total regional" in message or "quota limits of core." in message:
        return FailureKind.REGIONAL_QUOTA
    return FailureKind.SKU_FAMILY_QUOTA


def _quota(message: str) -> tuple[int | None, int | None]:
    found = _NEW_QUOTA.search(message) or _OLD_QUOTA.search(message)
    return (int(found[1]), int(found[2])) if found else (None, None)


def _zones(message: str) -> tuple[str, ...]:
    found = _ZONES.search(message)
    return tuple(part.strip() for part in found[1].split(",")) if found else ()


def _faults(error: object, depth: int = 0) -> Iterator[Fault]:
    """Every code with its message, outermost first."""
    if depth > _DEPTH:
        return
    if isinstance(error, list):
        for each in cast("list[object]", error):
            yield from _faults(each, depth + 1)
    if not isinstance(error, dict):
        return
    body = {key.lower(): value for key, value in cast("Json", error).items()}
    message = body.get("message")
    if isinstance(body.get("code"), str) and isinstance(message, str):
        yield Fault(cast("str", body["code"]), message)
        yield from _faults(_inner_json(message), depth + 1)
    for name in ("error", "details", "innererror"):
        yield from _faults(body.get(name), depth + 1)


def _inner_json(message: str) -> object:
    if not message.lstrip().startswith("{"):
        return None
    try:
        return json.loads(message)
    except ValueError:
        return None
