"""Machines and pools: where they stand, what they are made of, what the keeper knows of them."""

import json
from collections import Counter
from collections.abc import Iterable
from typing import Any

from tests.infra.rules.registry import rule
from tools.infra_prediction import MACHINE, SCALE_SET, Prediction, Resource, custom_data_text

BALANCER = "Microsoft.Network/loadBalancers"
DISK = "Microsoft.Compute/disks"
ENCRYPTION_SET = "Microsoft.Compute/diskEncryptionSets"
AGENT = "AzureMonitorLinuxAgent"
WORST_BOOTSTRAP_MINUTES = 30


def profile(resource: Resource) -> dict[str, Any]:
    """What a machine or an instance of a scale set is made of."""
    return resource["properties"].get("virtualMachineProfile", resource["properties"])


def _move(world: Prediction) -> None:
    for machine in world.of(MACHINE):
        machine["zones"] = ["1"]


@rule(_move)
def a_quorum_survives_a_zone(world: Prediction) -> Iterable[str]:
    """Servers of a role spread so that no zone holds a majority, unless one zone was chosen; a data disk stands in the zone of its machine."""
    for role in ("server", "consul"):
        machines = [m for m in world.of(MACHINE) if m["name"].split("-")[-2] == role]
        counts = Counter((m.get("zones") or ["set"])[0] for m in machines)
        in_set = all(m["properties"].get("availabilitySet") for m in machines)
        chosen = world.one(BALANCER)["properties"]["frontendIPConfigurations"][0].get("zones") or []
        if machines and not in_set and len(chosen) != 1 and max(counts.values()) * 2 > len(machines):
            yield f"a zone holds {max(counts.values())} of {len(machines)} machines of {role}"
    for machine in world.of(MACHINE):
        for attached in machine["properties"]["storageProfile"]["dataDisks"]:
            disk = world.by_id(attached["managedDisk"]["id"])
            if disk is None or disk.get("zones") != machine.get("zones"):
                yield f"the data disk of {machine['name']} stands elsewhere"


@rule(lambda world: world.of(MACHINE)[0]["properties"]["storageProfile"]["dataDisks"][0].update(caching="ReadWrite"))
def raft_writes_reach_the_disk(world: Prediction) -> Iterable[str]:
    """Data disks are Premium or better, 128 GB, uncached at LUN 0, and outlive their machine."""
    for machine in world.of(MACHINE):
        if machine["name"].endswith("-jumpbox"):
            continue
        (attached,) = machine["properties"]["storageProfile"]["dataDisks"]
        disk = world.by_id(attached["managedDisk"]["id"]) or {"sku": {"name": "none"}, "properties": {"diskSizeGB": 0}}
        if (attached["caching"], attached["lun"], attached["deleteOption"]) != ("None", 0, "Detach"):
            yield f"{machine['name']}: {attached['caching']} cache, LUN {attached['lun']}, {attached['deleteOption']}"
        if (
            disk["sku"]["name"] not in {"Premium_LRS", "PremiumV2_LRS", "UltraSSD_LRS"}
            or disk["properties"]["diskSizeGB"] != 128
        ):
            yield f"{machine['name']} has a {disk['sku']['name']} disk of {disk['properties']['diskSizeGB']} GB"


@rule(lambda world: profile(world.of(SCALE_SET)[0])["securityProfile"].update(encryptionAtHost=False))
def machines_are_encrypted_and_measured(world: Prediction) -> Iterable[str]:
    """Every machine has encryption at host, trusted launch with secure boot, and only what we chose on its disks."""
    for machine in [*world.of(MACHINE), *world.of(SCALE_SET)]:
        security = profile(machine)["securityProfile"]
        if not (security["encryptionAtHost"] and security["uefiSettings"]["secureBootEnabled"]):
            yield f"{machine['name']} is not encrypted at host, or boots what it likes"
    for disk in world.of(DISK):
        if (
            disk["properties"]["networkAccessPolicy"] != "DenyAll"
            or disk["properties"]["publicNetworkAccess"] != "Disabled"
        ):
            yield f"{disk['name']} can be exported over a network"


