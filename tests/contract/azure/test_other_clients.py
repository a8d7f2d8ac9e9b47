"""Plain ARM clients against the stand-in: what is no SDK sends other versions, other methods, and bodies that do not fit."""

from __future__ import annotations

import pytest
import requests

from lab.azure.model.building import add_pool
from lab.azure.model.words import Mode

VERSION = "2024-07-01"
COMPUTE = "/resourceGroups/rg-lab/providers/Microsoft.Compute"
POOL = f"{COMPUTE}/virtualMachineScaleSets/general"


class Plain:
    """A client that knows paths and a token, and nothing else."""

    def __init__(self, lab, token):
        self.base, self.token = f"{lab.server.url}/subscriptions/{lab.cloud.subscription}", token
        self.session = requests.Session()
        self.session.trust_env, self.session.verify = False, lab.ca

    def __call__(self, method, path, *, body=None, version=VERSION, **headers):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.session.request(
            method,
            path if path.startswith("https:") else self.base + path,
            params=None if path.startswith("https:") else {"api-version": version} if version else None,
            json=body,
            headers={"Authorization": f"Bearer {self.token}", **named},
            timeout=10,
        )


@pytest.fixture
def arm(lab, credential):
    add_pool(lab.cloud, "general", mode=Mode.UNIFORM, capacity=3)
    client = Plain(lab, credential.get_token("https://management.azure.com/.default").token)
    with client.session:
        yield client


def refusal(answer):
    return answer.status_code, answer.json()["error"]["code"]


@pytest.mark.parametrize("version", ["2019-12-01", "2024-11-01", "2023-03-01-preview"])
def test_any_version_of_the_api_that_is_a_date_is_served(arm, version):
    assert arm("GET", POOL, version=version).json()["sku"]["capacity"] == 3


@pytest.mark.parametrize(("version", "code"), [("", "MissingApiVersionParameter"), ("x", "InvalidApiVersionParameter")])
def test_no_version_and_what_is_no_version_are_refused(arm, version, code):
    assert refusal(arm("GET", POOL, version=version)) == (400, code)


def test_the_subscription_and_its_groups_can_be_looked_at(arm, lab):
    assert arm("GET", "").json()["subscriptionId"] == lab.cloud.subscription
    assert [group["name"] for group in arm("GET", "/resourceGroups").json()["value"]] == ["rg-lab"]
    assert arm("HEAD", "/resourceGroups/rg-lab").status_code == 204
    assert refusal(arm("GET", "/resourceGroups/rg-none")) == (404, "ResourceGroupNotFound")


def test_a_subscription_that_is_no_guid_is_told_apart_from_one_that_is_not_there(arm):
    here = arm.base.rpartition("/")[0]
    arm.base = f"{here}/99999999-0000-4000-8000-000000000000"
    assert refusal(arm("GET", POOL)) == (404, "SubscriptionNotFound")
    arm.base = f"{here}/mine"
    assert refusal(arm("GET", POOL)) == (400, "InvalidSubscriptionId")


@pytest.mark.parametrize(
    "body",
    [
        {"tags": ["x"]},
        {"tags": {"a": 1}},
        {"sku": "big"},
        {"sku": {"name": 4}},
        {"zones": "1"},
        {"properties": []},
        {"properties": {"virtualMachineProfile": "x"}},
    ],
)
def test_a_body_of_another_shape_is_refused_and_changes_nothing(arm, body):
    before = arm("GET", POOL).json()
    assert refusal(arm("PATCH", POOL, body=body)) == (400, "InvalidRequestContent")
    assert arm("GET", POOL).json() == before


def test_unknown_properties_are_no_obstacle(arm):
    answer = arm("PATCH", POOL, body={"tags": {"x": "y"}, "properties": {"nonsense": 1}})
    assert (answer.status_code, answer.json()["tags"]) == (200, {"x": "y"})


def test_the_same_scale_set_put_again_keeps_its_machines(arm, lab):
    names = {vm.name for vm in next(iter(lab.cloud.scale_sets.values()))}
    shown = arm("GET", POOL).json()
    assert arm("PUT", POOL, body=shown).status_code == 200
    assert {vm.name for vm in next(iter(lab.cloud.scale_sets.values()))} == names


def test_what_is_there_is_not_made_and_what_is_not_there_is_not_matched(arm):
    shown = arm("GET", POOL).json()
    assert refusal(arm("PUT", POOL, body=shown, If_None_Match="*")) == (412, "PreconditionFailed")
    other = f"{COMPUTE}/virtualMachineScaleSets/other"
    assert refusal(arm("PUT", other, body=shown, If_Match='"1"')) == (412, "PreconditionFailed")
    assert arm("GET", other).status_code == 404


def test_pages_are_followed_to_the_end(arm):
    seen, link = [], f"{arm.base}{POOL}/virtualMachines?api-version={VERSION}&$top=2"
    while link:
        page = arm("GET", link).json()
        seen += [vm["instanceId"] for vm in page["value"]]
        link = page.get("nextLink")
    assert sorted(seen) == ["0", "1", "2"]


def test_tags_of_a_flexible_machine_can_be_changed(arm, lab):
    pool = add_pool(lab.cloud, "flex", mode=Mode.FLEXIBLE, capacity=1)
    machine = f"{COMPUTE}/virtualMachines/{next(iter(pool)).name}"
    assert arm("PATCH", machine, body={"tags": {"a": "b"}}).status_code == 200
    assert arm("GET", machine).json()["tags"] == {"a": "b"}
