"""The private addresses of a pool's instances, for people to read."""

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING

from keeper.azure.answers import in_our_words
from keeper.azure.arm import arm_options
from keeper.core.model import InstanceName, Mode, Pool, instance_is_of
from keeper.settings import AzureSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.mgmt.network import NetworkManagementClient
    from azure.mgmt.network.models import NetworkInterface

    from keeper.azure.arm import Transport


class NetworkAddresses:
    """Reads network interfaces. azure-mgmt-network is loaded when it is first asked: no tick of the autoscaler does."""

    def __init__(
        self, settings: AzureSettings, *, credential: "TokenCredential", transport: "Transport | None" = None
    ) -> None:
        self._settings = settings
        self._credential = credential
        self._transport = transport

    @cached_property
    def _client(self) -> "NetworkManagementClient":
        from azure.mgmt.network import NetworkManagementClient  # noqa: PLC0415 -- an SDK, loaded when first used

        options = arm_options(self._settings.arm, self._transport)
        return NetworkManagementClient(self._credential, self._settings.subscription, **options)

    def of_pool(self, pool: Pool) -> Mapping[InstanceName, str]:
        """The primary private address of each instance that has one. One call per page.

        Raises `Forbidden`, `Gone`, `Throttled`, `Unreachable` or `Permanent`.
        """
        interfaces = self._client.network_interfaces
        with in_our_words(f"list the network interfaces of {pool.scale_set}"):
            if pool.mode is Mode.UNIFORM:
                group, name = pool.resource_group, pool.scale_set
                return _addresses(pool, interfaces.list_virtual_machine_scale_set_network_interfaces(group, name))
            return _addresses(pool, interfaces.list(pool.resource_group))


def _addresses(pool: Pool, interfaces: "Iterable[NetworkInterface]") -> dict[InstanceName, str]:
    found: dict[InstanceName, str] = {}
    for interface in interfaces:
        name = _instance(pool, (interface.virtual_machine and interface.virtual_machine.id) or "")
        for configuration in interface.ip_configurations or ():
            if name and configuration.private_ip_address and configuration.primary is not False:
                found.setdefault(name, configuration.private_ip_address)
    return found


def _instance(pool: Pool, machine: str) -> InstanceName | None:
    """Whose interface it is: Uniform instances are ids under their scale set, Flexible ones machines by name."""
    name = machine.rpartition("/")[2]
    if pool.mode is Mode.UNIFORM:
        return InstanceName(f"{pool.scale_set}_{name}") if name else None
    return InstanceName(name) if instance_is_of(pool.scale_set, name) else None