@rule(
    lambda world: world.one(ENCRYPTION_SET)["properties"].update(
        encryptionType="EncryptionAtRestWithPlatformAndCustomerKeys"
    )
)
def disks_are_encrypted_as_their_set_says(world: Prediction) -> Iterable[str]:
    """A disk states the kind of encryption that its set gives, and Ultra and Premium v2 disks never the double one: Azure refuses both."""
    for disk in world.of(DISK):
        given = disk["properties"]["encryption"]
        by = world.by_id(given.get("diskEncryptionSetId") or "")
        kind = by["properties"]["encryptionType"] if by else "EncryptionAtRestWithPlatformKey"
        if given["type"] != kind:
            yield f"{disk['name']} says {given['type']}, its set {kind}"
        if disk["sku"]["name"] != "Premium_LRS" and kind == "EncryptionAtRestWithPlatformAndCustomerKeys":
            yield f"{disk['name']} is {disk['sku']['name']}, which Azure cannot encrypt twice"


@rule(lambda world: world.one(SCALE_SET, "-gpu")["properties"].update(zoneBalance=False))
def only_pools_of_several_zones_balance_them(world: Prediction) -> Iterable[str]:
    """Azure refuses zoneBalance for a scale set of one zone or none."""
    for pool in world.of(SCALE_SET):
        if len(pool.get("zones") or []) < 2 and pool["properties"].get("zoneBalance") is not None:
            yield f"{pool['name']} balances zones that it does not have"


@rule(lambda world: world.of(SCALE_SET)[0]["properties"]["automaticRepairsPolicy"].update(gracePeriod="PT10M"))
def repairs_wait_for_the_slowest_bootstrap(world: Prediction) -> Iterable[str]:
    """Each pool has the health extension 1.0 inside its profile, and repairs begin later than the worst bootstrap ends."""
    for pool in world.of(SCALE_SET):
        repairs = pool["properties"]["automaticRepairsPolicy"]
        if not repairs["enabled"] or int(repairs["gracePeriod"][2:-1]) <= WORST_BOOTSTRAP_MINUTES:
            yield f"{pool['name']} is repaired after {repairs['gracePeriod']}"
        health = [e["properties"] for e in profile(pool)["extensionProfile"]["extensions"] if e["name"] == "health"]
        if [(e["type"], e["typeHandlerVersion"]) for e in health] != [("ApplicationHealthLinux", "1.0")]:
            yield f"{pool['name']} has no health extension 1.0"


def _drop_agent(world: Prediction) -> None:
    extensions = profile(world.of(SCALE_SET)[0])["extensionProfile"]["extensions"]
    extensions[:] = [each for each in extensions if each["name"] != AGENT]


@rule(_drop_agent)
def every_machine_reports_by_the_agent(world: Prediction) -> Iterable[str]:
    """Azure Monitor's agent runs on each machine under an identity that it has, and its rule carries what VM Insights shows."""
    for machine in [*world.of(MACHINE), *world.of(SCALE_SET)]:
        extensions = profile(machine).get("extensionProfile", {}).get("extensions", [])
        extensions = [*extensions, *filter(None, [world.by_id(f"{machine['id']}/extensions/{AGENT}")])]
        agents = [e["properties"] for e in extensions if e["properties"]["type"] == AGENT]
        signs_in = [a["settings"]["authentication"]["managedIdentity"]["identifier-value"].lower() for a in agents]
        has = {each.lower() for each in machine["identity"]["userAssignedIdentities"]}
        if len(signs_in) != 1 or signs_in[0] not in has:
            yield f"{machine['name']} has no agent, or one that cannot sign in"
    rules = world.one("Microsoft.Insights/dataCollectionRules")["properties"]
    streams = {stream for flow in rules["dataFlows"] for stream in flow["streams"]}
    if not {"Microsoft-InsightsMetrics", "Microsoft-Perf", "Microsoft-Syslog"} <= streams:
        yield f"the collection rule carries only {sorted(streams)}"


def _tell_spot(world: Prediction) -> None:
    spot = next(p for p in world.of(SCALE_SET) if profile(p)["priority"] == "Spot")
    profile(spot)["scheduledEventsProfile"] = {"terminateNotificationProfile": {"enable": True}}


@rule(_tell_spot)
def regular_instances_are_told_before_they_go(world: Prediction) -> Iterable[str]:
    """Regular pools get 15 minutes' notice; spot ones, which Azure gives none, are deleted and not kept as capacity."""
    for pool in world.of(SCALE_SET):
        given = profile(pool)
        notice = (given.get("scheduledEventsProfile") or {}).get("terminateNotificationProfile", {})
        if given["priority"] == "Regular" and (notice.get("enable"), notice.get("notBeforeTimeout")) != (True, "PT15M"):
            yield f"{pool['name']} is not told before it goes"
        if given["priority"] == "Spot" and (notice or given["evictionPolicy"] != "Delete"):
            yield f"{pool['name']} is spot and has a notice, or keeps evicted instances"


