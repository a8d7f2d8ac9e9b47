"""Managed identity and instance metadata: recorded shapes, and azure-identity against them."""

from dataclasses import replace
from datetime import timedelta

import pytest
import requests
from azure.identity import DefaultAzureCredential, ManagedIdentityCredential

from lab.azure.model.building import add_pool
from lab.azure.model.removal import evict
from lab.azure.model.words import Mode, Priority
from tests.contract.azure.replay import load, shape

MANAGEMENT = "https://management.azure.com"


def documented(name):
    return load(f"identity/{name}")["exchanges"][0]["response"]["body"]


@pytest.fixture
def metadata(lab):
    with requests.Session() as session:
        session.headers["Metadata"] = "true"

        def get(path, **headers):
            return session.get(f"{lab.server.metadata_url}/metadata/{path}", headers=headers)

        yield get


def test_the_app_service_endpoint_answers_in_the_documented_shape(lab):
    environment = lab.server.identity_environment
    answer = requests.get(
        environment["IDENTITY_ENDPOINT"],
        params={"api-version": "2019-08-01", "resource": "https://vault.azure.net"},
        headers={"X-IDENTITY-HEADER": environment["IDENTITY_HEADER"]},
        timeout=5,
    )
    assert shape(documented("app_service_token.json"), answer.json(), "") == []
    claims = lab.tenant.check(answer.json()["access_token"], frozenset({"https://vault.azure.net"}))
    assert claims["iss"] == f"https://sts.windows.net/{lab.tenant.tenant_id}/"
    assert (claims["tid"], claims["oid"]) == (lab.tenant.tenant_id, "0b0b0b0b-0000-4000-8000-000000000001")


@pytest.mark.parametrize("header", ["", "wrong"])
def test_the_app_service_endpoint_refuses_a_caller_without_its_secret(lab, header):
    url = lab.server.identity_environment["IDENTITY_ENDPOINT"]
    query = {"api-version": "2019-08-01", "resource": MANAGEMENT}
    assert requests.get(url, params=query, headers={"X-IDENTITY-HEADER": header}, timeout=5).status_code == 401


def test_a_user_assigned_identity_is_chosen_by_its_client_id(lab, credential, monkeypatch):
    with ManagedIdentityCredential(client_id="0a0a0a0a-0000-4000-8000-000000000002") as node:
        token = node.get_token(f"{MANAGEMENT}/.default").token
    claims = lab.tenant.check(token, frozenset({MANAGEMENT}))
    assert claims["oid"] == "0b0b0b0b-0000-4000-8000-000000000002"


def test_the_default_credential_finds_the_identity_by_environment_alone(lab, credential):
    with DefaultAzureCredential() as default:
        assert lab.tenant.check(default.get_token(f"{MANAGEMENT}/.default").token, frozenset({MANAGEMENT}))


def test_imds_gives_tokens_in_the_documented_shape(lab, metadata):
    answer = metadata(f"identity/oauth2/token?api-version=2018-02-01&resource={MANAGEMENT}")
    assert shape(documented("imds_token_spec.json"), answer.json(), "") == []
    assert lab.tenant.check(answer.json()["access_token"], frozenset({MANAGEMENT}))


def test_a_machine_gets_its_token_from_imds_through_azure_identity(lab, monkeypatch):
    monkeypatch.setenv("AZURE_POD_IDENTITY_AUTHORITY_HOST", lab.server.metadata_url)
    with ManagedIdentityCredential() as made:
        assert lab.tenant.check(made.get_token(f"{MANAGEMENT}/.default").token, frozenset({MANAGEMENT}))


def test_imds_refuses_a_request_without_its_header(lab):
    url = f"{lab.server.metadata_url}/metadata/instance?api-version=2021-02-01"
    assert requests.get(url, timeout=5).status_code == 400


@pytest.mark.parametrize(
    ("path", "name"),
    [("identity/info", "imds_identity_info_spec.json"), ("versions", "imds_versions_spec.json")],
)
def test_imds_answers_its_small_questions_in_the_documented_shape(metadata, path, name):
    assert shape(documented(name), metadata(f"{path}?api-version=2023-07-01").json(), "") == []


def test_a_machine_reads_who_it_is(lab, metadata):
    pool = add_pool(lab.cloud, "general", mode=Mode.UNIFORM, capacity=2, tags={"role": "client", "pool": "general"})
    compute = metadata("instance?api-version=2023-07-01", **{"X-Lab-Instance": "general/1"}).json()["compute"]
    assert (compute["name"], compute["vmScaleSetName"], compute["zone"]) == ("general_1", "general", "2")
    assert compute["tags"] == "pool:general;role:client"
    assert compute["vmId"] == pool.instances["1"].vm_id
    pool_members_lack = {
        "extendedLocation",
        "hostGroup",
        "plan",
        "storageProfile",
        "securityProfile",
        "additionalCapabilities",
    }
    recorded = {
        k: v for k, v in documented("imds_instance_metadata_spec.json")["compute"].items() if k not in pool_members_lack
    }
    assert shape(recorded, compute, "") == []


def test_a_spot_machine_sees_its_eviction_announced(lab, metadata):
    lab.cloud.pace = replace(lab.cloud.pace, eviction_notice=timedelta(seconds=30))
    pool = add_pool(lab.cloud, "spot", priority=Priority.SPOT, capacity=1)
    (instance,) = pool
    here = {"X-Lab-Instance": f"spot/{instance.name}"}
    assert metadata("scheduledevents?api-version=2020-07-01", **here).json()["Events"] == []
    evict(lab.cloud, pool, instance)
    announced = metadata("scheduledevents?api-version=2020-07-01", **here).json()
    assert shape(documented("imds_scheduled_events_preempt.json"), announced, "") == []
    assert announced["Events"][0]["Resources"] == [instance.name]
