"""The keeper's own roles allow just what its adapters ask of Azure.

The adapters are played against the lab, whose stand-ins know the action behind each call. A method that nobody plays is
noticed, so neither side can grow alone.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from keeper.azure.authority import VaultAuthorities
from keeper.azure.data_keys import VaultDataKeys
from keeper.azure.metrics import MonitorUtilisation
from keeper.azure.scale_sets import ScaleSetsArm
from keeper.azure.secrets import VaultSecrets
from keeper.azure.vaults import AudienceVault
from keeper.core.model import Mode, Pool, PoolName
from keeper.settings import AzureSettings
from lab.azure.access import Access
from lab.azure.arm import Arm
from lab.azure.inprocess import InProcessTransport
from lab.azure.model import words
from lab.azure.model.building import add_pool
from lab.azure.model.cloud import Cloud
from lab.azure.tokens import Tenant
from lab.certificates import KEEPER, TenantCredential
from lab.clock import FakeClock, wall_clock
from lab.keyvault.key_store import make_key
from lab.keyvault.vault import Vault
from tools.infra_prediction import SCALE_SET, Prediction

TENANT = "0c0c0c0c-0000-4000-8000-000000000001"
POLLED = "Microsoft.Compute/locations/operations/read"
"""Whoever began an operation may follow it: Azure asks for no role there, and none could be given in a resource group."""
YEAR = timedelta(days=365)


@dataclass
class Notebook:
    """A grant that allows everything and notes what was asked."""

    asked: set[str] = field(default_factory=set)

    def allows(self, action: str, _where: str) -> bool:
        """Note the action."""
        self.asked.add(action)
        return True


@dataclass
class Played:
    """An adapter, and which of its methods were called."""

    adapter: Any
    called: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        self.called.add(name)
        return getattr(self.adapter, name)

    def unplayed(self) -> set[str]:
        """Public methods that nobody called."""
        public = {name for name, each in vars(type(self.adapter)).items() if callable(each) and name[0] != "_"}
        return public - self.called


@dataclass(frozen=True, slots=True)
class Reading:
    """A clock of the lab as the keeper's."""

    now: Callable[[], Any]


def settings(subscription: str = TENANT) -> AzureSettings:
    return AzureSettings(
        subscription=subscription,
        client_id=KEEPER.client_id,
        vault="https://kv-keeper.vault.azure.net",
        blobs="https://a.blob.core.windows.net",
        queues="https://a.queue.core.windows.net",
    )


def of_machines(mode: Mode, notebook: Notebook) -> list[Played]:
    """Observe, grow, follow and shrink one pool."""
    clock = FakeClock()
    cloud = Cloud(clock)
    tenant = Tenant(TENANT, clock)
    arm = Arm(cloud, access=Access(tenant, {KEEPER.object_id: (notebook,)}))
    add_pool(cloud, "general", mode=words.Mode(mode.value), capacity=2)
    pool = Pool(PoolName("general"), "general", "rg-lab", mode, minimum=0, maximum=20)
    given = {"credential": TenantCredential(tenant), "transport": InProcessTransport(arm.handle, clock)}
    sets = Played(ScaleSetsArm(settings(cloud.subscription), [pool], clock=Reading(clock), **given))
    monitor = Played(MonitorUtilisation(settings(cloud.subscription), **given))

    found = sets.scale_sets()[pool.name]
    cloud.network.prefixes[found.subnet] = "10.1.0.0/24"
    sets.free_addresses([found.subnet])
    monitor.average_cpu(found, timedelta(minutes=10), clock())
    sets.outcome(pool, sets.grow(pool, found, 3))
    clock.advance(timedelta(hours=1))
    sets.delete(pool, [sets.instances(pool)[0].id])
    return [sets, monitor]


def vault_of(notebook: Notebook, name: str) -> tuple[Vault, dict[str, Any]]:
    tenant = Tenant(TENANT, wall_clock)
    vault = Vault(tenant, wall_clock, name=name, grants={KEEPER.object_id: (notebook,)})
    return vault, {
        "credential": TenantCredential(tenant),
        "transport": InProcessTransport(vault.handle, FakeClock()),
    }


def of_its_own_vault(notebook: Notebook) -> list[Played]:
    """Keep tokens, wrap data keys, make a CA, rotate its key."""
    vault, given = vault_of(notebook, "kv-keeper")
    for name, wanted in {
        "nomad-ca": {"kty": "EC", "crv": "P-384", "key_ops": ["sign", "verify"]},
        "nomad-snapshots": {"kty": "RSA", "key_size": 2048, "key_ops": ["wrapKey", "unwrapKey"]},
    }.items():
        vault.keys.shelf.add(name, make_key(wanted), wanted)
    own = settings().vault
    tokens, kept = Played(VaultSecrets(settings(), **given)), AudienceVault(own, **given)
    keys = Played(VaultDataKeys(own, "nomad-snapshots", **given))
    authorities = Played(VaultAuthorities(own, "nomad-ca", **given))

    kept.put("token", "first", "text/plain")
    kept.put("token", "second", "text/plain")
    assert kept.secret("token")
    assert tokens.read("token")
    assert len(list(tokens.former("token"))) == 1
    keys.unwrap(keys.new().wrapped)
    authority = authorities.found(wall_clock(), YEAR)
    assert authorities.newest() == authority.id
    assert authorities.made() == {authority.id}
    (read,) = authorities.read(authority.pem)
    _issue(
        AudienceVault("https://kv-servers.vault.azure.net", **vault_of(Notebook(), "kv-servers")[1]), authorities, read
    )
    authorities.rotate()
    return [tokens, keys, authorities]


