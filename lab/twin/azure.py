"""Azure as a machine sees it: the metadata service, the Key Vaults and the release servers, each at its real name.

Tokens, vaults and scheduled events are the lab's; here they get addresses inside the twin's network.
"""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.azure.access import Grant
from lab.azure.arm import Arm
from lab.azure.identity import InstanceMetadata, instance_document
from lab.azure.model.cloud import LAB_TENANT, Cloud
from lab.azure.model.notices import NoticeKind, announce
from lab.azure.model.resources import Instance, ScaleSet, ScaleSetKey
from lab.azure.model.words import Mode
from lab.azure.tokens import Principal, Tenant
from lab.clock import wall_clock
from lab.http import Response, Tls, serve
from lab.keyvault.key_store import make_key
from lab.keyvault.vault import Vault
from lab.twin.deposits import Deposits
from lab.twin.network import inside

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

    from lab.ca import Authority
    from lab.http import Request
    from lab.twin.blueprint import Blueprint

IMDS = "169.254.169.254"
SEAL_KEYS = tuple(f"Microsoft.KeyVault/vaults/keys/{each}" for each in ("read", "wrap/action", "unwrap/action"))
"""What Key Vault Crypto User allows, as far as a server uses it."""
READ_SECRETS = ("Microsoft.KeyVault/vaults/secrets/getSecret/action",)
"""What Key Vault Secrets User allows, as far as a machine uses it."""


@dataclass(slots=True)
class Guest:
    """A machine as the metadata service knows it."""

    blueprint: Blueprint
    scale_set: ScaleSet
    instance: Instance
    acknowledged: threading.Event = field(default_factory=threading.Event)


class Metadata:
    """The metadata service: every machine is told apart by the address it calls from."""

    def __init__(self, tenant: Tenant, principals: list[Principal]) -> None:
        self.cloud = Cloud(wall_clock)
        self._arm = Arm(self.cloud)
        self._lab = InstanceMetadata(self._arm, tenant, principals, self._locate)
        self._guests: dict[str, Guest] = {}

    def add(self, blueprint: Blueprint) -> Guest:
        """Take in a machine."""
        guest = Guest(blueprint, *_resources(self.cloud, blueprint))
        self._guests[blueprint.address] = guest
        return guest

    def change_user_data(self, blueprint: Blueprint) -> None:
        """Deploy again: the machine at that address is told something else from now on."""
        guest = self._guests[blueprint.address]
        guest.blueprint = blueprint
        guest.scale_set.profile["userData"] = blueprint.user_data

    def announce_preemption(self, address: str) -> Guest:
        """Tell the machine that Azure takes it away in 30 seconds; `acknowledged` is set when that begins."""
        guest = self._guests[address]
        with self._arm.lock:
            announce(
                self.cloud,
                guest.instance,
                NoticeKind.PREEMPT,
                timedelta(seconds=30),
                lambda _: guest.acknowledged.set(),
            )
        return guest

    def handle(self, request: Request) -> Response:
        """Answer one request; a path below `/metadata/instance` with `format=text` is one value of the document."""
        path = [part for part in request.path.split("/") if part]
        if path[:2] != ["metadata", "instance"]:
            return self._lab.handle(request)
        guest = self._guests.get(request.peer)
        if guest is None or request.headers.get("metadata", "").lower() != "true":
            return Response.of_json(400, {"error": "bad_request"})
        value = document_of(guest)
        for part in path[2:]:
            value = value.get(part, {}) if isinstance(value, dict) else {}
        if request.query.get("format") == "text" and isinstance(value, str):
            return Response(200, {"Content-Type": "text/plain"}, value.encode())
        return Response.of_json(200, value)

    def _locate(self, request: Request) -> tuple[ScaleSet, Instance] | None:
        guest = self._guests.get(request.peer)
        return (guest.scale_set, guest.instance) if guest else None


def document_of(guest: Guest) -> Any:  # noqa: ANN401 - a part of a JSON document
    """Return the machine's metadata; a single machine, unlike a scale set's, names no scale set."""
    document = instance_document(guest.scale_set, guest.instance)
    if not guest.blueprint.scale_set:
        document["compute"] |= {"vmScaleSetName": "", "virtualMachineScaleSet": {"id": ""}}
    return document