def _forget_pool(world: Prediction) -> None:
    settings = world.settings()
    settings["POOLS"] = json.dumps([{**pool, "max": pool["max"] + 1} for pool in json.loads(settings["POOLS"])[1:]])


@rule(_forget_pool)
def the_keeper_knows_every_pool(world: Prediction) -> Iterable[str]:
    """POOLS and the scale sets say the same: names, groups, modes, priorities, zones, sizes, and floor at birth."""
    told_pools = {pool["scaleSet"]: pool for pool in json.loads(world.settings()["POOLS"])}
    sets = {each["name"]: each for each in world.of(SCALE_SET)}
    yield from (f"{name} is on one side only" for name in told_pools.keys() ^ sets.keys())
    for name in told_pools.keys() & sets.keys():
        pool, each = told_pools[name], sets[name]
        made = {
            "mode": each["properties"]["orchestrationMode"],
            "priority": profile(each)["priority"].lower(),
            "zones": each.get("zones") or [],
            "sku": each["sku"]["name"],
            "min": each["sku"]["floor"],
            "resourceGroup": each["id"].split("/")[4],
            "nodeClass": each["tags"]["keeper-node-class"],
            "nodePool": each["tags"]["keeper-node-pool"],
            "datacenter": each["tags"]["keeper-node-datacenter"],
            "name": each["tags"]["keeper-pool"],
        }
        yield from (
            f"{name}: {key} is {pool.get(key)} there, {value} here"
            for key, value in made.items()
            if pool.get(key) != value
        )


@rule(lambda world: world.of(SCALE_SET)[1]["tags"].pop("keeper-node-cpu-mhz"))
def an_empty_pool_can_be_sized(world: Prediction) -> Iterable[str]:
    """Each scale set carries what one instance offers, as whole numbers."""
    for pool in world.of(SCALE_SET):
        for amount in ("cpu-mhz", "memory-mb", "disk-mb", "cores"):
            if not pool["tags"].get(f"keeper-node-{amount}", "").isdecimal():
                yield f"{pool['name']} does not say its {amount}"


@rule(lambda world: world.of(SCALE_SET)[0]["sku"].update(capacity=3))
def a_template_never_resizes_a_pool(world: Prediction) -> Iterable[str]:
    """Only the birth of a pool states a size; the model takes the size found in Azure."""
    for pool in world.of(SCALE_SET):
        if isinstance(pool["sku"]["capacity"], int):
            yield f"{pool['name']} is set to {pool['sku']['capacity']} by a deployment"


@rule(
    lambda world: world.of("Microsoft.Maintenance/maintenanceConfigurations")[1]["properties"][
        "maintenanceWindow"
    ].update(recurEvery="1Week Tuesday")
)
def zones_are_patched_on_different_days(world: Prediction) -> Iterable[str]:
    """Every server is patched in a window; machines of different zones never on the same day."""
    windows = {
        w["id"]: w["properties"]["maintenanceWindow"]["recurEvery"]
        for w in world.of("Microsoft.Maintenance/maintenanceConfigurations")
    }
    days: dict[str, set[str]] = {}
    for assignment in world.of("Microsoft.Maintenance/configurationAssignments"):
        machine = world.by_id(assignment["id"].split("/providers/Microsoft.Maintenance/", 1)[0]) or {}
        days.setdefault(windows[assignment["properties"]["maintenanceConfigurationId"]], set()).add(
            (machine.get("zones") or ["set"])[0]
        )
    yield from (f"zones {sorted(zones)} are patched on {day}" for day, zones in days.items() if len(zones) > 1)
    for machine in world.of(MACHINE):
        assigned = world.by_id(f"{machine['id']}/providers/Microsoft.Maintenance/configurationAssignments/patching")
        mode = machine["properties"]["osProfile"]["linuxConfiguration"]["patchSettings"]["patchMode"]
        if assigned is None or mode != "AutomaticByPlatform":
            yield f"{machine['name']} is patched by nobody"


def _change_loader(world: Prediction) -> None:
    profile(world.of(SCALE_SET)[0])["osProfile"]["customData"] = "IyEvYmluL3NoCg=="


@rule(_change_loader)
def every_member_boots_the_same_loader(world: Prediction) -> Iterable[str]:
    """customData is one and the same for every member: Azure never lets it change."""
    loaders = {custom_data_text(member) for member in world.members()}
    if len(loaders) != 1 or None in loaders:
        yield f"{len(loaders)} different loaders"
