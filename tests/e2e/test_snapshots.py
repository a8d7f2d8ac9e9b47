"""The snapshot timer of the real function app: managed identity, Key Vault, storage and Nomad as in production."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
from azure.storage.blob import ContainerClient

from keeper.core import manifest_json
from keeper.core.snapshots import Manifest, Part, Product, Tier
from lab.deployment import Deployment
from lab.pools import LabPool
from lab.scenarios.backup_set import prepare
from lab.scenarios.day import QUICKLY

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]

PATIENT = {
    **QUICKLY,
    "AUTOSCALE_SCHEDULE": "0 0 0 1 1 *",
    "SNAPSHOT_SCHEDULE": "0 0 0 1 1 *",
    "SNAPSHOT_CLUSTER": "lab",
}
"""No timer comes while these tests look."""
SAVER_SECRET = "nomad-snapshot-token"


@pytest.fixture(scope="module")
def lab() -> Iterator[Deployment]:
    with Deployment([LabPool("general", 0, 1)], PATIENT, watch=False) as running:
        prepare(running)
        yield running


def blobs(lab: Deployment, container: str) -> ContainerClient:
    trust = str(lab.authority.certificate)
    return ContainerClient.from_connection_string(lab.storage.connection_string, container, connection_verify=trust)


def manifests(lab: Deployment) -> list[Manifest]:
    found = []
    for tier in Tier:
        with blobs(lab, tier.container) as client:
            names = [blob.name for blob in client.list_blobs() if blob.name.endswith(Part.MANIFEST)]
            found += [manifest_json.from_json(client.download_blob(name).readall()) for name in names]
    return found


def test_a_timer_that_fails_fails_for_azure_to_see_with_reason_and_runbook(lab: Deployment) -> None:
    lab.vault.set_secret(SAVER_SECRET, "00000000-0000-0000-0000-000000000000")
    try:
        result = lab.host.invoke("snapshot")
    finally:
        lab.vault.set_secret(SAVER_SECRET, lab.nomad.management_token)

    assert "right_missing" in str(result.error)
    assert "docs/runbooks/snapshot-right-missing.md" in str(result.error)


def test_the_timer_leaves_a_verified_sealed_snapshot_and_a_decision_record(lab: Deployment) -> None:
    result = lab.host.invoke("snapshot")

    assert result.ok, result.error

    (manifest,) = manifests(lab)
    assert manifest.name.product is Product.NOMAD
    assert manifest.key.key == f"{lab.vault.url}/keys/nomad-snapshots"
    with blobs(lab, "keeper") as records:
        day = f"decisions/snapshot/{datetime.now(UTC):%Y-%m-%d}.jsonl"
        record = json.loads(records.download_blob(day).readall().splitlines()[-1])
    assert record["taken"] == [manifest.name.stem]
    assert record["problems"] == []


def test_a_timer_that_comes_twice_takes_one(lab: Deployment) -> None:
    lab.host.invoke("snapshot")
    before = len(manifests(lab))
    lab.host.invoke("snapshot")

    assert len(manifests(lab)) == before
