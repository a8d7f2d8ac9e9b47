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
