"""Bad days, scripted: what goes wrong, for whom, how often and until when.

A fault is matched in one of three places: when a request arrives (slow, fail, throttle, stale lists), when an accepted
operation would do its work (fail with a late failure), and when an instance is created (fail with an allocation
failure, partial, never boots, never joins). Empty conditions match everything.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from lab.azure.model.failures import LATE, Failure

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


class FaultKind(StrEnum):
    """The ways in which the stand-in can be told to misbehave."""

    SLOW = "slow"
    SLOW_BOOT = "slow-boot"
    SLOW_OPERATION = "slow-operation"
    FAIL = "fail"
    THROTTLE = "throttle"
    STALE_LISTS = "stale-lists"
    PARTIAL = "partial"
    STAYS_CREATING = "stays-creating"
    PROVISIONING_FAILS = "provisioning-fails"
    NEVER_JOINS = "never-joins"


ALLOCATION_FAILURES = frozenset(
    {Failure.ALLOCATION, Failure.ZONAL_ALLOCATION, Failure.OVERCONSTRAINED, Failure.OVERCONSTRAINED_ZONAL},
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted fault.

    - `scale_set` (a name) and `zone` restrict whom it strikes; `action` is a pattern over ARM actions such as
      `Microsoft.Compute/virtualMachineScaleSets/write` or `*/read`.
    - `count` is how often it strikes (requests, operations or instances), `duration` how long it lasts from injection;
      without either it lasts until cleared.
    - `failure` says which documented failure FAIL gives, and what PARTIAL refuses the rest with.
    - `delay` is the latency of SLOW answers, the `Retry-After` of THROTTLE, and extra time of SLOW_BOOT
      and SLOW_OPERATION (a write, a delete or an action that is accepted as fast as ever and takes longer).
    - `come` is how many instances of a growth PARTIAL lets through.
    - `wrapped` puts late failures into the ResourceOperationFailure wrapper that some operations show.
    """

    kind: FaultKind
    scale_set: str | None = None
    zone: str | None = None
    action: str = "*"
    count: int | None = None
    duration: timedelta | None = None
    failure: Failure = Failure.ALLOCATION
    delay: timedelta = timedelta(seconds=30)
    come: int = 0
    wrapped: bool = False


@dataclass(slots=True)
class _Active:
    number: int
    fault: Fault
    left: int | None
    until: datetime | None
    struck: int = 0


class Faults:
    """The faults in force. `strike_*` consumes one count of the first match."""

    def __init__(self) -> None:
        self._active: list[_Active] = []
        self._numbers = 0

    def inject(self, fault: Fault, now: datetime) -> int:
        """Put a fault in force and return its number."""
        self._numbers += 1
        until = now + fault.duration if fault.duration is not None else None
        self._active.append(_Active(self._numbers, fault, fault.count, until))
        return self._numbers

    def clear(self, number: int | None = None) -> None:
        """Lift one fault, or all."""
        self._active = [a for a in self._active if number is not None and a.number != number]

    def listing(self, now: datetime) -> list[tuple[int, Fault, int]]:
        """Return number, fault and strikes so far of every fault in force."""
        return [(a.number, a.fault, a.struck) for a in self._in_force(now)]

    def strike_request(self, kind: FaultKind, now: datetime, scale_set: str | None, action: str) -> Fault | None:
        """Return the fault of `kind` that strikes this request, consuming a count; late failures never match here."""
        for active in self._in_force(now):
            fault = active.fault
            if (
                fault.kind is kind
                and not (kind is FaultKind.FAIL and fault.failure in LATE)
                and _fits(fault, scale_set, action)
            ):
                return self._strike(active)
        return None

    def strike_operation(self, now: datetime, scale_set: str, action: str) -> Fault | None:
        """Return the late, non-allocation failure that this operation will end in, consuming a count."""
        for active in self._in_force(now):
            fault = active.fault
            late = fault.failure in LATE - ALLOCATION_FAILURES
            if fault.kind is FaultKind.FAIL and late and _fits(fault, scale_set, action):
                return self._strike(active)
        return None

    def drag(self, now: datetime, scale_set: str, action: str) -> timedelta:
        """Return how much longer this operation takes, consuming a count of a SLOW_OPERATION."""
        fault = self.strike_request(FaultKind.SLOW_OPERATION, now, scale_set, action)
        return fault.delay if fault else timedelta()

    def strike_growth(self, now: datetime, scale_set: str) -> Fault | None:
        """Return the PARTIAL fault that strikes this growth as a whole, consuming a count."""
        for active in self._in_force(now):
            if active.fault.kind is FaultKind.PARTIAL and _fits(active.fault, scale_set, "*"):
                return self._strike(active)
        return None

    def strike_instance(
        self, now: datetime, scale_set: str, zone: str | None, kinds: frozenset[FaultKind]
    ) -> Fault | None:
        """Return the fault of one of `kinds` that strikes this new instance, consuming a count."""
        for active in self._in_force(now):
            fault = active.fault
            zone_fits = fault.zone is None or fault.zone == zone
            allocates = fault.kind is not FaultKind.FAIL or fault.failure in ALLOCATION_FAILURES
            if fault.kind in kinds and zone_fits and allocates and _fits(fault, scale_set, "*"):
                return self._strike(active)
        return None

    def _in_force(self, now: datetime) -> Iterator[_Active]:
        self._active = [a for a in self._active if a.left != 0 and (a.until is None or now < a.until)]
        return iter(self._active)

    @staticmethod
    def _strike(active: _Active) -> Fault:
        active.struck += 1
        if active.left is not None:
            active.left -= 1
        return active.fault


def _fits(fault: Fault, scale_set: str | None, action: str) -> bool:
    named = fault.scale_set is None or (scale_set is not None and fault.scale_set.lower() == scale_set.lower())
    return named and (action == "*" or fnmatchcase(action.lower(), fault.action.lower()))
