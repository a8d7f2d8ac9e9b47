"""Settings: all problems at once, each by its name."""

import json

import pytest

from keeper.core.model import Mode, Priority
from keeper.errors import SettingsError
from keeper.settings import load

GENERAL = {"name": "general", "scaleSet": "vmss-general", "resourceGroup": "rg", "mode": "Flexible", "min": 1, "max": 5}
ZERO = "00000000-0000-0000-0000-000000000000"
GOOD = {
    "NOMAD_ADDRESS": "https://10.0.10.10:4646",
    "AZURE_SUBSCRIPTION_ID": ZERO,
    "AZURE_CLIENT_ID": ZERO,
    "KEY_VAULT_URL": "https://vault.example",
    "KEEPER_STORAGE__blobServiceUri": "https://blob.example",
    "KEEPER_STORAGE__queueServiceUri": "https://queue.example",
    "POOLS": json.dumps([GENERAL]),
}


def problems(**changes: object) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load({**GOOD, **{name: str(value) for name, value in changes.items()}})
    return list(caught.value.problems)


def test_good_settings_load_with_their_defaults() -> None:
    settings = load(GOOD)

    pool = settings.pools[0]
    assert (pool.name, pool.mode, pool.priority, pool.maximum) == ("general", Mode.FLEXIBLE, Priority.REGULAR, 5)
    assert settings.autoscale.unneeded_for.total_seconds() == 600
    assert settings.azure.arm == "https://management.azure.com"


def test_everything_missing_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        load({})

    named = {problem.split(":")[0] for problem in caught.value.problems}
    assert named == set(GOOD)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("NOMAD_ADDRESS", "http://10.0.10.10:4646", "https"),
        ("AZURE_CLIENT_ID", "me", "text like"),
        ("AUTOSCALE_MAX_DRAINING", "0", "a whole number at least 1"),
        ("AUTOSCALE_MAX_DRAINING", "two", "a whole number at least 1"),
        ("AUTOSCALE_UNNEEDED_SECONDS", "-1", "a number of seconds at least 0"),
        ("AUTOSCALE_UNNEEDED_SECONDS", "nan", "a number of seconds at least 0"),
        ("AUTOSCALE_UNNEEDED_SECONDS", "9" * 400, "less than a century"),
        ("AUTOSCALE_UNNEEDED_SECONDS", "3200000000", "less than a century"),
        ("HTTP_MAX_BODY_BYTES", "9999999", "at most 1.04858e+06"),
        ("HTTP_REQUIRE_APP_ROLES", "yes", "true or false"),
        ("AUTOSCALE_SCHEDULE", "every minute", "text like"),
        ("POOLS", "[]", "at least one pool"),
        ("POOLS", "{", "no JSON"),
        ("POOLS", "[3]", "POOLS[0]: expected an object, got 3"),
    ],
)
def test_a_bad_value_is_named_with_what_was_expected(name: str, value: str, said: str) -> None:
    (problem,) = problems(**{name: value})

    assert problem.startswith(name)
    assert said in problem


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"max": 0}, "POOLS[0].max: expected at least min (1), got 0"),
        ({"mode": "Fixed"}, 'POOLS[0].mode: expected Uniform or Flexible, got "Fixed"'),
        ({"min": True}, "POOLS[0].min: expected a whole number, got true"),
        ({"colour": "red"}, "POOLS[0].colour: expected one of"),
        ({"price": -1}, "POOLS[0].price: expected a number, got -1"),
        ({"headroom": {"gpu": 1}}, "POOLS[0].headroom: expected an object of cpu"),
        ({"zones": "1"}, "POOLS[0].zones: expected a list of texts"),
    ],
)
def test_a_bad_pool_key_is_named_with_its_place(change: dict[str, object], said: str) -> None:
    (problem,) = problems(POOLS=json.dumps([GENERAL | change]))

    assert said in problem


def test_two_pools_may_not_share_a_name_or_a_scale_set() -> None:
    assert problems(POOLS=json.dumps([GENERAL, GENERAL])) == [
        "POOLS: expected each name once, got 'general' twice",
        "POOLS: expected each scaleSet once, got 'vmss-general' twice",
    ]


def test_settings_that_contradict_each_other_are_named_together() -> None:
    found = problems(
        AUTOSCALE_SET_ASIDE_FIRST_SECONDS=100,
        AUTOSCALE_SET_ASIDE_MOST_SECONDS=10,
        LIMIT_INSTANCES=0,
        LIMIT_COST_PER_HOUR=10,
    )

    assert [problem.split(":")[0] for problem in found] == [
        "AUTOSCALE_SET_ASIDE_FIRST_SECONDS",
        "LIMIT_INSTANCES",
        "POOLS",
    ]


def test_machines_without_servers_are_no_cluster() -> None:
    (problem,) = problems(CLIENTS_VAULT_URL="https://clients.example")

    assert problem.startswith("SERVERS_VAULT_URL: expected a URL")


def test_who_reads_a_vault_reads_it_alone() -> None:
    servers = "https://servers.example"

    assert [problem.split(":")[0] for problem in problems(SERVERS_VAULT_URL=GOOD["KEY_VAULT_URL"] + "/")] == [
        "KEY_VAULT_URL",
        "SERVERS_VAULT_URL",
    ]
    assert problems(SERVERS_VAULT_URL=servers, CLIENTS_VAULT_URL="https://Servers.example/") == [
        "SERVERS_VAULT_URL: expected a vault of its own, got that of CLIENTS_VAULT_URL",
        "CLIENTS_VAULT_URL: expected a vault of its own, got that of SERVERS_VAULT_URL",
    ]


def test_the_keepers_token_is_never_written_where_the_management_token_is() -> None:
    found = problems(SERVERS_VAULT_URL="https://servers.example", RESTORE_NOMAD_TOKEN_SECRET="nomad-keeper-token")

    assert [problem.split(":")[0] for problem in found] == ["NOMAD_TOKEN_SECRET", "RESTORE_NOMAD_TOKEN_SECRET"]
    assert load({**GOOD, "RESTORE_NOMAD_TOKEN_SECRET": "nomad-keeper-token"}).certificates.servers_vault == ""


@pytest.mark.parametrize(
    "lives",
    [
        {"CERTIFICATE_LIFE_SECONDS": 86_400},
        {"CA_LIFE_SECONDS": 604_800, "CA_OVERLAP_SECONDS": 300_000},
    ],
)
def test_an_overlap_fits_into_the_lives_of_certificates_and_cas(lives: dict[str, int]) -> None:
    (problem,) = problems(SERVERS_VAULT_URL="https://servers.example", **lives)

    assert problem.startswith("CA_OVERLAP_SECONDS: expected less than")
