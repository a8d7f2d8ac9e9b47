"""The keeper is given the settings that it declares: no name too many, none missing, all of them readable."""

import re
from dataclasses import fields, is_dataclass
from typing import get_args, get_type_hints

import pytest

from keeper import settings as keeper_settings
from keeper.core.rules import Setting
from tests.infra.conftest import NAMES

# Read by Azure's own parts, not by the keeper.
PLATFORM = re.compile(
    r"AzureWebJobsStorage__(credential|clientId|(blob|queue|table)ServiceUri)|APPLICATIONINSIGHTS_\w+|"
    r"KEEPER_STORAGE__(credential|clientId)"
)

# Left as the keeper has them, each for a reason; whatever else it declares, the templates give.
OWN_SECRET = "the keeper makes this secret itself, under this name"
CHOICE = "a choice of the operator, by keeperSettings"
LEFT = {
    "NOMAD_TOKEN_SECRET": OWN_SECRET,
    "NOMAD_CA_SECRET": OWN_SECRET,
    "SNAPSHOT_NOMAD_TOKEN_SECRET": OWN_SECRET,
    "CONSUL_TOKEN_SECRET": OWN_SECRET,
    "CONSUL_CA_SECRET": OWN_SECRET,
    "RESTORE_NOMAD_TOKEN_SECRET": OWN_SECRET,
    "RESTORE_CONSUL_TOKEN_SECRET": OWN_SECRET,
    "NOMAD_TIMEOUT_SECONDS": CHOICE,
    "HTTP_MAX_BODY_BYTES": CHOICE,
    "SNAPSHOT_INTERVAL_SECONDS": CHOICE,
    "SNAPSHOT_KEEP_LEAST": CHOICE,
    "SNAPSHOT_LARGEST_STATE_BYTES": CHOICE,
    "SNAPSHOT_SHRINK_FACTOR": CHOICE,
    "SNAPSHOT_SWEEP_ONLY_SHOW": CHOICE,
    "REHEARSAL_INTERVAL_SECONDS": CHOICE,
    "REHEARSAL_PATIENCE_SECONDS": CHOICE,
    "CERTIFICATE_LIFE_SECONDS": CHOICE,
    "CA_LIFE_SECONDS": CHOICE,
    "CA_OVERLAP_SECONDS": CHOICE,
}
LIMITS = re.compile("(AUTOSCALE|LIMIT)_")
"""How far the keeper may go when it sizes pools: choices of the operator, by keeperSettings, too many to name."""


def declared() -> set[str]:
    """Every environment name that keeper/settings.py declares."""
    names = {"POOLS"}
    for section in keeper_settings.SECTIONS:
        assert is_dataclass(section)
        hints = get_type_hints(section, include_extras=True)
        for field in fields(section):
            names |= {each.env for each in get_args(hints[field.name]) if isinstance(each, Setting)}
    return names


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_given_is_one_that_the_keeper_declares(name, predicted):
    given = {key for key in predicted(name).settings() if not PLATFORM.fullmatch(key)}

    assert given - declared() == set()


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_declared_is_given_or_left_for_a_reason(name, predicted):
    left = {each for each in declared() - set(predicted(name).settings()) if not LIMITS.match(each)}

    assert left == set(LEFT)


@pytest.mark.parametrize("name", NAMES)
def test_the_keeper_sweeps_no_snapshot_that_cannot_be_deleted_yet(name, predicted):
    world = predicted(name)
    rules = keeper_settings.load(world.settings()).retention
    for policy in world.of("Microsoft.Storage/storageAccounts/blobServices/containers/immutabilityPolicies"):
        tier = policy["name"].split("/")[2].removeprefix("snapshots-")
        if tier != "audit":
            assert getattr(rules, tier).days >= policy["properties"]["immutabilityPeriodSinceCreationInDays"]


@pytest.mark.parametrize("name", NAMES)
def test_the_keeper_starts_with_the_settings_given(name, predicted):
    loaded = keeper_settings.load(predicted(name).settings())

    assert [pool.scale_set for pool in loaded.pools] == [f"vmss-nomad-{pool.name}" for pool in loaded.pools]
    assert loaded.azure.queue == "keeper"


@pytest.mark.parametrize("name", NAMES)
def test_every_name_that_a_trigger_reads_is_set(name, predicted, pytestconfig):
    read = set()
    for file in (pytestconfig.rootpath / "functions").glob("*.py"):
        read |= set(re.findall(r"%([A-Z_]+)%", file.read_text()))

    assert read - set(predicted(name).settings()) == set()


def test_alerts_and_events_call_functions_that_exist(predicted, pytestconfig):
    defined = set()
    for file in (pytestconfig.rootpath / "functions").glob("*.py"):
        defined |= set(re.findall(r"^(?:async )?def (\w+)\(", file.read_text(), re.MULTILINE))
    world = predicted("everything-on")
    receivers = [
        receiver["functionName"]
        for group in world.of("Microsoft.Insights/actionGroups")
        for receiver in group["properties"].get("azureFunctionReceivers", [])
    ]
    destinations = [
        each["properties"]["destination"]["properties"]["resourceId"].rsplit("/", 1)[-1]
        for each in world.of("Microsoft.EventGrid/systemTopics/eventSubscriptions")
    ]

    assert receivers
    assert destinations
    assert {*receivers, *destinations} <= defined


def test_every_alert_has_its_runbook(predicted, pytestconfig):
    rules = ("Microsoft.Insights/scheduledQueryRules", "Microsoft.Insights/metricAlerts")
    text = " ".join(each["properties"]["description"] for kind in rules for each in predicted("everything-on").of(kind))

    missing = [
        path
        for path in set(re.findall(r"docs/runbooks/[\w-]+\.md", text))
        if not (pytestconfig.rootpath / path).exists()
    ]
    assert missing == []


def test_alerts_read_events_that_somebody_tells(predicted, pytestconfig):
    queries = [
        r["properties"]["criteria"]["allOf"][0]["query"]
        for r in predicted("everything-on").of("Microsoft.Insights/scheduledQueryRules")
    ]
    read = set(re.findall(r'"event":"([\w.]+)"', " ".join(queries)))
    told = set(re.findall(r"`([a-z_]+\.[a-z_]+)`", (pytestconfig.rootpath / "docs" / "events.md").read_text()))
    for file in (pytestconfig.rootpath / "cloud-init" / "node").rglob("*.py"):
        told |= set(re.findall(r'tell\(\s*"([\w.]+)"', file.read_text()))

    assert read
    assert read - told == set()
