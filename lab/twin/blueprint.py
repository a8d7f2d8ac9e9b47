"""What is built: machines, addresses, names and network rules, all read from the resources that the templates predict."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from ipaddress import ip_network
from typing import TYPE_CHECKING, Any

from tools.bundle_node import taken_apart
from tools.infra_prediction import MACHINE, SCALE_SET, custom_data_text, prediction_with, told, user_data_text

if TYPE_CHECKING:
    from tools.infra_prediction import Prediction, Resource

COMMON = """
param sshPublicKey = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyForChecksOnly0000000000000000000000 checks'
param stage = 'production'
param operatorSources = ['203.0.113.0/24']
"""
SMALL = """
param releases = {{ nomad: '{nomad}', consul: '{consul}', vault: '1.20.3', mirror: {mirror} }}
param clientPools = [{{ name: 'general', min: 3, max: 6, order: 10, price: '0.230', nodeClass: '{node_class}' }}]
"""
"""Production, small: three servers, Consul beside Nomad, one pool (bicep/params/production-minimal.bicepparam)."""
LARGE = """
param serverCount = 5
param clientPools = [{ name: 'general', min: 5, max: 10 }, { name: 'spot', min: 0, max: 10, priority: 'Spot' }]
param consul = { mode: 'Dedicated', mesh: true }
param vault = true
param files = true
param applicationPorts = ['8080', '9000-9100']
param federation = { networks: [], servers: ['10.50.10.0/24'], join: ['10.50.10.4'], authoritativeRegion: 'global' }
"""
"""Production, highly available (bicep/params/production-ha.bicepparam), and whatever else opens a port."""

INSTANCE = "a1b2c3d4"


@dataclass(frozen=True, slots=True)
class Administrator:
    """The account that operators use on a machine."""

    name: str
    keys: str
    """File in which its key must stand."""
    key: str


@dataclass(frozen=True, slots=True)
class Blueprint:
    """One machine as Azure would make it. `user_data` is what the metadata service gives, base64."""

    name: str
    host_name: str
    address: str
    subnet: str
    zone: str
    custom_data: str
    user_data: str
    scale_set: str
    resource: Resource

    @property
    def profile(self) -> dict[str, Any]:
        """The part of the resource that a scale set and a single machine have in common."""
        properties: dict[str, Any] = self.resource["properties"]
        return properties.get("virtualMachineProfile", properties)

    @property
    def administrator(self) -> Administrator:
        """Whom Azure tells cloud-init to make."""
        system = self.profile["osProfile"]
        (key,) = system["linuxConfiguration"]["ssh"]["publicKeys"]
        return Administrator(system["adminUsername"], key["path"], key["keyData"])

    @property
    def short(self) -> str:
        """A name for namespaces and logs."""
        return self.host_name

    def told(self) -> dict[str, Any]:
        """Return the decoded userData."""
        decoded: dict[str, Any] = json.loads(taken_apart(self.user_data)[1])
        return decoded


@dataclass(frozen=True, slots=True)
class Site:
    """Everything that the templates say about the twin."""

    prediction: Prediction
    servers: tuple[Blueprint, ...]
    client: Blueprint
    subnets: dict[str, str]
    names: dict[str, str]


def site(choices: str) -> Site:
    """Render the templates with these parameters (Bicep text) besides the ones that every twin has."""
    found = prediction_with("twin", COMMON + choices)
    subnets = {
        name: str(properties.get("addressPrefix") or properties["addressPrefixes"][0])
        for name, properties in found.subnets().items()
    }
    return Site(found, _servers(found, subnets), _client(found, subnets), subnets, _names(found))


def _servers(found: Prediction, subnets: dict[str, str]) -> tuple[Blueprint, ...]:
    servers: list[Blueprint] = []
    for resource in found.members():
        if resource["type"] == MACHINE and told(resource)["role"] == "server":
            link = found.by_id(resource["properties"]["networkProfile"]["networkInterfaces"][0]["id"])
            if link is None:
                raise LookupError(f"{resource['name']} has no predicted network interface")
            address = link["properties"]["ipConfigurations"][0]["properties"]["privateIPAddress"]
            computer = resource["properties"]["osProfile"]["computerName"]
            servers.append(
                _blueprint(
                    resource, name=resource["name"], host_name=computer, address=address, subnet=subnets["servers"]
                )
            )
    return tuple(servers)


def _client(found: Prediction, subnets: dict[str, str]) -> Blueprint:
    """The first instance of the first pool; its name and address are Azure's choice, so they are chosen here."""
    resource = next(each for each in found.members() if each["type"] == SCALE_SET)
    profile = resource["properties"]["virtualMachineProfile"]
    computer = f"{profile['osProfile']['computerNamePrefix']}000001"
    address = str(ip_network(subnets["clients"])[5])
    return _blueprint(
        resource,
        name=f"{resource['name']}_{INSTANCE}",
        host_name=computer,
        address=address,
        subnet=subnets["clients"],
        scale_set=resource["name"],
    )


def _blueprint(
    resource: Resource, *, name: str, host_name: str, address: str, subnet: str, scale_set: str = ""
) -> Blueprint:
    return Blueprint(
        name=name,
        host_name=host_name,
        address=address,
        subnet=subnet,
        zone=str((resource.get("zones") or [""])[0]),
        custom_data=base64.b64decode(custom_data_text(resource) or "").decode(),
        user_data=user_data_text(resource) or "",
        scale_set=scale_set,
        resource=resource,
    )


def _names(found: Prediction) -> dict[str, str]:
    """Private names and their addresses, as the templates write the zone."""
    names: dict[str, str] = {}
    for record in found.of("Microsoft.Network/privateDnsZones/A"):
        zone, _, name = record["name"].partition("/")
        names[f"{name}.{zone}"] = record["properties"]["aRecords"][0]["ipv4Address"]
    return names
