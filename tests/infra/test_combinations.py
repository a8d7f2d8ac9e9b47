"""Every rule holds for choices that nobody wrote down, drawn from a seed; names fit where they are as long as they may be."""

import pytest

from tests.infra.combinations import drawn
from tests.infra.test_rules import RULES
from tools.infra_prediction import MACHINE, SCALE_SET, prediction_with

SEEDS = range(6)
"""A prediction takes seconds, so these few are played each time; `drawn` gives any number of others."""


@pytest.mark.parametrize("seed", SEEDS)
def test_the_rules_hold_for_choices_drawn_at_random(seed):
    world = prediction_with(f"seed {seed}", drawn(seed))

    found = {rule.name: violations for rule in RULES if (violations := rule.violations(world))}
    assert found == {}, f"drawn:\n{drawn(seed)}"


def test_the_longest_names_are_taken():
    world = prediction_with(
        "long names",
        """param sshPublicKey = 'ssh-ed25519 AAAA test'
param cluster = 'abcdefgh'
param consul = { mode: 'Dedicated', mesh: false }
param files = true
param copyLocation = 'northeurope'
param eventSubscriptions = true
param clientPools = [{ name: 'abcdefghijkl', min: 0, max: 1 }]""",
    )

    named = next(rule for rule in RULES if rule.name == "names_are_such_as_azure_takes")
    assert named.violations(world) == []
    assert {"abcdefgh-server-1", "abcdefgh-consul-3"} <= {machine["name"] for machine in world.of(MACHINE)}
    assert [pool["name"] for pool in world.of(SCALE_SET)] == ["vmss-abcdefgh-abcdefghijkl"]
