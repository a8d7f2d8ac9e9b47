"""Versions, doors, logs, tags, locks: what holds for every resource."""

from collections.abc import Iterable

from tests.infra.rules.registry import rule
from tools.infra_prediction import Prediction

ACCOUNT = "Microsoft.Storage/storageAccounts"
DIAGNOSTICS = "Microsoft.Insights/diagnosticSettings"

# Oldest API version allowed for a namespace; previews only where a property exists in no other.
FLOORS = {
    "Microsoft.Network/privateDnsZones": "2024-06-01",
    "Microsoft.Network/routeTables": "2024-07-01",
    "Microsoft.Network/networkInterfaces": "2024-07-01",
    "Microsoft.Network": "2024-10-01",
    "Microsoft.Compute": "2024-11-01",
    "Microsoft.KeyVault": "2024-11-01",
    "Microsoft.Storage": "2025-01-01",
    "Microsoft.RecoveryServices": "2025-08-01",
    "Microsoft.Maintenance": "2023-04-01",
    "Microsoft.OperationalInsights": "2025-07-01",
    "Microsoft.Insights/components": "2020-02-02",
    "Microsoft.Insights/metricAlerts": "2018-03-01",
    "Microsoft.Insights/workbooks": "2023-06-01",
    "Microsoft.Insights/diagnosticSettings": "2021-05-01-preview",
    "Microsoft.Insights/scheduledQueryRules": "2025-01-01-preview",
    "Microsoft.Insights/actionGroups": "2024-10-01-preview",
    "Microsoft.Insights": "2023-03-11",
    "Microsoft.Web": "2025-03-01",
    "Microsoft.EventGrid": "2025-02-15",
    "Microsoft.ManagedIdentity": "2024-11-30",
    "Microsoft.Authorization/locks": "2020-05-01",
    "Microsoft.Authorization": "2022-04-01",
}
PREVIEWS = {kind for kind, version in FLOORS.items() if version.endswith("-preview")}


def floor_of(kind: str) -> str:
    """The floor of a type: its own, or that of its parent type, or that of its namespace."""
    parts = kind.split("/")
    return next(FLOORS[key] for key in (kind, "/".join(parts[:2]), parts[0]) if key in FLOORS)


@rule(lambda world: world.one("Microsoft.Network/loadBalancers").update(apiVersion="2020-11-01"))
def api_versions_are_recent_and_stable(world: Prediction) -> Iterable[str]:
    """No resource is made through an API older than its floor, and previews only where nothing else will do."""
    for each in world.resources:
        if each["apiVersion"][:10] < floor_of(each["type"])[:10]:
            yield f"{each['type']} uses {each['apiVersion']}, older than {floor_of(each['type'])}"
        if each["apiVersion"].endswith("-preview") and each["type"] not in PREVIEWS:
            yield f"{each['type']} uses the preview {each['apiVersion']}"


def _old_tls(world: Prediction) -> None:
    world.one("Microsoft.Web/sites")["properties"]["siteConfig"]["minTlsVersion"] = "1.0"


@rule(_old_tls)
def tls_has_a_floor(world: Prediction) -> Iterable[str]:
    """Whatever serves HTTPS refuses TLS below 1.2, and nothing serves plain HTTP or FTP."""
    site = world.one("Microsoft.Web/sites")["properties"]
    config = site["siteConfig"]
    if (
        not site["httpsOnly"]
        or {config["minTlsVersion"], config["scmMinTlsVersion"]} != {"1.2"}
        or config["ftpsState"] != "Disabled"
    ):
        yield "the function app allows old TLS, plain HTTP or FTP"
    for gateway in world.of("Microsoft.Network/applicationGateways"):
        if gateway["properties"]["sslPolicy"]["policyName"] != "AppGwSslPolicy20220101S":
            yield f"{gateway['name']} allows old TLS"
        if any(each["properties"]["protocol"] != "Https" for each in gateway["properties"]["httpListeners"]):
            yield f"{gateway['name']} serves plain HTTP"


