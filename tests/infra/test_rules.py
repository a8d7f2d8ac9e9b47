"""Our own rules over predicted resources: each holds for every parameter file, and each notices the fault it is there for."""

import pytest

from tests.infra.conftest import NAMES
from tests.infra.rules import compute, identity, matrix, network, platform, storage  # noqa: F401 -- importing registers
from tests.infra.rules.registry import RULES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_holds(rule, name, predicted):
    assert rule.violations(predicted(name)) == []


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_notices_its_fault(rule, predicted):
    world = predicted(rule.on).planted()

    rule.plant(world)

    assert rule.violations(world) != []


def test_there_are_at_least_twenty_rules_and_each_says_what_it_is_for():
    assert len(RULES) >= 20
    assert [rule.name for rule in RULES if len(rule.ask.__doc__ or "") < 40] == []
    assert len({rule.name for rule in RULES}) == len(RULES)
