"""How much a group of tasks holds at the same time.

Nomad does not add all tasks: a prestart task has ended before the main ones start, and a poststop task starts after they
ended, so only the larger of these phases counts, beside the sidecars, which run throughout
(https://developer.hashicorp.com/nomad/docs/job-specification/lifecycle).
"""

from collections.abc import Iterable
from typing import NamedTuple

from keeper.core.model import MHz, MiB, Resources
from keeper.nomad import wire


class Size(NamedTuple):
    """What one task takes."""

    cpu: MHz
    cores: int
    memory: MiB


NOTHING = Size(0, 0, 0)


def at_once(tasks: Iterable[tuple[Size, wire.Lifecycle | None]], disk: MiB) -> Resources:
    """The most that the tasks hold together at any time, with the disk they share."""
    main, prestart, poststop, sidecars = _phases(tasks)
    cpu, cores, memory = _sum(sidecars, Size(*map(max, zip(main, prestart, poststop, strict=True))))
    return Resources(cpu, cores, memory, disk)


def phases(tasks: Iterable[tuple[Size, wire.Lifecycle | None]]) -> tuple[tuple[MHz, int], ...]:
    """The MHz and the cores that are held together in each phase, or nothing when there are no cores."""
    *turns, sidecars = _phases(tasks)
    held = [_sum(sidecars, turn) for turn in turns]
    return tuple(dict.fromkeys((each.cpu, each.cores) for each in held)) if any(each.cores for each in held) else ()


def _phases(tasks: Iterable[tuple[Size, wire.Lifecycle | None]]) -> tuple[Size, Size, Size, Size]:
    main = prestart = poststop = sidecars = NOTHING
    for size, lifecycle in tasks:
        match lifecycle:
            case {"Hook": "prestart", "Sidecar": True}:
                sidecars = _sum(sidecars, size)
            case {"Hook": "prestart"}:
                prestart = _sum(prestart, size)
            case {"Hook": "poststop"}:
                poststop = _sum(poststop, size)
            case _:
                main = _sum(main, size)
    return main, prestart, poststop, sidecars


def _sum(one: Size, other: Size) -> Size:
    return Size(one.cpu + other.cpu, one.cores + other.cores, one.memory + other.memory)