@rule(
    lambda world: world.one("Microsoft.Web/sites/config", "authsettingsV2")["properties"]["globalValidation"].update(
        requireAuthentication=False
    )
)
def every_door_asks_who_is_there(world: Prediction) -> Iterable[str]:
    """The app refuses callers that have not signed in, asks for app roles, denies unknown addresses, and has no password."""
    auth = world.one("Microsoft.Web/sites/config", "authsettingsV2")["properties"]
    if not auth["platform"]["enabled"] or not auth["globalValidation"]["requireAuthentication"]:
        yield "callers need not sign in"
    if world.settings()["HTTP_REQUIRE_APP_ROLES"] != "true":
        yield "callers need no app role"
    if world.one("Microsoft.Web/sites")["properties"]["siteConfig"]["ipSecurityRestrictionsDefaultAction"] != "Deny":
        yield "callers may come from anywhere"
    for policy in world.of("Microsoft.Web/sites/basicPublishingCredentialsPolicies"):
        if policy["properties"]["allow"]:
            yield f"{policy['name']} allows a password"


LOGGED = (
    "Microsoft.KeyVault/vaults",
    "Microsoft.Network/virtualNetworks",
    "Microsoft.Network/networkSecurityGroups",
    "Microsoft.Network/loadBalancers",
    "Microsoft.Network/bastionHosts",
    "Microsoft.Network/azureFirewalls",
    "Microsoft.Network/applicationGateways",
    "Microsoft.Network/publicIPAddresses",
    "Microsoft.EventGrid/systemTopics",
    "Microsoft.Storage/storageAccounts",
    "Microsoft.Storage/storageAccounts/blobServices",
    "Microsoft.Storage/storageAccounts/queueServices",
    "Microsoft.Storage/storageAccounts/tableServices",
    "Microsoft.Storage/storageAccounts/fileServices",
    "Microsoft.Compute/virtualMachines",
    "Microsoft.Compute/virtualMachineScaleSets",
    "Microsoft.Web/sites",
    "Microsoft.RecoveryServices/vaults",
    "Microsoft.OperationalInsights/workspaces",
)


@rule(lambda world: world.resources.remove(world.of(DIAGNOSTICS)[0]))
def everything_is_logged(world: Prediction) -> Iterable[str]:
    """Each resource that can tell what happens to it tells it to the workspace; each machine has its collection rule."""
    workspace = world.one("Microsoft.OperationalInsights/workspaces")["id"].lower()
    told = {
        each["id"].split("/providers/Microsoft.Insights/diagnosticSettings/")[0].lower()
        for each in world.of(DIAGNOSTICS)
        if each["properties"]["workspaceId"].lower() == workspace
    }
    for kind in LOGGED:
        yield from (
            f"{r['type']} {r['name']} tells nobody"
            for r in world.of(kind)
            if r["id"].lower() not in told and r.get("kind") != "FileStorage"
        )
    collected = {
        each["id"].split("/providers/Microsoft.Insights/")[0].lower()
        for each in world.of("Microsoft.Insights/dataCollectionRuleAssociations")
    }
    for kind in ("Microsoft.Compute/virtualMachines", "Microsoft.Compute/virtualMachineScaleSets"):
        yield from (f"{r['name']} has no collection rule" for r in world.of(kind) if r["id"].lower() not in collected)


UNTAGGED = (
    "Microsoft.Authorization/",
    "Microsoft.Insights/diagnosticSettings",
    "Microsoft.Insights/dataCollectionRuleAssociations",
)


@rule(lambda world: world.one("Microsoft.Network/loadBalancers").pop("tags"))
def everything_carries_its_tags(world: Prediction) -> Iterable[str]:
    """Each resource of its own says which cluster and stage it belongs to."""
    for each in world.resources:
        if each["type"].startswith(UNTAGGED) or each["type"].count("/") > 1 or "Assignments" in each["type"]:
            continue
        if each.get("tags", {}).get("cluster") != "nomad" or not each["tags"].get("stage"):
            yield f"{each['type']} {each['name']} has no tags"


@rule(
    lambda world: world.resources.remove(
        next(r for r in world.of("Microsoft.Authorization/locks") if "Storage" in r["id"])
    )
)
def what_holds_state_is_locked(world: Prediction) -> Iterable[str]:
    """In production the network, vaults, state and backups cannot be deleted by mistake."""
    if world.one("Microsoft.Network/virtualNetworks")["tags"]["stage"] == "dev":
        return
    kinds = ("Microsoft.Network/virtualNetworks", "Microsoft.KeyVault/vaults")
    keeps = [r for kind in kinds for r in world.of(kind)] + [r for r in world.of(ACCOUNT) if "state" in r["name"]]
    keeps += [r for r in world.of("Microsoft.RecoveryServices/vaults") if not r["name"].endswith("-recovery")]
    yield from (
        f"{r['name']} can be deleted"
        for r in keeps
        if world.by_id(f"{r['id']}/providers/Microsoft.Authorization/locks/keep") is None
    )