def _issue(vault: Any, authorities: Any, issuer: Any) -> None:
    name = "nomad-agent-tls"
    request = vault.request(name, "server.global.nomad", YEAR)
    vault.merge(name, authorities.sign(request, frozenset({"server.global.nomad"}), issuer, wall_clock(), YEAR))


def of_what_machines_read(notebook: Notebook) -> list[Played]:
    """Write secrets, and make a certificate whose key never leaves the vault."""
    own, own_given = vault_of(Notebook(), "kv-keeper")
    wanted = {"kty": "EC", "crv": "P-384", "key_ops": ["sign", "verify"]}
    own.keys.shelf.add("nomad-ca", make_key(wanted), wanted)
    authorities = VaultAuthorities(settings().vault, "nomad-ca", **own_given)
    vault = Played(AudienceVault("https://kv-servers.vault.azure.net", **vault_of(notebook, "kv-servers")[1]))

    vault.put("nomad-gossip", "value", "text/plain")
    assert vault.secret("nomad-gossip")
    _issue(vault, authorities, authorities.found(wall_clock(), YEAR))
    assert vault.leaf("nomad-agent-tls")
    return [vault]


def linked(world: Prediction) -> set[str]:
    """What Azure asks for besides, wherever the model of a growing scale set points:
    https://learn.microsoft.com/azure/role-based-access-control/troubleshooting#linked-resources."""
    asked = {"Microsoft.ManagedIdentity/userAssignedIdentities/assign/action"}
    for pool in world.of(SCALE_SET):
        text = str(pool["properties"]["virtualMachineProfile"])
        asked |= {action for part, action in LINKED.items() if part in text}
    return asked


LINKED = {
    "/subnets/": "Microsoft.Network/virtualNetworks/subnets/join/action",
    "/backendAddressPools/": "Microsoft.Network/applicationGateways/backendAddressPools/join/action",
    "Microsoft.Compute/diskEncryptionSets": "Microsoft.Compute/diskEncryptionSets/read",
}


def needed(world: Prediction) -> dict[str, set[str]]:
    """The actions of each role that the adapters ask for. `machines` and `joins` are held together, at different scopes."""
    machines, own, read = Notebook(), Notebook(), Notebook()
    for mode in Mode:
        of_machines(mode, machines)
    of_its_own_vault(own)
    of_what_machines_read(read)
    return {
        "machines and joins": (machines.asked | linked(world)) - {POLLED},
        "authority": own.asked,
        "publisher": read.asked,
    }


def granted(world: Prediction) -> dict[str, set[str]]:
    """The same, as the roles say."""
    found: dict[str, set[str]] = {}
    for role in world.of("Microsoft.Authorization/roleDefinitions"):
        name = role["properties"]["roleName"].split(": ")[1].split(" ")[0]
        key = "machines and joins" if name in {"machines", "joins"} else name
        for permission in role["properties"]["permissions"]:
            found.setdefault(key, set()).update(permission["actions"], permission["dataActions"])
    return found


def test_the_roles_allow_what_is_called_and_nothing_else(predicted):
    world = predicted("everything-on")

    assert granted(world) == needed(world)


@pytest.mark.parametrize(
    ("change", "role"),
    [
        (lambda actions: actions.append("Microsoft.Compute/virtualMachines/restart/action"), "machines"),
        (lambda actions: actions.remove("Microsoft.Compute/virtualMachineScaleSets/write"), "machines"),
        (lambda actions: actions.remove("Microsoft.Network/virtualNetworks/subnets/join/action"), "joins"),
    ],
    ids=["one too many", "one too few", "a linked one too few"],
)
def test_a_planted_action_is_noticed(change, role, predicted):
    world = predicted("everything-on").planted()
    definition = next(
        each
        for each in world.of("Microsoft.Authorization/roleDefinitions")
        if f": {role} " in each["properties"]["roleName"]
    )
    change(definition["properties"]["permissions"][0]["actions"])

    assert granted(world) != needed(world)


def test_no_method_of_an_adapter_is_left_unplayed():
    played = [*of_machines(Mode.UNIFORM, Notebook()), *of_its_own_vault(Notebook()), *of_what_machines_read(Notebook())]

    assert {type(each.adapter).__name__: each.unplayed() for each in played if each.unplayed()} == {}
