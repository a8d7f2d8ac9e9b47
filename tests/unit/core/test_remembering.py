"""What the keeper remembers survives being written down, and times out as it should."""

import json
from dataclasses import fields, replace
from datetime import timedelta

import pytest
from hypothesis import given

from keeper.core import explain, memory_json, scaling, setasides
from keeper.core.memory import FailureKind, Growth, GrowthFailure, Memory, Pressure
from keeper.core.model import Device, InstanceName, JobKey, PoolName, Priority, Resources, Template, TemplateSource
from keeper.core.rules import AutoscaleRules
from keeper.core.view import Gap
from tests.property.builders import LONG_AGO, NOW, RULES, group, job, node, pool, scale_set, unneeded, view
from tests.property.worlds import worlds

FULL = Memory(
    observed=NOW,
    follow_up=NOW,
    paused="why",
    pressures=(Pressure("a", "rule", PoolName("p"), NOW, NOW, None, NOW),),
    unneeded={InstanceName("vmss-p_1"): NOW},
    refused={(JobKey("default", "web"), "g"): NOW},
    templates={
        PoolName("p"): Template(
            TemplateSource.SEEN,
            Resources(1, 2, 3, 4),
            "class",
            "pool",
            "dc",
            {"attr.x": "y"},
            frozenset({"docker"}),
            frozenset({"v"}),
            (Device("nvidia", "gpu", "T4", 2),),
            NOW,
            Resources(1),
        )
    },
    never_joined={PoolName("p"): 2},
    grew={PoolName("p"): NOW},
    believed={(JobKey("default", "web"), "g"): 3},
    returned={InstanceName("vmss-p_1"): NOW},
)


def test_a_memory_with_everything_in_it_survives():
    assert memory_json.from_json(memory_json.to_json(FULL)) == FULL
    assert memory_json.from_json(memory_json.to_json(Memory())) == Memory()


@given(seen=worlds())
def test_every_memory_that_planning_leaves_survives(seen):
    memory = scaling.plan_autoscale(seen, RULES).memory

    assert memory_json.from_json(memory_json.to_json(memory)) == memory


@pytest.mark.parametrize("gap", [Gap.INSTANCES, Gap.SCALE_SETS])
def test_a_tick_that_could_not_look_at_machines_forgets_nothing_of_them(gap):
    """Else the machine that has not joined would count, ever after, as one whose node has vanished from the list."""
    waits = InstanceName("vmss-general_0007")
    growth = Growth(PoolName("general"), NOW, 1, 2, "operation")
    memory = Memory(first_seen={waits: LONG_AGO}, growths=(growth,))
    seen = view(
        [pool()], [node()], memory=memory, listed=False, gaps=frozenset({gap}), finished=frozenset({growth.pool})
    )
    seen = replace(seen, scale_sets={} if gap is Gap.SCALE_SETS else {"general": scale_set(pool(), 2)})

    remembered = scaling.plan_autoscale(seen, RULES).memory

    assert remembered.first_seen == {waits: LONG_AGO}
    assert remembered.growths == (growth,)


def test_keys_of_other_versions_are_ignored_and_missing_ones_take_their_defaults():
    text = json.dumps({"version": 1, "paused": "why", "invented": {"later": 1}})

    assert memory_json.from_json(text) == Memory(paused="why")


@pytest.mark.parametrize(
    ("damage", "where"),
    [
        ("", "memory"),
        ("[]", "memory"),
        ('{"paused": null}', "memory.version"),
        ('{"version": 99}', "memory.version"),
        ('{"version": 1, "observed": "yesterday"}', "memory.observed"),
        ('{"version": 1, "observed": "2026-01-01T00:00:00"}', "memory.observed"),
        ('{"version": 1, "paused": 7}', "memory.paused"),
        ('{"version": 1, "growths": {}}', "memory.growths"),
        ('{"version": 1, "growths": [{}]}', "memory.growths[0].pool"),
        ('{"version": 1, "unneeded": 3}', "memory.unneeded"),
        ('{"version": 1, "refused": [[1]]}', "memory.refused"),
        ('{"version": 1, "set_asides": [{"kind": "bad luck"}]}', "memory.set_asides[0].kind"),
    ],
)
def test_damaged_memory_is_refused_and_says_where(damage, where):
    with pytest.raises(ValueError, match="expected") as refused:
        memory_json.from_json(damage)

    assert str(refused.value).startswith(where)


