"""Who may do what: roles, assignments, vaults."""

import json
import re
from collections.abc import Iterable, Iterator

from tests.infra.rules.registry import rule
from tools.infra_expressions import Runtime
from tools.infra_prediction import MACHINE, SCALE_SET, Prediction, Resource, told

ASSIGNMENT = "Microsoft.Authorization/roleAssignments"
DEFINITION = "Microsoft.Authorization/roleDefinitions"
VAULT = "Microsoft.KeyVault/vaults"

SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
BUILT_IN = {
    SECRETS_USER: "reads secrets",
    "e147488a-f6f5-4113-8e2d-b22465e65bf6": "wraps and unwraps with a key",
    "b7e6dc6d-f1e8-4753-8033-0f276bb0955b": "owns blobs of the functions host",
    "ba92f5b4-2d11-453d-a403-e96b0029c9fe": "writes blobs",
    "2a2b9908-6ea1-4ae2-8e65-a410df84e7d1": "reads blobs",
    "974c5e8b-45b9-4653-ba55-5f855dd0fb88": "works on queues",
    "c6a89b2d-59bc-44d0-9896-0f6e12d7b80a": "sends to a queue",
    "0a9a7e1f-b9d0-4cc4-a60d-0319b160aaa3": "writes tables",
    "3913510d-42f4-4e42-8a64-420c390055eb": "publishes metrics",
    "1c0163c0-47e6-4577-8991-ea5c82e286e4": "logs in to machines",
    "acdd72a7-3385-48ef-bd42-f606fba81ae7": "sees",
}

# What each identity may do, and where: the end of the scope. Everything else is a violation.
RIGHTS = {
    "keeper": {
        "machines": "resourceGroups/",
        "joins": "/subnets/clients$|/userAssignedIdentities/id-nomad-(clients|drill)$|/applicationGateways/agw-nomad$",
        "authority": "/vaults/kv-nomad-kpr-",
        "publisher": "/vaults/kv-nomad-(srv|cli|con)-",
        "writes blobs": "state[a-z0-9]{8}/blobServices/default$",
        "works on queues": "(state[a-z0-9]{8}/queueServices/default|host[a-z0-9]{8})$",
        "owns blobs of the functions host": "host[a-z0-9]{8}$",
        "writes tables": "host[a-z0-9]{8}$",
        "publishes metrics": "/components/appi-nomad$",
    },
    "servers": {
        "reads secrets": "/vaults/kv-nomad-srv-[a-z0-9]{8}$",
        "wraps and unwraps with a key": "/keys/(nomad-keyring|vault-seal|nomad-snapshots)$",
        "sends to a queue": "/queues/keeper$",
        "writes blobs": "/containers/keystores$",
    },
    "clients": {
        "reads secrets": "/vaults/kv-nomad-cli-[a-z0-9]{8}$",
        "reads blobs": "arti[a-z0-9]{8}$",
    },
    "drill": {
        "reads blobs": "state[a-z0-9]{8}/blobServices/default/containers/snapshots-(hourly|daily|weekly|monthly)$",
        "wraps and unwraps with a key": "/keys/nomad-snapshots$",
        "writes blobs": "/containers/rehearsals$",
    },
    "consul": {"reads secrets": "/vaults/kv-nomad-con-[a-z0-9]{8}$"},
    "gateway": {"reads secrets": "/vaults/kv-nomad-cli-[a-z0-9]{8}$"},
    "disks": {"wraps and unwraps with a key": "/keys/machine-disks$"},
    "copy": {"writes blobs": "copy[a-z0-9]{8}/blobServices/default$"},
    "events": {"writes blobs": "/containers/dead-letters$"},
    "alerts": {},
    "jumpbox": {},
}


def scope_of(assignment: Resource) -> str:
    """What an assignment is about: the id without the assignment itself."""
    return assignment["id"].split("/providers/Microsoft.Authorization/", 1)[0]


def holders(world: Prediction) -> Iterator[tuple[str, str, str, Resource]]:
    """Of each assignment: who, what the role does, where."""
    identities = world.of("Microsoft.ManagedIdentity/userAssignedIdentities")
    custom = {r["name"]: r["properties"]["roleName"].split(": ")[1].split(" ")[0] for r in world.of(DEFINITION)}
    names = {_principal(each["id"]): each["name"].rsplit("-", 1)[-1] for each in identities}
    for each in world.of(ASSIGNMENT):
        role = each["properties"]["roleDefinitionId"].rsplit("/", 1)[-1]
        who = names.get(each["properties"]["principalId"], "somebody else")
        yield who, custom.get(role) or BUILT_IN.get(role, f"the role {role}"), scope_of(each), each


def _principal(identity: str) -> str:
    """The stand-in of a principal, as the evaluator makes it."""
    return str(Runtime(identity, ("principalId",)))


