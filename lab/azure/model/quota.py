"""Core quotas of one subscription in one region: per family, in all, and for Spot.

Regular cores count against their family and against the regional total; Spot cores count against the low-priority
quota only. Deallocated machines keep counting, machines that were never allocated do not.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.azure.model.failures import Circumstances, Failure, failure
from lab.azure.model.skus import sku_named
from lab.azure.model.words import Priority

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.azure.model.resources import ScaleSet


@dataclass(slots=True)
class Quotas:
    """Limits in cores; a family without an entry has `family_default`."""

    regional: int = 1000
    low_priority: int = 1000
    family_default: int = 1000
    families: dict[str, int] = field(default_factory=dict)

    def family(self, name: str) -> int:
        """Return the limit of a family, named in any case."""
        limits = {family.lower(): limit for family, limit in self.families.items()}
        return limits.get(name.lower(), self.family_default)


@dataclass(frozen=True, slots=True)
class Usage:
    """Cores in use."""

    regional: int
    low_priority: int
    families: dict[str, int]
    machines: int


def usage_of(scale_sets: Iterable[ScaleSet]) -> Usage:
    """Count the cores that these scale sets hold."""
    regional = low_priority = machines = 0
    families: dict[str, int] = {}
    for scale_set in scale_sets:
        for instance in scale_set:
            sku = sku_named(instance.sku)
            if sku is None or not instance.allocated:
                continue
            machines += 1
            if scale_set.priority is Priority.SPOT:
                low_priority += sku.vcpus
            else:
                regional += sku.vcpus
                families[sku.family] = families.get(sku.family, 0) + sku.vcpus
    return Usage(regional, low_priority, families, machines)


def check_quota(quotas: Quotas, usage: Usage, scale_set: ScaleSet, new_instances: int) -> None:
    """Raise the quota error that Azure would give for this many more instances; the family is looked at first."""
    sku = sku_named(scale_set.sku)
    if sku is None:
        return
    required = sku.vcpus * new_instances
    if scale_set.priority is Priority.SPOT:
        checks = [(Failure.QUOTA_LOW_PRIORITY, quotas.low_priority, usage.low_priority)]
    else:
        checks = [
            (Failure.QUOTA_FAMILY, quotas.family(sku.family), usage.families.get(sku.family, 0)),
            (Failure.QUOTA_REGIONAL, quotas.regional, usage.regional),
        ]
    for kind, limit, used in checks:
        if used + required > limit:
            raise failure(
                kind,
                Circumstances(
                    sku=sku.name,
                    location=scale_set.location,
                    family=sku.family,
                    limit=limit,
                    usage=used,
                    required=required,
                ),
            )
