"""How long things take in the model. All of it is data; the seed makes a random boot time repeatable."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from random import Random

SECOND = timedelta(seconds=1)


class BootTime(Protocol):
    """Draws how long one instance takes from being allocated to being up."""

    def draw(self, chance: Random) -> timedelta:
        """Return one boot time."""
        ...


@dataclass(frozen=True, slots=True)
class FixedBoot:
    """Every instance boots in the same time."""

    time: timedelta

    def draw(self, chance: Random) -> timedelta:  # noqa: ARG002 - the protocol's argument; a fixed time needs no chance
        """Return the fixed time."""
        return self.time


@dataclass(frozen=True, slots=True)
class LognormalBoot:
    """Boot times with a long right tail, as real machines have: half are under `median`."""

    median: timedelta
    sigma: float = 0.35

    def draw(self, chance: Random) -> timedelta:
        """Return one boot time of the distribution."""
        return self.median * math.exp(chance.gauss(0, self.sigma))


@dataclass(frozen=True, slots=True)
class Pace:
    """The duration of every step. `retry_after` is what operations ask pollers to wait; None leaves the header out."""

    boot: BootTime = field(default_factory=lambda: LognormalBoot(75 * SECOND))
    allocate: timedelta = 5 * SECOND
    update: timedelta = 5 * SECOND
    shut_down: timedelta = 3 * SECOND
    delete: timedelta = 25 * SECOND
    restart: timedelta = 30 * SECOND
    reimage: timedelta = 70 * SECOND
    deallocate: timedelta = 20 * SECOND
    start: timedelta = 40 * SECOND
    run_command: timedelta = 15 * SECOND
    eviction_notice: timedelta = 30 * SECOND
    give_up: timedelta = 1800 * SECOND
    retry_after: timedelta | None = 10 * SECOND

    def scaled(self, factor: float) -> Pace:
        """Return this pace with every duration multiplied; headers keep whole seconds, at least one."""
        times = {
            name: getattr(self, name) * factor
            for name in ("allocate", "update", "shut_down", "delete", "restart", "reimage", "deallocate", "start")
        }
        return Pace(
            boot=_ScaledBoot(self.boot, factor),
            run_command=self.run_command * factor,
            eviction_notice=self.eviction_notice * factor,
            give_up=self.give_up * factor,
            retry_after=max(SECOND, self.retry_after * factor) if self.retry_after else None,
            **times,
        )


@dataclass(frozen=True, slots=True)
class _ScaledBoot:
    boot: BootTime
    factor: float

    def draw(self, chance: Random) -> timedelta:
        return self.boot.draw(chance) * self.factor


AZURE_PACE = Pace()
"""Close to a quiet day in a real region."""

LAB_PACE = Pace(boot=FixedBoot(2 * SECOND), retry_after=SECOND).scaled(0.1)
"""For a person at a terminal: instances are up in well under a second; notices and deletes keep their proportions."""
