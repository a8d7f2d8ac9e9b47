"""Accounts, containers and private endpoints: where state lies, and that it stays."""

from collections.abc import Iterable
from typing import Any

from tests.infra.rules.registry import rule
from tools.infra_prediction import Prediction, Resource

ACCOUNT = "Microsoft.Storage/storageAccounts"
CONTAINER = f"{ACCOUNT}/blobServices/containers"
POLICY = f"{CONTAINER}/immutabilityPolicies"
ENDPOINT = "Microsoft.Network/privateEndpoints"
PARTS = {"state": ["blob", "queue"], "arti": ["blob"], "host": ["blob", "queue", "table"], "files": ["file"]}


@rule(lambda world: world.of(ACCOUNT)[0]["properties"].update(allowSharedKeyAccess=True))
def accounts_are_closed_and_keyless(world: Prediction) -> Iterable[str]:
    """No account key, no public access, TLS 1.2, HTTPS only (NFS knows none), encrypted twice, no copies to other tenants."""
    wanted = {
        "allowSharedKeyAccess": False,
        "allowBlobPublicAccess": False,
        "allowCrossTenantReplication": False,
        "minimumTlsVersion": "TLS1_2",
        "supportsHttpsTrafficOnly": True,
        "publicNetworkAccess": "Disabled",
        "defaultToOAuthAuthentication": True,
    }
    for account in world.of(ACCOUNT):
        given = account["properties"]
        expected = wanted | {"supportsHttpsTrafficOnly": account.get("kind") != "FileStorage"}
        yield from (f"{account['name']}: {k} is {given.get(k)}" for k, v in expected.items() if given.get(k) != v)
        if (
            given["networkAcls"]["defaultAction"] != "Deny"
            or not given["encryption"]["requireInfrastructureEncryption"]
        ):
            yield f"{account['name']} does not deny by default, or is encrypted once only"


def _policies(world: Prediction) -> dict[str, dict[str, Any]]:
    return {p["id"].rsplit("/immutabilityPolicies/", 1)[0]: p["properties"] for p in world.of(POLICY)}


@rule(lambda world: world.resources.remove(world.of(POLICY)[1]))
def snapshots_cannot_be_changed(world: Prediction) -> Iterable[str]:
    """Each retention tier and the audit log are immutable; only the audit log may grow; work containers are free."""
    policies = _policies(world)
    for container in world.of(CONTAINER):
        name, policy = container["name"].split("/")[2], policies.get(container["id"])
        kept = name.startswith("snapshots-") or name == "audit"
        if kept != (policy is not None):
            yield f"{container['name']} {'can be changed' if kept else 'cannot be written'}"
        elif policy and policy["allowProtectedAppendWrites"] != (name == "audit"):
            yield f"{container['name']}: appending is {policy['allowProtectedAppendWrites']}"


def _shorten(world: Prediction) -> None:
    monthly = next(p for p in world.of(POLICY) if "snapshots-monthly" in p["id"])
    monthly["properties"]["immutabilityPeriodSinceCreationInDays"] = 1


@rule(_shorten)
def rarer_snapshots_are_kept_longer(world: Prediction) -> Iterable[str]:
    """In each account the tiers hourly, daily, weekly and monthly exist, each kept at least as long as the one before."""
    for account in {p["id"].split("/blobServices/")[0] for p in world.of(POLICY)}:
        days = [
            _policies(world)
            .get(f"{account}/blobServices/default/containers/snapshots-{tier}", {})
            .get("immutabilityPeriodSinceCreationInDays", 0)
            for tier in ("hourly", "daily", "weekly", "monthly")
        ]
        if days != sorted(days) or not all(days):
            yield f"{account.rsplit('/', 1)[-1]} keeps its tiers for {days} days"


LIFECYCLE = f"{ACCOUNT}/managementPolicies"


def _forget_early(world: Prediction) -> None:
    rules = next(p for p in world.of(LIFECYCLE) if "state" in p["id"])["properties"]["policy"]["rules"]
    hourly = next(each for each in rules if each["name"] == "forget-swept-hourly")
    hourly["definition"]["actions"]["version"]["delete"]["daysAfterCreationGreaterThan"] = 1


