"""The stand-in over https with a lab CA, and the real SDK clients that trust it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from azure.identity import ManagedIdentityCredential
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.monitor import MonitorManagementClient
from azure.mgmt.network import NetworkManagementClient

from lab.azure.access import Access
from lab.azure.arm import Arm
from lab.azure.model.cloud import LAB_TENANT, Cloud
from lab.azure.model.pace import FixedBoot, Pace
from lab.azure.server import start
from lab.azure.tokens import Principal, Tenant
from lab.ca import Authority
from lab.clock import wall_clock

KEEPER = Principal("0a0a0a0a-0000-4000-8000-000000000001", "0b0b0b0b-0000-4000-8000-000000000001", "id-keeper")
NODE = Principal("0a0a0a0a-0000-4000-8000-000000000002", "0b0b0b0b-0000-4000-8000-000000000002", "id-node")
TENTH = timedelta(milliseconds=100)
QUICK = Pace(
    boot=FixedBoot(TENTH),
    allocate=TENTH,
    update=TENTH / 2,
    shut_down=TENTH / 2,
    delete=TENTH,
    restart=TENTH,
    reimage=TENTH,
    deallocate=TENTH,
    start=TENTH,
    run_command=TENTH,
    eviction_notice=TENTH,
    retry_after=None,
)


@dataclass
class Lab:
    """One running stand-in and the clients that a program would have."""

    cloud: Cloud
    arm: Arm
    tenant: Tenant
    server: object
    ca: str
    options: dict = field(default_factory=dict)

    def compute(self, credential, **options):
        return ComputeManagementClient(credential, self.cloud.subscription, **self.client_options(options))

    def network(self, credential, **options):
        return NetworkManagementClient(credential, self.cloud.subscription, **self.client_options(options))

    def monitor(self, credential, **options):
        return MonitorManagementClient(credential, self.cloud.subscription, **self.client_options(options))

    def client_options(self, options):
        return {
            "base_url": self.server.url,
            "connection_verify": self.ca,
            "credential_scopes": ["https://management.azure.com/.default"],
            "polling_interval": 0.05,
            "retry_backoff_factor": 0.01,
            **options,
        }


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())


@pytest.fixture(scope="session")
def leaf(authority):
    return authority.issue("arm", names=["localhost", "management.azure.com"], addresses=["127.0.0.1"])


@pytest.fixture
def lab(authority, leaf):
    cloud = Cloud(wall_clock, pace=QUICK)
    tenant = Tenant(LAB_TENANT, wall_clock)
    arm = Arm(cloud, access=Access(tenant))
    with start(arm, leaf, tenant, [KEEPER, NODE]) as server:
        yield Lab(cloud, arm, tenant, server, str(authority.certificate))


@pytest.fixture
def credential(lab, monkeypatch):
    for name, value in lab.server.identity_environment.items():
        monkeypatch.setenv(name, value)
    with ManagedIdentityCredential() as made:
        yield made


@pytest.fixture
def compute(lab, credential):
    with lab.compute(credential) as client:
        yield client
