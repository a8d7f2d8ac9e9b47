"""How many addresses the pools' subnets have left: Azure refuses a growth as a whole when one is missing."""

from functools import cached_property
from ipaddress import IPv4Network
from typing import TYPE_CHECKING

from keeper.azure.adapter import SdkAdapter
from keeper.azure.answers import in_our_words
from keeper.azure.arm import arm_options

if TYPE_CHECKING:
    from azure.mgmt.network import NetworkManagementClient

RESERVED = 5
"""Azure keeps the first four addresses of each subnet and the last one
(https://learn.microsoft.com/azure/virtual-network/virtual-networks-faq)."""


class Subnets(SdkAdapter):
    """Reads subnets. azure-mgmt-network is loaded when it is first asked: no idle tick does."""

    @cached_property
    def _client(self) -> "NetworkManagementClient":
        from azure.mgmt.network import NetworkManagementClient  # noqa: PLC0415 -- an SDK, loaded when first used

        options = arm_options(self._settings.arm, self._transport)
        return NetworkManagementClient(self._credential, self._settings.subscription, **options)

    def free(self, subnet: str) -> int:
        """How many addresses the subnet of that id has left. One call.

        Raises `Forbidden`, `Gone`, `Throttled`, `Unreachable` or `Permanent`.
        """
        parts = subnet.strip("/").split("/")
        group, network, name = parts[3], parts[-3], parts[-1]
        with in_our_words(f"count the free addresses of subnet {name}"):
            found = self._client.subnets.get(group, network, name)
        prefixes = found.address_prefixes or [found.address_prefix or ""]
        sizes = [IPv4Network(prefix).num_addresses - RESERVED for prefix in prefixes if "." in prefix]
        return sum(sizes) - len(found.ip_configurations or ())
