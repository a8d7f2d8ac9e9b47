"""What an Azure VM size is, from its name: the last resort for a pool that never had a node and bears no tags.

Names follow https://learn.microsoft.com/azure/virtual-machines/vm-naming-conventions. Clock rates are the lowest base
frequency among the processors that a series is deployed on, memory is what a guest sees of it, disk is a 30 GiB OS disk
less the image: the true node is seldom smaller, and once one has been seen its own figures count.
"""

import re
from dataclasses import dataclass
from functools import cache

from keeper.core.model import MHz, Resources

_NAME = re.compile(
    r"(?:[Ss]tandard_|[Bb]asic_)?(?P<letters>[A-Za-z]+)(?P<number>\d+)(?:-(?P<fewer>\d+))?(?P<features>[a-z]*)"
    r"(?:_[A-Z][A-Za-z0-9]*)?(?:_v(?P<version>\d+))?(?:_Promo)?",
)

GUEST_MEMORY = 0.96
"""The share of a size's memory that Linux reports."""

OS_DISK = 24_000
"""MiB that a 30 GiB OS disk leaves for work."""

_GIB_PER_CORE = {
    "A": 2.0,
    "B": 4.0,
    "D": 4.0,
    "DC": 4.0,
    "E": 8.0,
    "EC": 8.0,
    "F": 2.0,
    "FX": 21.0,
    "L": 8.0,
    "M": 27.0,
    "NC": 7.0,
    "NV": 7.0,
}

_OLD: dict[str, dict[int, tuple[int, float]]] = {
    "A": {1: (1, 1.75), 2: (2, 3.5), 3: (4, 7), 4: (8, 14), 5: (2, 14), 6: (4, 28), 7: (8, 56)},
    "D": {
        1: (1, 3.5),
        2: (2, 7),
        3: (4, 14),
        4: (8, 28),
        5: (16, 56),
        11: (2, 14),
        12: (4, 28),
        13: (8, 56),
        14: (16, 112),
        15: (20, 140),
    },
}
"""Sizes of version 1 and 2 whose number does not count cores: cores and GiB."""

_MHZ: tuple[tuple[str, str, int, MHz], ...] = (
    ("D", "a", 4, 2350),
    ("D", "a", 5, 2450),
    ("D", "a", 6, 2600),
    ("D", "p", 5, 3000),
    ("D", "p", 6, 3400),
    ("D", "", 3, 2100),
    ("D", "", 4, 2500),
    ("D", "", 5, 2100),
    ("D", "", 6, 2300),
    ("F", "", 2, 2600),
    ("F", "a", 6, 2600),
    ("L", "", 3, 2100),
    ("L", "a", 3, 2450),
)
"""Series, processor letter (a = AMD, p = Arm), version, MHz per core; E follows D."""

SLOWEST: MHz = 2000


@dataclass(frozen=True, slots=True)
class Sku:
    """A VM size."""

    family: str
    """Sizes of one family share a core quota."""
    cores: int
    resources: Resources


@cache
def sku(name: str) -> Sku | None:
    """The size of that name, or None when the name does not tell. Case does not matter."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    letters, features, version = found["letters"].upper(), found["features"], int(found["version"] or 1)
    cores, gib = _cores_and_memory(letters, int(found["number"]), features, version)
    if not gib:
        return None
    if found["fewer"]:
        cores = int(found["fewer"])
    resources = Resources(cores * _mhz(letters, features, version), cores, int(gib * 1024 * GUEST_MEMORY), OS_DISK)
    return Sku(f"{letters}{features}_v{version}", cores, resources)


def cores_of(name: str) -> int | None:
    """The virtual cores that one instance of that size takes from quotas and limits."""
    found = sku(name)
    return found.cores if found else None


def family_of(name: str) -> str:
    """The quota family; a name that does not tell is its own."""
    found = sku(name)
    return found.family if found else name.lower()


def _cores_and_memory(letters: str, number: int, features: str, version: int) -> tuple[int, float]:
    series = letters.removesuffix("S") if letters in {"DS", "GS", "FS"} else letters
    old = _OLD.get(series, {}).get(number)
    if old and version <= 2:  # noqa: PLR2004 -- from version 3 on the number counts cores
        return old
    if series == "B":
        return number, _burstable(number, features, version)
    low = 0.5 if "l" in features and series == "D" else 1.0
    return number, number * _GIB_PER_CORE.get(series, 0.0) * low


def _burstable(number: int, features: str, version: int) -> float:
    if version > 1:
        return number * {"l": 2.0, "t": 0.5}.get(next((f for f in features if f in "lt"), ""), 4.0)
    return {"ls": 0.5, "s": 1.0 if number == 1 else 2.0 * number, "ms": 2.0 if number == 1 else 4.0 * number}.get(
        features, 0
    )


def _mhz(letters: str, features: str, version: int) -> MHz:
    series = "D" if letters[0] == "E" else letters[0]
    maker = next((f for f in features if f in "ap"), "")
    rates = {(s, m, v): rate for s, m, v, rate in _MHZ}
    return rates.get((series, maker, version), SLOWEST)
