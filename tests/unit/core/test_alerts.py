"""Alerts become pressure on the pool that they are about, and nothing else does."""

import json
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keeper.core import alerts
from keeper.core.alerts import Condition
from keeper.core.memory import Memory
from keeper.core.problems import FieldError
from tests.property.builders import NOW, RULES, pool

RECORDINGS = Path(__file__).parents[2] / "recordings" / "azure" / "monitor"
GENERAL = pool("general")
SCALE_SET = "/subscriptions/s/resourcegroups/RG/providers/microsoft.compute/virtualmachinescalesets/VMSS-General"
VM = "/subscriptions/s/resourceGroups/rg/providers/Microsoft.Compute/virtualMachines/vmss-general_1a2b"


def recorded(name: str) -> dict:
    return json.loads((RECORDINGS / name).read_text())["payload"]


def cpu_alert(target: str = SCALE_SET, **changes: object) -> dict:
    """A recorded metric alert, aimed at a scale set of ours."""
    payload = recorded("alert_metric_static_resolved.json")
    essentials = payload["data"]["essentials"]
    essentials |= {"alertTargetIDs": [target], "monitorCondition": "Fired", "firedDateTime": NOW.isoformat()}
    essentials.pop("resolvedDateTime")
    essentials |= changes
    return payload


def parsed(**changes: object) -> alerts.Alert:
    return alerts.parse_alert(cpu_alert(**changes), [GENERAL])


def resolved(when=NOW + timedelta(minutes=2)) -> alerts.Alert:
    return replace(parsed(), condition=Condition.RESOLVED, resolved=when)


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("alert_*.json")), ids=lambda path: path.stem)
def test_every_recorded_alert_is_read_as_one_on_a_scale_set_of_ours(path):
    payload = json.loads(path.read_text())["payload"]
    body = payload if "schemaId" in payload else cpu_alert() | {"data": cpu_alert()["data"] | payload}
    body["data"]["essentials"]["alertTargetIDs"] = [SCALE_SET]

    alert = alerts.parse_alert(body, [GENERAL])

    assert alert.pool == "general"
    assert alert.presses == ("metric_static" in path.stem and "test" not in path.stem)


@pytest.mark.parametrize("path", sorted(RECORDINGS.glob("alert_test_*.json")), ids=lambda path: path.stem)
def test_every_recorded_alert_about_somebody_else_is_refused_by_its_target(path):
    with pytest.raises(FieldError) as refused:
        alerts.parse_alert(json.loads(path.read_text())["payload"], [GENERAL])

    assert refused.value.field == "data.essentials.alertTargetIDs"


@pytest.mark.parametrize("target", [SCALE_SET, SCALE_SET + "/virtualMachines/3", VM])
def test_a_target_is_ours_whatever_its_case_and_whether_it_is_the_scale_set_or_an_instance(target):
    assert parsed(target=target).pool == "general"


def test_a_fired_alert_presses_until_it_resolves():
    fired = alerts.fold_alert(Memory(), parsed(), NOW, RULES)
    ended = alerts.fold_alert(fired, resolved(), NOW, RULES)

    assert [(each.pool, each.resolved) for each in fired.pressures] == [("general", None)]
    assert ended.pressures[0].resolved is not None


def test_a_doubled_alert_changes_nothing():
    once = alerts.fold_alert(Memory(), parsed(), NOW, RULES)

    assert alerts.fold_alert(once, parsed(), NOW, RULES) is once


def test_a_fire_that_arrives_after_its_own_resolution_does_not_press():
    memory = alerts.fold_alert(Memory(), resolved(), NOW, RULES)
    memory = alerts.fold_alert(memory, parsed(), NOW, RULES)

    assert memory.pressures[0].resolved is not None


def test_a_resolution_older_than_a_newer_fire_is_ignored():
    newer = replace(parsed(), fired=NOW + timedelta(minutes=5))
    memory = alerts.fold_alert(Memory(), newer, NOW, RULES)

    assert alerts.fold_alert(memory, resolved(), NOW, RULES) == memory


def test_an_alert_that_fires_again_keeps_the_cooldown_of_its_last_step():
    memory = alerts.fold_alert(Memory(), parsed(), NOW, RULES)
    memory = replace(memory, pressures=(replace(memory.pressures[0], stepped=NOW),))
    memory = alerts.fold_alert(memory, resolved(), NOW, RULES)
    again = alerts.fold_alert(memory, replace(parsed(), fired=NOW + timedelta(minutes=3)), NOW, RULES)

    assert again.pressures[0].resolved is None
    assert again.pressures[0].stepped == NOW


def test_an_alert_too_old_to_press_is_forgotten():
    assert alerts.fold_alert(Memory(), parsed(), NOW + RULES.pressure_expiry, RULES) == Memory()


def test_custom_properties_name_the_pool_whatever_the_metric_and_target():
    body = recorded("alert_test_metric_static_fired.json")
    body["data"]["customProperties"] = {"Keeper-Pool": "GENERAL"}

    assert alerts.parse_alert(body, [GENERAL]).pool == "general"


@pytest.mark.parametrize(
    ("metric", "operator", "grows"),
    [
        ("Percentage CPU", "GreaterThan", True),
        ("Percentage CPU", "LessThan", False),
        ("Available Memory Bytes", "LessThan", True),
        ("Available Memory Bytes", "LowerThan", True),
        ("Available Memory Bytes", "GreaterThan", False),
        ("VmAvailabilityMetric", "LessThan", False),
    ],
)
def test_only_metrics_that_more_instances_mend_press(metric, operator, grows):
    body = cpu_alert()
    body["data"]["alertContext"]["condition"]["allOf"][0] |= {"metricName": metric, "operator": operator}

    alert = alerts.parse_alert(body, [GENERAL])

    assert (alert.pool, alert.presses) == ("general", grows)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ([], "body"),
        ({"schemaId": "AzureMonitorMetricAlert"}, "schemaId"),
        ({"schemaId": alerts.SCHEMA}, "data"),
        (cpu_alert(alertId=None), "data.essentials.alertId"),
        (cpu_alert(monitorCondition="Maybe"), "data.essentials.monitorCondition"),
        (cpu_alert(firedDateTime="yesterday"), "data.essentials.firedDateTime"),
        (cpu_alert(target=VM.replace("general", "theirs")), "data.essentials.alertTargetIDs"),
        (cpu_alert(target=SCALE_SET.replace("RG", "other")), "data.essentials.alertTargetIDs"),
        (cpu_alert(alertTargetIDs=None), "data.essentials.alertTargetIDs"),
    ],
)
def test_a_bad_alert_is_refused_by_the_name_of_its_field(body, field):
    with pytest.raises(FieldError) as refused:
        alerts.parse_alert(body, [GENERAL])

    assert refused.value.field == field


def test_an_alert_survives_the_corridor():
    for alert in (parsed(), resolved()):
        assert alerts.from_detail(json.loads(json.dumps(alerts.to_detail(alert)))) == alert