def _make_owner(world: Prediction) -> None:
    owner = "8e3af657-a8ff-443c-a75c-2fe8c4bcb635"
    world.of(ASSIGNMENT)[0]["properties"]["roleDefinitionId"] = (
        f"/providers/Microsoft.Authorization/roleDefinitions/{owner}"
    )


@rule(_make_owner)
def each_identity_has_just_its_rights(world: Prediction) -> Iterable[str]:
    """Every right is on the list of its identity, at the scope given there: no Owner, no Contributor, no officer."""
    for who, does, where, each in holders(world):
        if who == "somebody else":
            people = each["properties"].get("principalType") == "Group"
            known = people and (does == "logs in to machines" or (does == "sees" and "/bastionHosts/bas-" in where))
            site_recovery = where.endswith(
                tuple(r["name"] for r in world.of("Microsoft.Storage/storageAccounts") if "cache" in r["name"])
            )
            if not known and not site_recovery:
                yield f"somebody unknown {does} at {where}"
        elif does not in RIGHTS[who]:
            yield f"{who} {does} at {where}"
        elif not re.search(RIGHTS[who][does], where):
            yield f"{who} {does} at {where}, beyond {RIGHTS[who][does]}"


@rule(lambda world: world.of(ASSIGNMENT)[3]["properties"].update(description=" "))
def each_right_says_why(world: Prediction) -> Iterable[str]:
    """Each role assignment tells why it exists and what kind of principal holds it."""
    for each in world.of(ASSIGNMENT):
        given = each["properties"]
        if len(given.get("description", "").split()) < 6 or not given.get("principalType"):
            yield f"{each['name']} at {scope_of(each)} does not say why"


def _widen(world: Prediction) -> None:
    world.of(DEFINITION)[0]["properties"]["permissions"][0]["actions"].append("Microsoft.Compute/*")


FORBIDDEN = re.compile(
    r"\*|/runCommand|roleAssignments|/purge|secrets/delete|keys/delete|extensions/write|/backup/|/virtualMachines/write|elevate",
    re.IGNORECASE,
)


@rule(_widen)
def own_roles_name_each_call(world: Prediction) -> Iterable[str]:
    """Roles of ours have no wildcard, nothing that makes a machine or a right, and cannot be given beyond the groups."""
    for role in world.of(DEFINITION):
        for permission in role["properties"]["permissions"]:
            for action in [*permission["actions"], *permission["dataActions"]]:
                if FORBIDDEN.search(action):
                    yield f"{role['properties']['roleName']} allows {action}"
        for scope in role["properties"]["assignableScopes"]:
            if "/resourcegroups/" not in scope.lower():
                yield f"{role['properties']['roleName']} may be given at {scope}"


def _read_keeper_vault(world: Prediction) -> None:
    clients = next(each for who, does, _, each in holders(world) if (who, does) == ("clients", "reads secrets"))
    clients["id"] = clients["id"].replace("-cli-", "-kpr-")


@rule(_read_keeper_vault)
def a_machine_reads_one_vault(world: Prediction) -> Iterable[str]:
    """Each member has its role's identity alone; it reads the vault that its knobs name, and none reads the keeper's."""
    readable = {who: where for who, does, where, _ in holders(world) if does == "reads secrets"}
    for member in world.members():
        who, *others = (each.rsplit("-", 1)[-1] for each in member["identity"]["userAssignedIdentities"])
        rehearses = told(member)["knobs"].get("nodePool") == "rehearsals"
        if others != (["drill"] if rehearses else []) or member["identity"]["type"] != "UserAssigned":
            yield f"{member['name']} has the identities of {who} and {others}"
        vault = told(member)["knobs"]["vaultUrl"].removeprefix("https://").split(".", 1)[0]
        if not readable.get(who, "").endswith(f"/{vault}"):
            yield f"{member['name']} is told to read {vault}, but may read {readable.get(who)}"
    yield from (f"{who} reads the vault of the keeper" for who, where in readable.items() if "-kpr-" in where)


def _forget_gateway(world: Prediction) -> None:
    world.resources.remove(next(r for _, does, where, r in holders(world) if does == "joins" and "agw-" in where))


@rule(_forget_gateway)
def the_keeper_may_join_what_pools_point_at(world: Prediction) -> Iterable[str]:
    """Growing a pool asks for a right at each subnet, identity and gateway that its model names: the keeper has them all."""
    joined = {where.lower() for who, does, where, _ in holders(world) if (who, does) == ("keeper", "joins")}
    for pool in world.of(SCALE_SET):
        profile = json.dumps(pool["properties"]["virtualMachineProfile"]["networkProfile"])
        named = {each.lower() for each in re.findall(r'"id": "([^"]+)"', profile)}
        named |= {each.lower() for each in pool["identity"]["userAssignedIdentities"]}
        for target in sorted(named):
            if not any(target.startswith(scope) for scope in joined):
                yield f"{pool['name']} cannot grow: no right at {target}"


def _let_clients_open(world: Prediction) -> None:
    pool = world.one(SCALE_SET, "-general")
    pool["identity"]["userAssignedIdentities"] |= world.one(SCALE_SET, "-drill")["identity"]["userAssignedIdentities"]


