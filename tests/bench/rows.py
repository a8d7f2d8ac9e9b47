"""One measured figure, and how a list of them is made from samples."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Literal, TypedDict


class Row(TypedDict):
    """As it stands in build/bench.json."""

    name: str
    value: float
    unit: str
    bar: float
    ok: bool
    how: str


def row(name: str, value: float, unit: str, bar: float, how: str) -> Row:
    """A figure that must stay at or under its bar."""
    return Row(name=name, value=round(value, 4), unit=unit, bar=bar, ok=value <= bar, how=how)


def p99(samples: Sequence[float]) -> float:
    """The 99th percentile; with fewer than a hundred samples the largest."""
    return quantiles(samples, n=100)[98] if len(samples) >= 100 else max(samples)


def p95(samples: Sequence[float]) -> float:
    """The 95th percentile."""
    return quantiles(samples, n=20)[18]


def p50(samples: Sequence[float]) -> float:
    """The median."""
    return median(samples)


def memory(what: Literal["VmRSS", "VmHWM"], process: int | Literal["self"] = "self") -> float:
    """What a process takes of memory now, or took at most, in MiB.

    The most that `getrusage` tells begins with what the parent took, which hides all that a smaller child does.
    """
    lines = Path(f"/proc/{process}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(what)).split()[1]) / 1024
