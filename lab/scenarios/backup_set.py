"""What the backup scenario is set up with: settings, storage, the wrapping key, jobs, and the drill."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from lab.deployment import SERVERS, Deployment
from lab.keyvault.key_store import make_key
from lab.nomad.drills import StandInDrills, register
from lab.nomad.sides import RealNomad
from lab.pools import LabPool

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from azure.storage.blob import BlobServiceClient

CLUSTER = "lab"
KEY = "nomad-snapshots"
GENERAL = LabPool("general", minimum=1, maximum=2)
CONTAINERS = ("snapshots-hourly", "snapshots-daily", "snapshots-weekly", "snapshots-monthly", "keystores", "rehearsals")
SETTINGS = {
    "AUTOSCALE_SCHEDULE": "*/3 * * * * *",
    "SNAPSHOT_CLUSTER": CLUSTER,
    "SNAPSHOT_KEY": KEY,
    "SNAPSHOT_SCHEDULE": "0 0 3 1 1 *",
    "REHEARSAL_SCHEDULE": "*/5 * * * * *",
}
"""Snapshots are asked for, so that the timeline is the same each time; the rehearsal timer keeps canaries and drills."""


def service(name: str, count: int) -> dict[str, Any]:
    """A service of `count` allocations that do nothing."""
    task = {
        "Name": "sleep",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sleep", "args": ["3600"]},
        "Resources": {"CPU": 100, "MemoryMB": 64},
        "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
    }
    group = {"Name": "work", "Count": count, "EphemeralDisk": {"SizeMB": 20}, "Tasks": [task]}
    return {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}


def parameterized(name: str) -> dict[str, Any]:
    """A job that is there and runs nothing."""
    return {**service(name, 1), "Type": "batch", "ParameterizedJob": {"Payload": "optional"}}


def keystore_config(lab: Deployment, server: str, folder: Path) -> dict[str, str]:
    """What `keeper-node keystore` is told on a server whose Nomad somebody else starts."""
    return {
        "cluster": CLUSTER,
        "server": server,
        "blob_url": lab.storage.blob_url,
        "key_url": f"{lab.vault.url}/keys/{KEY}",
        "directory": str(folder),
        "owner": "root",
        "unit": "",
        "identity_client_id": SERVERS.client_id,
        "ca_file": str(lab.authority.certificate),
    }


def storage(lab: Deployment) -> BlobServiceClient:
    """The storage account, as its owner."""
    from azure.storage.blob import BlobServiceClient  # noqa: PLC0415 -- only a running lab needs it

    trust = str(lab.authority.certificate)
    return BlobServiceClient.from_connection_string(lab.storage.connection_string, connection_verify=trust)


@contextmanager
def drills(lab: Deployment, consul: Path) -> Generator[None]:
    """The restore drill can be dispatched: as the shipped job on real clients, or run beside the model."""
    variables = {
        "consul": str(consul),
        "blob_url": lab.storage.blob_url,
        "identity": SERVERS.client_id,
        "ca_file": str(lab.authority.certificate),
    }
    identity = dict(lab.azure.identity_environment)
    if isinstance(lab.nomad, RealNomad):
        register(lab.nomad, lab.nomad.processes.nomad, variables, identity)
        yield
        return
    own = {
        "DRILL_CONSUL": variables["consul"],
        "DRILL_BLOB_URL": variables["blob_url"],
        "DRILL_IDENTITY_CLIENT_ID": variables["identity"],
        "DRILL_CA_FILE": variables["ca_file"],
    }
    with StandInDrills(lab.nomad, lab.directory, own | identity):
        yield


def prepare(lab: Deployment) -> None:
    """What the infrastructure makes: containers, the wrapping key, the tokens' secrets."""
    with storage(lab) as blobs:
        for name in CONTAINERS:
            blobs.create_container(name)
    lab.vault.vault.keys.shelf.add(KEY, make_key({"kty": "RSA"}), {})
    for name in ("nomad-snapshot-token", "nomad-management-token"):
        lab.vault.set_secret(name, lab.nomad.management_token)