@rule(_let_clients_open)
def only_rehearsals_open_snapshots(world: Prediction) -> Iterable[str]:
    """Who may read and open snapshots is given to pools of rehearsals only, which share their node pool with no other."""
    pools = {each["name"]: told(each)["knobs"]["nodePool"] for each in world.of(SCALE_SET)}
    for pool in world.of(SCALE_SET):
        opens = any(each.endswith("-drill") for each in pool["identity"]["userAssignedIdentities"])
        if opens != (pools[pool["name"]] == "rehearsals"):
            yield f"{pool['name']} of node pool {pools[pool['name']]} {'may' if opens else 'cannot'} open snapshots"
    for who, does, where, _ in holders(world):
        if "/containers/snapshots-" in where and who != "drill":
            yield f"{who} {does} at {where}"


@rule(lambda world: world.of(VAULT)[1]["properties"].update(publicNetworkAccess="Enabled"))
def vaults_are_closed_and_cannot_be_purged(world: Prediction) -> Iterable[str]:
    """Vaults use roles, keep what is deleted for 90 days, cannot be purged, and answer inside the network only."""
    wanted = {
        "enableRbacAuthorization": True,
        "enableSoftDelete": True,
        "softDeleteRetentionInDays": 90,
        "enablePurgeProtection": True,
        "publicNetworkAccess": "Disabled",
    }
    for vault in world.of(VAULT):
        for name, value in wanted.items():
            if vault["properties"].get(name) != value:
                yield f"{vault['name']}: {name} is {vault['properties'].get(name)}"
        if vault["properties"]["networkAcls"]["defaultAction"] != "Deny":
            yield f"{vault['name']} does not deny by default"


@rule(lambda world: world.of(f"{VAULT}/keys")[0]["properties"]["attributes"].update(exportable=True))
def keys_stay_in_their_vault(world: Prediction) -> Iterable[str]:
    """No key can be exported, each has the operations of one purpose, and each expires unless rotated."""
    for key in world.of(f"{VAULT}/keys"):
        given = key["properties"]
        if given["attributes"]["exportable"] or not given["rotationPolicy"]["attributes"]["expiryTime"]:
            yield f"{key['name']} can be exported or lives for ever"
        if set(given["keyOps"]) not in ({"sign", "verify"}, {"wrapKey", "unwrapKey"}):
            yield f"{key['name']} may do {given['keyOps']}"


SECRET_LIKE = re.compile(
    r"AccountKey=|SharedAccessSignature=|[?&](sig|code)=|-----BEGIN [A-Z ]*PRIVATE KEY|listKeys\(|listAccountSas\(|"
    r"listSecrets\(|\"adminPassword\"|\bpassword\"?\s*[:=]\s*\"[^\"]+|\bhvs\.[A-Za-z0-9]{20}",
)


def _plant_secret(world: Prediction) -> None:
    world.settings()["AzureWebJobsStorage"] = "DefaultEndpointsProtocol=https;AccountName=x;AccountKey=c2VjcmV0"


@rule(_plant_secret)
def there_is_no_secret_anywhere(world: Prediction) -> Iterable[str]:
    """Nothing that looks like a secret stands in a resource, in decoded userData, or in an output."""
    told_all = [json.dumps({k: v for k, v in told(member).items() if k != "program"}) for member in world.members()]
    for where, text in [("resources", json.dumps(world.resources)), ("outputs", json.dumps(world.raw["outputs"]))]:
        yield from (f"{where}: {found.group(0)}" for found in SECRET_LIKE.finditer(text))
    for text in told_all:
        yield from (f"userData: {found.group(0)}" for found in SECRET_LIKE.finditer(text))
    yield from (f"{r['name']} is written by a template" for r in world.of(f"{VAULT}/secrets"))


@rule(
    lambda world: world.of(MACHINE)[0]["properties"]["osProfile"]["linuxConfiguration"].update(
        disablePasswordAuthentication=False
    )
)
def nobody_logs_in_with_a_password(world: Prediction) -> Iterable[str]:
    """Every machine takes SSH keys only and offers Entra ID login."""
    for machine in [*world.of(MACHINE), *world.of(SCALE_SET)]:
        profile = machine["properties"].get("virtualMachineProfile", machine["properties"])
        linux = profile["osProfile"]["linuxConfiguration"]
        if not linux["disablePasswordAuthentication"] or len(linux["ssh"]["publicKeys"]) != 1:
            yield f"{machine['name']} takes passwords"
        extensions = [e["name"] for e in profile.get("extensionProfile", {}).get("extensions", [])]
        extensions += [
            e["name"].rsplit("/", 1)[-1]
            for e in world.of(f"{MACHINE}/extensions")
            if e["name"].startswith(f"{machine['name']}/")
        ]
        if "AADSSHLoginForLinux" not in extensions:
            yield f"{machine['name']} has no Entra ID login"