@rule(_forget_early)
def swept_snapshots_are_forgotten_in_the_end(world: Prediction) -> Iterable[str]:
    """What the keeper deleted goes for good some time after its immutability ended, in each account; nothing current ever."""
    for account in {p["id"].split("/blobServices/")[0] for p in world.of(POLICY)}:
        policy = world.by_id(f"{account}/managementPolicies/default")
        rules = policy["properties"]["policy"]["rules"] if policy else []
        for tier in ("hourly", "daily", "weekly", "monthly"):
            container = f"{account}/blobServices/default/containers/snapshots-{tier}"
            kept = _policies(world).get(container, {}).get("immutabilityPeriodSinceCreationInDays", 0)
            actions = [r["definition"]["actions"] for r in rules if _about(r, f"snapshots-{tier}/")]
            days = [a["version"]["delete"]["daysAfterCreationGreaterThan"] for a in actions if "version" in a]
            if len(days) != 1 or days[0] <= kept:
                yield f"{container} keeps what was swept for {days or 'ever'} days, and what is immutable for {kept}"
            if any("delete" in each.get("baseBlob", {}) for each in actions):
                yield f"{container} loses snapshots that nobody swept"


def _about(policy: dict[str, Any], blob: str) -> bool:
    """Whether a lifecycle rule reaches blobs of that prefix."""
    return any(blob.startswith(prefix) for prefix in policy["definition"]["filters"]["prefixMatch"])


def _forget_versions(world: Prediction) -> None:
    state = next(r for r in world.of(f"{ACCOUNT}/blobServices") if "state" in r["name"])
    state["properties"]["isVersioningEnabled"] = False


@rule(_forget_versions)
def the_state_survives_a_region(world: Prediction) -> Iterable[str]:
    """The state account keeps versions and a copy in the paired region; a second account stands in another region."""
    for account in world.of(ACCOUNT):
        if "state" in account["name"]:
            if account["sku"]["name"] not in {"Standard_GZRS", "Standard_RAGZRS", "Standard_GRS", "Standard_RAGRS"}:
                yield f"{account['name']} has no copy elsewhere"
            blobs = world.by_id(f"{account['id']}/blobServices/default") or {"properties": {}}
            if not blobs["properties"].get("isVersioningEnabled"):
                yield f"{account['name']} keeps no versions"
        if (
            "copy" in account["name"]
            and account["location"] == world.one("Microsoft.Network/virtualNetworks")["location"]
        ):
            yield f"{account['name']} stands in the same region"


def _endpoints(world: Prediction) -> dict[tuple[str, str], Resource]:
    """Each private endpoint by the service and the part that it stands for."""
    found = {}
    for endpoint in world.of(ENDPOINT):
        connection = endpoint["properties"]["privateLinkServiceConnections"][0]["properties"]
        found[connection["privateLinkServiceId"].lower(), connection["groupIds"][0]] = endpoint
    return found


@rule(lambda world: world.resources.remove(world.of(ENDPOINT)[0]))
def services_answer_inside_the_network(world: Prediction) -> Iterable[str]:
    """Each vault and account that machines or the keeper use has its private endpoints."""
    reached = _endpoints(world)
    for account in world.of(ACCOUNT):
        for part in PARTS.get(account["name"].removeprefix("stnomad")[:-8], []):
            if (account["id"].lower(), part) not in reached:
                yield f"{account['name']} has no endpoint for {part}"
    for vault in world.of("Microsoft.KeyVault/vaults"):
        if (vault["id"].lower(), "vault") not in reached:
            yield f"{vault['name']} has no endpoint"


@rule(lambda world: world.resources.remove(world.of(f"{ENDPOINT}/privateDnsZoneGroups")[0]))
def every_endpoint_has_its_name(world: Prediction) -> Iterable[str]:
    """The usual name of each service resolves to its endpoint, in a zone that is linked to the network."""
    for endpoint in world.of(ENDPOINT):
        group = world.by_id(f"{endpoint['id']}/privateDnsZoneGroups/default")
        zone = group and group["properties"]["privateDnsZoneConfigs"][0]["properties"]["privateDnsZoneId"]
        if zone is None or world.by_id(f"{zone}/virtualNetworkLinks/cluster") is None:
            yield f"{endpoint['name']} has no name, or its zone is not linked to the network"
