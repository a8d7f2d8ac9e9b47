"""Our own rules over predicted resources: each holds for every parameter file, and each notices the fault it is there for."""

import pytest

from tests.infra.conftest import NAMES
from tests.infra.rules import compute, identity, matrix, network, platform, reach, storage  # noqa: F401 -- importing registers
from tests.infra.rules.registry import RULES
from tools.infra_prediction import prediction_with

UNUSUAL = {
    "a set of Uniform clients": """param placement = 'AvailabilitySet'
param clientPools = [{ name: 'uni', min: 0, max: 3, mode: 'Uniform' }]""",
    "other addresses": """param addressPrefix = '10.8.0.0/20'
param subnets = {
  management: '10.8.0.0/28'
  servers: '10.8.0.64/27'
  clients: '10.8.2.0/23'
  data: '10.8.1.0/25'
  bastion: '10.8.4.0/26'
  functions: '10.8.4.64/27'
  firewall: '10.8.5.0/26'
  gateway: '10.8.6.0/24'
}""",
    "an old Nomad with everything besides, reached by a jump box": """param resourceGroups = {
  network: 'rg-nomad-network'
  compute: 'rg-nomad-compute'
  storage: 'rg-nomad-storage'
  security: 'rg-nomad-security'
  monitoring: 'rg-nomad-monitoring'
}
param releases = { nomad: '1.8.4', consul: '1.21.4', vault: '1.20.3' }
param consul = { mode: 'Dedicated', mesh: true }
param vault = true
param files = true
param egress = 'AzureFirewall'
param access = 'JumpBox'
param operatorSources = ['10.99.0.0/24']
param federation = { networks: [], servers: ['10.1.10.0/24'], join: [], authoritativeRegion: 'global' }
param customerKeys = 'Software'
param clientPools = [
  { name: 'spot', min: 0, max: 3, priority: 'Spot' }
  { name: 'drill', min: 0, max: 1, rehearsals: true, priority: 'Spot' }
]""",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_holds(rule, name, predicted):
    assert rule.violations(predicted(name)) == []


@pytest.mark.parametrize("name", UNUSUAL)
def test_the_rules_hold_for_unusual_choices(name):
    world = prediction_with(name, f"param sshPublicKey = 'ssh-ed25519 AAAA test'\n{UNUSUAL[name]}")

    assert {rule.name: found for rule in RULES if (found := rule.violations(world))} == {}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.name)
def test_the_rule_notices_its_fault(rule, predicted):
    world = predicted(rule.on).planted()

    rule.plant(world)

    assert rule.violations(world) != []


def test_there_are_at_least_twenty_rules_and_each_says_what_it_is_for():
    assert len(RULES) >= 20
    assert [rule.name for rule in RULES if len(rule.ask.__doc__ or "") < 40] == []
    assert len({rule.name for rule in RULES}) == len(RULES)