def _resources(cloud: Cloud, blueprint: Blueprint) -> tuple[ScaleSet, Instance]:
    now = wall_clock()
    scale_set = ScaleSet(
        key=ScaleSetKey(cloud.subscription, "rg-nomad", blueprint.scale_set or "none"),
        location=cloud.location,
        mode=Mode.FLEXIBLE,
        sku=str((blueprint.resource.get("sku") or {}).get("name", "Standard_D2s_v5")),
        capacity=1,
        zones=(blueprint.zone,) if blueprint.zone else (),
        tags=dict(blueprint.resource.get("tags") or {}),
        document={"properties": {"virtualMachineProfile": {**blueprint.profile, "userData": blueprint.user_data}}},
        unique_id=str(uuid.uuid4()),
        placement_group="",
        created=now,
        network_number=0,
    )
    instance = Instance(
        instance_id=blueprint.name,
        name=blueprint.name,
        number=0,
        sku=scale_set.sku,
        zone=blueprint.zone or None,
        ip=blueprint.address,
        vm_id=str(uuid.uuid4()),
        created=now,
        status_time=now,
        model_version=1,
        fault_domain=0,
        tags={},
    )
    return scale_set, instance


@dataclass(slots=True)
class Services:
    """Everything that the machines call, running in one namespace."""

    metadata: Metadata
    vaults: dict[str, Vault]
    deposits: Deposits | None
    """Where servers before Nomad 1.9 bring their root keys; None when the templates tell nobody to."""


def identity_of(blueprint: Blueprint) -> Principal:
    """Return the identity that the machine's knobs name."""
    client_id = str(blueprint.told()["knobs"]["identityClientId"])
    return Principal(client_id, f"object-of-{client_id}", blueprint.host_name)


def vault_host(blueprint: Blueprint) -> str:
    """Return the name of the Key Vault that the machine's knobs name."""
    return str(urlsplit(blueprint.told()["knobs"]["vaultUrl"]).hostname)


def hosts_of(blueprint: Blueprint) -> list[str]:
    """Return the names in the data subnet that the machine calls: its vault, and where it deposits root keys, if it does."""
    keystore = blueprint.told()["knobs"].get("keystore") or {}
    return [vault_host(blueprint), *(str(urlsplit(url).hostname) for url in keystore.values())]


def start(
    stack: ExitStack,
    namespace: str,
    *,
    authority: Authority,
    blueprints: list[Blueprint],
    addresses: dict[str, str],
    downloads: Callable[[Request], Response],
) -> Services:
    """Start all of it; `addresses` says where each host name is. Each identity may read its own vault's secrets only."""
    tenant = Tenant(LAB_TENANT, wall_clock)
    principals = {identity_of(each).client_id: identity_of(each) for each in blueprints}
    metadata = Metadata(tenant, list(principals.values()))
    vaults: dict[str, Vault] = {}
    for each in blueprints:
        grants = {identity_of(each).object_id: (Grant(READ_SECRETS),)}
        vaults.setdefault(vault_host(each), Vault(tenant, wall_clock, name=vault_host(each), grants=grants))
    handlers = {host: vaults[host].handle if host in vaults else downloads for host in addresses}
    deposits = _keystore(tenant, blueprints, handlers)
    with inside(namespace):
        stack.enter_context(serve(metadata.handle, address=IMDS, port=80))
        for host, address in addresses.items():
            leaf = authority.issue(host, names=[host])
            stack.enter_context(serve(handlers[host], address=address, port=443, tls=Tls(leaf.certificate, leaf.key)))
    return Services(metadata, vaults, deposits)


def _keystore(
    tenant: Tenant, blueprints: list[Blueprint], handlers: dict[str, Callable[[Request], Response]]
) -> Deposits | None:
    """Have the state account take root keys from those who are told to bring them, and the keeper's vault seal them."""
    bringers = {identity_of(each).object_id: each for each in blueprints if each.told()["knobs"].get("keystore")}
    if not bringers:
        return None
    place = next(iter(bringers.values())).told()["knobs"]["keystore"]
    host, name = str(urlsplit(place["keyUrl"]).hostname), urlsplit(place["keyUrl"]).path.rpartition("/")[2]
    grants = dict.fromkeys(bringers, (Grant(SEAL_KEYS, f"/vaults/{host}/keys/{name}"),))
    vault = Vault(tenant, wall_clock, name=host, grants=grants)
    vault.keys.shelf.add(name, make_key({"kty": "RSA", "key_size": 2048, "key_ops": ["wrapKey", "unwrapKey"]}), {})
    deposits = Deposits(tenant, frozenset(bringers))
    handlers[host] = vault.handle
    handlers[str(urlsplit(place["blobUrl"]).hostname)] = deposits.handle
    return deposits
