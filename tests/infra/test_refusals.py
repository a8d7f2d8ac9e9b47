"""Bad parameters are refused before anything is created, by a sentence that names the parameter."""

import pytest

from tools.infra_bicep import Refused, predict_with

KEY = "param sshPublicKey = 'ssh-ed25519 AAAA test'\n"
SUBNETS = {
    "management": "10.0.1.0/24",
    "servers": "10.0.10.0/24",
    "clients": "10.0.20.0/24",
    "data": "10.0.30.0/24",
    "bastion": "10.0.2.0/26",
    "functions": "10.0.3.0/26",
    "firewall": "10.0.4.0/26",
    "gateway": "10.0.5.0/24",
}


def with_subnets(**changed: str) -> str:
    given = "\n".join(f"  {name}: '{prefix}'" for name, prefix in (SUBNETS | changed).items())
    return f"param subnets = {{\n{given}\n}}"


def mirrored(given: str) -> str:
    return f"param releases = {{ nomad: '1.10.5', consul: '1.21.4', vault: '1.20.3', mirror: {{ {given} }} }}"


CASES = {
    "four servers": ("param serverCount = 4", "serverCount|4"),
    "two servers": ("param serverCount = 2", "serverCount|2"),
    "overlapping subnets": (
        with_subnets(data="10.0.20.128/25"),
        r"subnets.clients \(10.0.20.0/24\) and subnets.data \(10.0.20.128/25\) overlap",
    ),
    "a Bastion subnet that is too small": (with_subnets(bastion="10.0.2.0/28"), "subnets.bastion .* is too small: /26"),
    "a subnet outside the network": (with_subnets(data="10.9.0.0/24"), "subnets.data .* must lie inside addressPrefix"),
    "a network that is no prefix": (
        "param addressPrefix = '10.0.0.0'",
        r"addressPrefix \(10.0.0.0\) must be an IPv4 prefix such as 10.0.0.0/16",
    ),
    "a network in words": ("param addressPrefix = 'large'", r"addressPrefix \(large\) must be an IPv4 prefix"),
    "a network with a number too large": (
        "param addressPrefix = '10.0.256.0/16'",
        r"addressPrefix \(10.0.256.0/16\) must be an IPv4 prefix",
    ),
    "a network that begins elsewhere": (
        "param addressPrefix = '10.0.1.0/16'",
        r"addressPrefix \(10.0.1.0/16\) must be an IPv4 prefix",
    ),
    "a subnet that is no prefix": (
        with_subnets(servers="10.0.10.0/33"),
        r"subnets.servers \(10.0.10.0/33\) must be an IPv4 prefix",
    ),
    "a client subnet smaller than its pools": (
        with_subnets(clients="10.0.20.0/28") + "\nparam clientPools = [{ name: 'big', min: 0, max: 40 }]",
        "subnets.clients .* is too small for the max of all clientPools",
    ),
    "max below min": (
        "param clientPools = [{ name: 'general', min: 5, max: 3 }]",
        r"clientPools: max \(3\) of pool general must be at least its min \(5\)",
    ),
    "two pools of one name": (
        "param clientPools = [{ name: 'a1', min: 0, max: 3 }, { name: 'a1', min: 0, max: 3 }]",
        "clientPools: the name a1 is given more than once",
    ),
    "no pool": ("param clientPools = []", "clientPools must name at least one pool"),
    "a pool without max": ("param clientPools = [{ name: 'general', min: 5 }]", "max"),
    "an unknown priority": ("param clientPools = [{ name: 'a1', min: 0, max: 1, priority: 'Cheap' }]", "Cheap|Regular"),
    "zones with an availability set": (
        "param placement = 'AvailabilitySet'\nparam zones = ['1']",
        "zones must not be given with placement AvailabilitySet",
    ),
    "two zones": ("param zones = ['1', '2']", "zones must be one zone or all three: of two, one would hold most"),
    "a zone given twice": ("param zones = ['1', '2', '2']", "zones must be one zone or all three"),
    "an Ultra disk without zones": (
        "param placement = 'AvailabilitySet'\nparam serverDisk = 'UltraSSD_LRS'",
        "serverDisk UltraSSD_LRS needs placement Zones",
    ),
    "an unknown Consul mode": ("param consul = { mode: 'Sometimes', mesh: false }", "mode|Sometimes"),
    "a mesh without Consul": ("param consul = { mode: 'Off', mesh: true }", "consul.mesh needs Consul"),
    "a resource group without its fellows": ("param resourceGroups = { network: 'rg-a', compute: 'rg-b' }", "storage"),
    "a jump box that nobody may reach": ("param access = 'JumpBox'", "operatorSources must name where people sit"),
    "operators from everywhere": ("param operatorSources = ['0.0.0.0/0']", "operatorSources must not be open"),
    "operators at no address": ("param operatorSources = ['203.0.113.999']", "operatorSources must not be open"),
    "servers of everywhere as peers": (
        "param federation = { networks: [], servers: ['0.0.0.0/0'], join: [], authoritativeRegion: 'west' }",
        r"federation.servers must not be open to everybody \(0.0.0.0/0\)",
    ),
    "operators by a tag": (
        "param operatorSources = ['Internet']",
        r"operatorSources must not be open to everybody \(Internet\)",
    ),
    "operators of half the world": ("param operatorSources = ['128.0.0.0/1']", "operatorSources must not be open"),
    "operators of every address of IPv6": ("param operatorSources = ['::/0']", "operatorSources must not be open"),
    "every port for workloads": (
        "param applicationPorts = ['*']",
        r"applicationPorts: \* is neither a port nor a range",
    ),
    "a copy beside the original": ("param copyLocation = 'westeurope'", "copyLocation .* must be another region"),
    "a pool named in capitals": (
        "param clientPools = [{ name: 'Big_Pool', min: 0, max: 1 }]",
        "clientPools: the name Big_Pool must be lower-case",
    ),
    "a price in words": (
        "param clientPools = [{ name: 'big', min: 0, max: 1, price: 'cheap' }]",
        "clientPools: price cheap of pool big must be a decimal number",
    ),
    "an open gateway": (
        "param applicationGateway = { hostName: 'a', sources: ['0.0.0.0/0'], certificateSecretId: 's', backendPort: 1 }",
        "applicationGateway.sources must not be open",
    ),
    "rehearsals beside other work": (
        "param clientPools = [{ name: 'drill', min: 0, max: 1, rehearsals: true, nodePool: 'default' }]",
        "clientPools: nodePool of pool drill must not be default",
    ),
    "other work beside rehearsals": (
        "param clientPools = [{ name: 'd1', min: 0, max: 1, rehearsals: true }, { name: 'b1', min: 0, max: 1, nodePool: 'rehearsals' }]",
        "clientPools: pool b1 shares the nodePool rehearsals with a pool of rehearsals",
    ),
    "federation with nobody to join or be joined by": (
        "param federation = { networks: [], servers: ['10.1.10.0/24'], authoritativeRegion: 'west' }",
        "join",
    ),
    "weekly snapshots that go before daily ones": (
        "param retentionDays = { hourly: 2, daily: 14, weekly: 7, monthly: 365, audit: 365 }",
        r"retentionDays: weekly \(7\) must be at least daily \(14\)",
    ),
    "a version that is none": (
        "param releases = { nomad: 'latest', consul: '1.21.4', vault: '1.20.3' }",
        r"releases.nomad \(latest\) must be an exact release such as 1.10.5",
    ),
    "a Nomad that is too old": (
        "param releases = { nomad: '1.5.17', consul: '1.21.4', vault: '1.20.3' }",
        r"releases.nomad \(1.5.17\) must be 1.6 or later",
    ),
    "a mirror without TLS": (
        mirrored("url: 'http://mirror'"),
        r"releases.mirror.url \(http://mirror\) must begin with https://",
    ),
    "a fingerprint in lower case": (
        mirrored(f"signer: {{ key: 'AA', fingerprint: '{'a' * 40}' }}"),
        "releases.mirror.signer.fingerprint must be 40 hexadecimal digits in upper case",
    ),
    "a signer without a fingerprint": (
        mirrored("signer: { key: 'AA' }"),
        "fingerprint",
    ),
    "a digest that is none": (
        mirrored("cni: { version: '1.7.1', amd64: 'no', arm64: 'no' }"),
        "releases.mirror.cni.amd64 must be a SHA-256",
    ),
    "a cluster name that is too long": ("param cluster = 'far-too-long'", "cluster|maximum"),
    "no SSH key": ("param stage = 'dev'", "sshPublicKey"),
}