@rule(
    lambda world: world.of("Microsoft.EventGrid/systemTopics/eventSubscriptions")[0]["properties"].pop(
        "deadLetterWithResourceIdentity"
    )
)
def events_are_never_lost(world: Prediction) -> Iterable[str]:
    """Each subscription reaches the keeper's function, tries for a day, and leaves what it cannot deliver."""
    for each in world.of("Microsoft.EventGrid/systemTopics/eventSubscriptions"):
        given = each["properties"]
        if "deadLetterWithResourceIdentity" not in given or given["retryPolicy"]["maxDeliveryAttempts"] < 30:
            yield f"{each['name']} loses what it cannot deliver"
        if not given["destination"]["properties"]["resourceId"].endswith("/functions/events"):
            yield f"{each['name']} reaches another function"


@rule(
    lambda world: world.resources.remove(
        next(each for each in world.of("Microsoft.EventGrid/systemTopics") if "/mc-" in each["properties"]["source"])
    )
)
def state_is_saved_before_servers_are_patched(world: Prediction) -> Iterable[str]:
    """Where events are told at all, each window of patching is announced to the keeper."""
    topics = world.of("Microsoft.EventGrid/systemTopics")
    told = {each["properties"]["source"] for each in topics}
    windows = world.of("Microsoft.Maintenance/maintenanceConfigurations") if topics else []
    yield from (f"{each['name']} begins unannounced" for each in windows if each["id"] not in told)


@rule(
    lambda world: world.resources.remove(
        world.of("Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems")[0]
    )
)
def every_server_has_an_image(world: Prediction) -> Iterable[str]:
    """Where a vault for backups exists, every server is in it, daily."""
    items = world.of("Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems")
    if not world.of("Microsoft.RecoveryServices/vaults"):
        return
    backed = {item["properties"]["sourceResourceId"].lower() for item in items}
    servers = [m for m in world.of("Microsoft.Compute/virtualMachines") if "-server-" in m["name"]]
    yield from (f"{m['name']} has no image" for m in servers if m["id"].lower() not in backed)


AREAS = {
    "Microsoft.Network/virtualNetworks": "network",
    "Microsoft.Network/networkSecurityGroups": "network",
    "Microsoft.Compute/virtualMachines": "compute",
    "Microsoft.Compute/virtualMachineScaleSets": "compute",
    "Microsoft.Web/sites": "compute",
    "Microsoft.Storage/storageAccounts": "storage",
    "Microsoft.RecoveryServices/vaults": "storage",
    "Microsoft.KeyVault/vaults": "security",
    "Microsoft.ManagedIdentity/userAssignedIdentities": "security",
    "Microsoft.OperationalInsights/workspaces": "monitoring",
    "Microsoft.Insights/scheduledQueryRules": "monitoring",
}


def _misplace(world: Prediction) -> None:
    vault = world.of("Microsoft.KeyVault/vaults")[0]
    vault["id"] = vault["id"].replace("rg-nomad-security", "rg-nomad-compute")


@rule(_misplace)
def everything_stands_in_the_group_of_its_area(world: Prediction) -> Iterable[str]:
    """With five resource groups each area has its own; with one, everything stands there."""
    groups = {each["id"].split("/")[4] for each in world.resources} - {"NetworkWatcherRG"}
    for kind, area in AREAS.items():
        for each in world.of(kind):
            group = each["id"].split("/")[4]
            if group != ("rg-nomad" if len(groups) == 1 else f"rg-nomad-{area}"):
                yield f"{each['name']} stands in {group}"


def _drop_runbook(world: Prediction) -> None:
    world.of("Microsoft.Insights/scheduledQueryRules")[0]["properties"]["description"] = "Something happened."


@rule(_drop_runbook)
def every_alert_leads_to_a_runbook(world: Prediction) -> Iterable[str]:
    """Each alert rule says what it means, names its runbook in the text and in its properties, and reaches somebody."""
    for kind in ("Microsoft.Insights/scheduledQueryRules", "Microsoft.Insights/metricAlerts"):
        for each in world.of(kind):
            name = each["name"].split("-nomad")[0]
            given = each["properties"]
            if f"Runbook: docs/runbooks/{name}.md" not in given["description"]:
                yield f"{each['name']} names no runbook"
            actions = given["actions"]
            reaches = actions["actionGroups"] if isinstance(actions, dict) else actions
            if not reaches or f"docs/runbooks/{name}.md" not in str(actions):
                yield f"{each['name']} reaches nobody, or does not say where the runbook is"
