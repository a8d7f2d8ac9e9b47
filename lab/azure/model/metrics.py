"""Metrics of scale sets, scripted: a constant, a function of time, or recorded points."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    type Source = Callable[[datetime], float | None]

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class MetricDefinition:
    """What Azure Monitor says about a platform metric."""

    name: str
    unit: str
    aggregation: str
    description: str


DEFINITIONS: tuple[MetricDefinition, ...] = (
    MetricDefinition(
        "Percentage CPU",
        "Percent",
        "Average",
        "The percentage of allocated compute units that are currently in use by the Virtual Machine(s)",
    ),
    MetricDefinition(
        "Available Memory Bytes",
        "Bytes",
        "Average",
        "Amount of physical memory, in bytes, immediately available for allocation to a process or for system use in the Virtual Machine",
    ),
    MetricDefinition(
        "Network In Total",
        "Bytes",
        "Total",
        "The number of bytes received on all network interfaces by the Virtual Machine(s) (Incoming Traffic)",
    ),
    MetricDefinition(
        "Network Out Total",
        "Bytes",
        "Total",
        "The number of bytes out on all network interfaces by the Virtual Machine(s) (Outgoing Traffic)",
    ),
)


def definition_named(name: str) -> MetricDefinition | None:
    """Find a metric definition by name, in any case."""
    return next((known for known in DEFINITIONS if known.name.lower() == name.lower()), None)


class Metrics:
    """What each resource would report; resources are named by their last path segment, without case."""

    def __init__(self) -> None:
        self._sources: dict[tuple[str, str], Source] = {}
        self._points: dict[tuple[str, str], dict[datetime, float]] = {}

    def script(self, resource: str, metric: str, value: float | Source) -> None:
        """Have a resource report a constant, or what a function of the minute returns (None: no value)."""
        source = value if callable(value) else (lambda _: float(value))
        self._sources[_key(resource, metric)] = source

    def record(self, resource: str, metric: str, at: datetime, value: float) -> None:
        """Add one point; recorded points win over a scripted source in their minute."""
        self._points.setdefault(_key(resource, metric), {})[_minute(at)] = value

    def values(
        self, resource: str, metric: str, start: datetime, end: datetime, step: timedelta
    ) -> list[tuple[datetime, list[float]]]:
        """Return for each step in [start, end) its start and the one-minute values that lie in it."""
        source = self._sources.get(_key(resource, metric))
        points = self._points.get(_key(resource, metric), {})
        series: list[tuple[datetime, list[float]]] = []
        bucket = _minute(start)
        while bucket < end:
            minutes = (bucket + MINUTE * n for n in range(max(1, step // MINUTE)))
            found = [points.get(m, source(m) if source else None) for m in minutes if m < end]
            series.append((bucket, [value for value in found if value is not None]))
            bucket += max(step, MINUTE)
        return series


def _key(resource: str, metric: str) -> tuple[str, str]:
    return resource.lower(), metric.lower()


def _minute(moment: datetime) -> datetime:
    return moment.replace(second=0, microsecond=0)