@pytest.mark.parametrize("case", CASES)
def test_it_is_refused_by_name(case):
    parameters, expected = CASES[case]

    with pytest.raises(Refused, match=expected):
        predict_with(("" if case == "no SSH key" else KEY) + parameters)


CARELESS = (
    with_subnets(management="10.0.1.0/29")
    + """
param cluster = 'my-nomad'
param adminUsername = 'operator'
param nomad = { region: 'West Europe', datacenter: 'dc1' }
param consul = { mode: 'CoLocated', mesh: false, datacenter: 'dc.1' }
param operatorSources = ['1.2.3.4/000']
param applicationPorts = ['70000', '9100-9000', '9000-']
param clientPools = [
  { name: 'big-', min: 0, max: 1, price: '1.2.3' }
  { name: 'all', min: 0, max: 1, nodePool: 'all', price: '' }
  { name: 'odd', min: 0, max: 1, nodeClass: 'large ones', zones: ['1', '1'] }
]
param copyLocation = 'West Europe'
param federation = { networks: [], servers: ['10.0.10.0/24'], join: [], authoritativeRegion: 'west' }
param customerKeys = 'Software'
param backup = {
  servers: true
  recovery: { location: 'northeurope', resourceGroupId: 'g', networkId: 'n', subnetName: 's' }
}
"""
)