def failed(kind: FailureKind, times: int, *, limit: int | None = None, priority: Priority = Priority.REGULAR):
    """How long a pool is set aside after so many failures in a row."""
    each, memory = pool(priority=priority), Memory()
    when = NOW
    for n in range(times):
        when = NOW + timedelta(days=n)
        failure = GrowthFailure(each.name, kind, when, "code", "text", limit=limit)
        memory = setasides.note_failure(memory, failure, when, each, RULES)
    return memory.set_asides[0].until - when


@pytest.mark.parametrize(
    ("kind", "minutes"),
    [
        (FailureKind.SKU_FAMILY_QUOTA, [10, 10, 20, 40, 60, 60]),
        (FailureKind.LOW_PRIORITY_QUOTA, [60, 60]),
        (FailureKind.REGIONAL_QUOTA, [5, 10, 20, 40, 60, 60]),
        (FailureKind.ALLOCATION, [60, 60]),
        (FailureKind.SKU_NOT_AVAILABLE, [23 * 60, 23 * 60]),
        (FailureKind.THROTTLED, [1, 2, 4]),
        (FailureKind.NEVER_JOINED, [5, 10, 20]),
    ],
)
def test_a_set_aside_lasts_as_its_kind_needs_and_grows_with_each_failure_in_a_row(kind, minutes):
    assert [failed(kind, n + 1) / timedelta(minutes=1) for n in range(len(minutes))] == minutes


def test_a_family_quota_of_nothing_and_spot_without_a_size_have_times_of_their_own():
    assert failed(FailureKind.SKU_FAMILY_QUOTA, 1, limit=0) == timedelta(hours=1)
    assert failed(FailureKind.SKU_NOT_AVAILABLE, 1, priority=Priority.SPOT) == timedelta(hours=1)


def test_a_failure_that_is_told_twice_counts_once():
    failure = GrowthFailure(pool().name, FailureKind.ALLOCATION, NOW, "code", "text")
    once = setasides.note_failure(Memory(), failure, NOW, pool(), RULES)

    assert setasides.note_failure(once, failure, NOW + timedelta(minutes=1), pool(), RULES) == once


def test_failures_are_no_longer_in_a_row_after_a_growth_that_went_well():
    failure = GrowthFailure(pool().name, FailureKind.REGIONAL_QUOTA, LONG_AGO, "code", "text")
    memory = setasides.note_failure(Memory(), failure, NOW - timedelta(minutes=10), pool(), RULES)

    assert setasides.forget_old(memory, NOW, frozenset()) == memory
    assert setasides.forget_old(memory, NOW, frozenset({pool().name})).set_asides == ()
    assert setasides.forget_old(memory, NOW + timedelta(hours=4), frozenset()).set_asides == ()


def test_a_decision_record_says_what_was_seen_chosen_rejected_and_cut():
    spec = job("web", group(cpu=8000))
    seen = view([pool(maximum=2)], [node()], jobs=[spec], queued={"web": 4}, memory=unneeded(node()))
    plan = scaling.plan_autoscale(seen, AutoscaleRules())

    record = explain.record(plan, seen)

    assert json.loads(json.dumps(record)) == record
    assert record["sentence"] == "1 ready, 4 queued → grow general 1 → 2 (demand)"
    assert record["saw"]["nodes"] == {"ready": 1}
    assert record["chose"] == [{"action": "grow", "because": "demand", "pool": "general", "before": 1, "target": 2}]
    assert {"what": "2 of web/g", "why": "waits: general: its maximum of 2"} in record["rejected"]


def test_every_field_of_memory_is_written_down():
    written = json.loads(memory_json.to_json(Memory()))

    assert {field.name for field in fields(Memory)} <= written.keys()
    assert replace(FULL, paused=None).paused is None
