"""The pools of a lab: a scale set each, the keeper's rules for it, and the settings that name them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.azure.model.building import add_pool
from lab.azure.model.words import Mode, Priority
from lab.membership import NodeShape

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.azure.model.cloud import Cloud

TOKEN_SECRET, CA_SECRET = "nomad-keeper-token", "nomad-ca-bundle"
QUEUE, CONTAINER = "keeper", "keeper"
NOBODY = "00000000-0000-0000-0000-000000000000"


@dataclass(frozen=True, slots=True)
class LabPool:
    """One scale set and the keeper's rules for it."""

    name: str
    minimum: int
    maximum: int
    spot: bool = False
    order: int = 100
    price: float = 0.2
    sku: str = "Standard_D4s_v5"
    mode: Mode = Mode.FLEXIBLE
    shape: NodeShape = field(default_factory=NodeShape)

    @property
    def scale_set(self) -> str:
        """The scale set's name."""
        return f"vmss-{self.name}"

    def setting(self) -> dict[str, Any]:
        """The pool as the keeper's `POOLS` setting names it."""
        shape = self.shape
        return {
            "name": self.name,
            "scaleSet": self.scale_set,
            "resourceGroup": "rg-lab",
            "mode": self.mode.value,
            "min": self.minimum,
            "max": self.maximum,
            "priority": "spot" if self.spot else "regular",
            "zones": ["1", "2", "3"],
            "order": self.order,
            "price": self.price,
            "sku": self.sku,
            "nodeClass": shape.node_class,
            "nodePool": shape.node_pool,
            "datacenter": shape.datacenter,
        }

    def tags(self) -> dict[str, str]:
        """What the infrastructure writes on the scale set, so that an empty pool can be sized."""
        shape = self.shape
        return {
            "keeper-node-cpu-mhz": str(shape.cpu),
            "keeper-node-memory-mb": str(shape.memory),
            "keeper-node-disk-mb": str(shape.disk),
            "keeper-node-cores": "2",
            "keeper-node-class": shape.node_class,
            "keeper-node-pool": shape.node_pool,
            "keeper-node-datacenter": shape.datacenter,
        }


def make_pools(cloud: Cloud, pools: Sequence[LabPool]) -> None:
    """Make the scale sets, each with its minimum of instances up."""
    for pool in pools:
        add_pool(
            cloud,
            pool.scale_set,
            mode=pool.mode,
            sku=pool.sku,
            capacity=pool.minimum,
            priority=Priority.SPOT if pool.spot else Priority.REGULAR,
            tags=pool.tags(),
        )


def settings_of(
    pools: Sequence[LabPool], subscription: str, changes: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The keeper's settings as the infrastructure's outputs would make them; endpoints that nobody serves by default."""
    return {
        "AZURE_CLIENT_ID": NOBODY,
        "AZURE_SUBSCRIPTION_ID": subscription,
        "KEY_VAULT_URL": "https://vault.lab",
        "KEEPER_STORAGE__blobServiceUri": "https://blob.lab",
        "KEEPER_STORAGE__queueServiceUri": "https://queue.lab",
        "KEEPER_QUEUE": QUEUE,
        "KEEPER_CONTAINER": CONTAINER,
        "NOMAD_ADDRESS": "https://nomad.lab:4646",
        "NOMAD_TOKEN_SECRET": TOKEN_SECRET,
        "NOMAD_CA_SECRET": CA_SECRET,
        "AUTOSCALE_SCHEDULE": "*/30 * * * * *",
        "SNAPSHOT_SCHEDULE": "0 20 * * * *",
        "REHEARSAL_SCHEDULE": "0 50 * * * *",
        "CERTIFICATES_SCHEDULE": "0 */5 * * * *",
        "POOLS": json.dumps([pool.setting() for pool in pools]),
        **(changes or {}),
    }