@pytest.fixture(scope="module")
def careless() -> str:
    with pytest.raises(Refused) as refused:
        predict_with(KEY + CARELESS)
    return str(refused.value)


@pytest.mark.parametrize(
    "sentence",
    [
        "cluster (my-nomad) must be letters and digits",
        "adminUsername (operator) must be lower-case letters",
        "nomad.region (West Europe) must be letters, digits, hyphens and underscores",
        "consul.datacenter (dc.1) must be letters",
        "nodeClass of odd (large ones) must be letters",
        "nodePool of pool all must not be all",
        "the name big- must be lower-case letters, digits and hyphens, with no hyphen at either end",
        "price 1.2.3 of pool big- must be a decimal number",
        "price  of pool all must be a decimal number",
        "zones of pool odd must differ",
        "operatorSources must not be open to everybody (1.2.3.4/000)",
        "applicationPorts: 70000 is neither a port nor a range",
        "applicationPorts: 9100-9000 is neither",
        "applicationPorts: 9000- is neither",
        "subnets.management (10.0.1.0/29) is too small: /28",
        "copyLocation (West Europe) must be another region",
        "federation.servers (10.0.10.0/24) must lie outside addressPrefix (10.0.0.0/16)",
        "backup.recovery.diskEncryptionSetId must be given with customerKeys",
    ],
)
def test_what_azure_would_refuse_hours_later_is_refused_now(sentence, careless):
    assert sentence in careless


def test_a_gateway_without_callers_or_port_and_a_group_without_name_do_not_compile():
    with pytest.raises(Refused) as refused:
        predict_with(
            KEY
            + """param applicationGateway = {
  hostName: 'a'
  sources: []
  certificateSecretId: 's'
  backendPort: 0
}
param resourceGroups = { network: 'a', compute: 'b', storage: 'c', security: 'd', monitoring: '' }"""
        )

    assert [f"({line}," in str(refused.value) for line in (5, 7, 9)] == [True, True, True]


def test_every_problem_is_told_at_once():
    with pytest.raises(Refused) as refused:
        predict_with(KEY + CASES["max below min"][0] + "\n" + CASES["zones with an availability set"][0])

    assert "clientPools: max" in str(refused.value)
    assert "zones must not be given" in str(refused.value)
