"""The sizes that the lab sells, as data.

Sizes, families and capabilities are those of the public size pages; the prices are round figures in US dollars per
hour for Linux in one region, good for comparing sizes with each other and for nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sku:
    """A virtual machine size; `temporary_disk_mb` is `MaxResourceVolumeMB`, 0 for sizes without a local disk."""

    name: str
    family: str
    vcpus: int
    memory_gb: float
    temporary_disk_mb: int
    dollars_per_hour: float
    spot_dollars_per_hour: float
    max_data_disks: int

    @property
    def family_title(self) -> str:
        """The family as the usages list prints it."""
        return f"Standard {self.family.removeprefix('standard').removesuffix('Family')} Family vCPUs"


SKUS: tuple[Sku, ...] = (
    Sku("Standard_B2s", "standardBSFamily", 2, 4, 8192, 0.042, 0.012, 4),
    Sku("Standard_B2ms", "standardBSFamily", 2, 8, 16384, 0.083, 0.024, 4),
    Sku("Standard_D1_v2", "standardDv2Family", 1, 3.5, 51200, 0.073, 0.014, 4),
    Sku("Standard_DS1_v2", "standardDSv2Family", 1, 3.5, 7168, 0.073, 0.014, 4),
    Sku("Standard_D2s_v3", "standardDSv3Family", 2, 8, 16384, 0.096, 0.019, 4),
    Sku("Standard_D2s_v5", "standardDSv5Family", 2, 8, 0, 0.096, 0.019, 4),
    Sku("Standard_D4s_v5", "standardDSv5Family", 4, 16, 0, 0.192, 0.038, 8),
    Sku("Standard_D8s_v5", "standardDSv5Family", 8, 32, 0, 0.384, 0.077, 16),
    Sku("Standard_D16s_v5", "standardDSv5Family", 16, 64, 0, 0.768, 0.154, 32),
    Sku("Standard_D2ds_v5", "standardDDSv5Family", 2, 8, 76800, 0.113, 0.023, 4),
    Sku("Standard_D4ds_v5", "standardDDSv5Family", 4, 16, 153600, 0.226, 0.045, 8),
    Sku("Standard_E4s_v5", "standardESv5Family", 4, 32, 0, 0.252, 0.050, 8),
    Sku("Standard_E8s_v5", "standardESv5Family", 8, 64, 0, 0.504, 0.101, 16),
    Sku("Standard_F4s_v2", "standardFSv2Family", 4, 8, 32768, 0.169, 0.034, 8),
    Sku("Standard_F8s_v2", "standardFSv2Family", 8, 16, 65536, 0.338, 0.068, 16),
)

_BY_NAME = {sku.name.lower(): sku for sku in SKUS}


def sku_named(name: str) -> Sku | None:
    """Find a size by name, in any case; None when the lab does not sell it."""
    return _BY_NAME.get(name.lower())
