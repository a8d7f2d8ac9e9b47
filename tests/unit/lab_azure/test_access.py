"""Tokens and roles: who is let in, who is not, and what they are told."""

import pytest

from lab.azure.access import Access, Grant
from lab.azure.arm import Arm
from lab.azure.model.building import add_pool
from lab.azure.model.cloud import LAB_TENANT
from lab.azure.tokens import Principal, Tenant
from lab.http import Request

KEEPER = Principal("0a0a0a0a-0000-4000-8000-000000000001", "0b0b0b0b-0000-4000-8000-000000000001")
MANAGEMENT = "https://management.azure.com"


@pytest.fixture
def tenant(world):
    return Tenant(LAB_TENANT, world.clock)


@pytest.fixture
def ask(world, tenant):
    """Ask for a scale set with a token and return status, error code and headers."""
    pool = add_pool(world.cloud, "general", capacity=1)
    arm = Arm(world.cloud, access=Access(tenant))

    def get(token, scheme="Bearer"):
        headers = {"authorization": f"{scheme} {token}"} if token else {}
        answer = arm.handle(Request("GET", f"{MANAGEMENT}{pool.key.id}?api-version=2024-07-01", headers))
        return answer.status, (answer.json().get("error") or {}).get("code"), answer.headers

    return get


def test_a_good_token_is_let_in(ask, tenant):
    assert ask(tenant.issue(KEEPER, MANAGEMENT)[0])[:2] == (200, None)


def test_without_a_token_the_caller_is_challenged(ask):
    status, code, headers = ask("")
    assert (status, code) == (401, "AuthenticationFailed")
    assert headers["WWW-Authenticate"].startswith(f'Bearer authorization_uri="https://login.windows.net/{LAB_TENANT}"')


@pytest.mark.parametrize("token", ["nonsense", "a.b.c", "eyJhbGciOiJub25lIn0.e30."])
def test_a_token_that_is_none_of_ours_is_refused(ask, token):
    assert ask(token)[:2] == (401, "InvalidAuthenticationToken")


def test_a_token_is_good_until_it_ends_and_not_a_second_longer(world, ask, tenant):
    token, expires = tenant.issue(KEEPER, MANAGEMENT)
    world.wait((expires - world.clock()).total_seconds() - 1)
    assert ask(token)[0] == 200
    world.wait(1)
    assert ask(token)[:2] == (401, "ExpiredAuthenticationToken")


def test_another_tenants_token_is_refused(world, ask):
    foreign = Tenant("12121212-3434-5656-7878-909090909090", world.clock)
    assert ask(foreign.issue(KEEPER, MANAGEMENT)[0])[:2] == (401, "InvalidAuthenticationToken")


@pytest.mark.parametrize(
    ("grant", "action", "path", "allowed"),
    [
        (Grant(("*",)), "Microsoft.Compute/virtualMachineScaleSets/write", "/subscriptions/s", True),
        (Grant(("*/read",)), "Microsoft.Compute/virtualMachineScaleSets/write", "/subscriptions/s", False),
        (Grant(("*/read",), "/subscriptions/s"), "microsoft.compute/x/read", "/SUBSCRIPTIONS/S/resourceGroups/g", True),
        (Grant(("*/read",), "/subscriptions/s"), "microsoft.compute/x/read", "/subscriptions/t", False),
    ],
)
def test_a_grant_allows_its_actions_at_its_scope_and_below(grant, action, path, allowed):
    assert grant.allows(action, path) is allowed


def test_a_call_without_api_version_is_told_what_is_missing(world):
    pool = add_pool(world.cloud, "general")
    answer = world.arm.handle(Request("GET", f"{MANAGEMENT}{pool.key.id}"))
    assert (answer.status, answer.json()["error"]["code"]) == (400, "MissingApiVersionParameter")


def test_another_subscription_is_not_found(world):
    path = "/subscriptions/00000000-0000-0000-0000-00000000dead/providers/Microsoft.Compute/virtualMachineScaleSets"
    answer = world.arm.handle(Request("GET", f"{MANAGEMENT}{path}?api-version=2024-07-01"))
    assert (answer.status, answer.json()["error"]["code"]) == (404, "SubscriptionNotFound")


@pytest.mark.parametrize("body", [b"{", b"[]", b'{"sku": {"capacity": -1}}', b'{"sku": {"capacity": "three"}}'])
def test_a_write_that_makes_no_sense_is_refused_and_changes_nothing(world, body):
    pool = add_pool(world.cloud, "general", capacity=1)
    url = f"{MANAGEMENT}{pool.key.id}?api-version=2024-07-01"
    assert world.arm.handle(Request("PATCH", url, {}, body)).status == 400
    assert (pool.capacity, pool.etag) == (1, 1)


def test_paths_are_compared_without_case_as_arm_does(world):
    pool = add_pool(world.cloud, "general")
    url = f"{MANAGEMENT}{pool.key.id.lower()}?api-version=2024-07-01"
    assert world.arm.handle(Request("GET", url)).json()["name"] == "general"
