"""The Azure adapters as production has them: over https, with a managed identity; only endpoints and a CA bundle differ."""

import threading
from datetime import timedelta

import pytest

from keeper.azure.identity import managed_identity
from keeper.azure.scale_sets import ScaleSetsArm
from keeper.clock import SystemClock
from keeper.core.model import InstanceState, Mode, Pool, PoolName
from keeper.errors import Forbidden, Unreachable
from keeper.ports import OperationStatus
from keeper.settings import AzureSettings
from lab.azure.access import Access, Grant
from lab.azure.arm import Arm
from lab.azure.model import words
from lab.azure.model.building import add_pool
from lab.azure.model.cloud import LAB_TENANT, Cloud
from lab.azure.model.pace import FixedBoot, Pace
from lab.azure.server import start
from lab.azure.tokens import Principal, Tenant
from lab.ca import Authority
from lab.clock import wall_clock

KEEPER = Principal("0a0a0a0a-0000-4000-8000-000000000001", "0b0b0b0b-0000-4000-8000-000000000001", "keeper")
TENTH = timedelta(milliseconds=100)
QUICK = Pace(boot=FixedBoot(TENTH), allocate=TENTH, update=TENTH, shut_down=TENTH, delete=TENTH)
ROLE = (
    "Microsoft.Compute/virtualMachineScaleSets/read",
    "Microsoft.Compute/virtualMachineScaleSets/write",
    "Microsoft.Compute/virtualMachineScaleSets/delete/action",
    "Microsoft.Compute/virtualMachineScaleSets/virtualMachines/read",
    "Microsoft.Compute/virtualMachines/read",
    "Microsoft.Compute/locations/operations/read",
)
"""What the keeper's role must allow, and no more."""


class Lab:
    """A cloud on the network, and the adapter that finds everything in its settings and environment."""

    def __init__(self, mode, leaf, patch):
        self.cloud = Cloud(wall_clock, pace=QUICK)
        add_pool(self.cloud, "general", mode=words.Mode(mode.value), capacity=1)
        tenant = Tenant(LAB_TENANT, wall_clock)
        self.arm = Arm(self.cloud, access=Access(tenant, {KEEPER.object_id: (Grant(ROLE),)}))
        self.server = start(self.arm, leaf, tenant, [KEEPER])
        for name, value in self.server.identity_environment.items():
            patch.setenv(name, value)
        self.pool = Pool(PoolName("general"), "general", "rg-lab", mode, 0, 9)
        self.adapter = self.adapter_of(KEEPER.client_id)

    def adapter_of(self, client_id):
        settings = AzureSettings(
            subscription=self.cloud.subscription,
            client_id=client_id,
            vault="https://v.vault.azure.net",
            blobs="https://a.blob.core.windows.net",
            queues="https://a.queue.core.windows.net",
            arm=self.server.url,
        )
        credential = managed_identity(settings.client_id)
        return ScaleSetsArm(settings, [self.pool], credential=credential, clock=SystemClock())

    def soon(self, seen, wanted):
        """What is seen, once it is as wanted; or as it is after some seconds."""
        for _ in range(100):
            if (now := seen()) == wanted:
                return now
            threading.Event().wait(0.05)
        return seen()


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())


@pytest.fixture(params=Mode)
def lab(request, authority, monkeypatch):
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(authority.certificate))
    made = Lab(request.param, authority.issue("arm", addresses=["127.0.0.1"]), monkeypatch)
    yield made
    made.server.stop()


def test_a_pool_grows_and_shrinks(lab):
    current = lab.adapter.scale_sets()[lab.pool.name]
    operation = lab.adapter.grow(lab.pool, current, 3)
    lab.soon(lambda: lab.adapter.outcome(lab.pool, operation).status, OperationStatus.SUCCEEDED)

    grown = lab.adapter.instances(lab.pool)
    assert [instance.state for instance in grown] == [InstanceState.RUNNING] * 3

    lab.adapter.delete(lab.pool, [grown[0].id, grown[2].id])

    assert lab.soon(lambda: lab.adapter.instances(lab.pool), grown[1:2]) == grown[1:2]
    assert lab.adapter.scale_sets()[lab.pool.name].capacity == 1


def test_the_role_of_the_infrastructure_is_all_that_it_needs(lab):
    lab.adapter.grow(lab.pool, lab.adapter.scale_sets()[lab.pool.name], 2)
    lab.adapter.instances(lab.pool)

    assert not lab.arm.journal.matching(status=403)


def test_an_endpoint_without_the_right_certificate_gets_no_token(lab, tmp_path, monkeypatch):
    stranger = Authority.create(tmp_path, wall_clock())
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(stranger.certificate))

    with pytest.raises(Unreachable, match="CERTIFICATE_VERIFY_FAILED"):
        lab.adapter.scale_sets()
    assert not list(lab.arm.journal)


def test_an_identity_that_does_not_exist_is_a_fault_that_a_person_must_mend(lab):
    with pytest.raises(Forbidden, match="no token for the keeper's identity to list the scale sets"):
        lab.adapter_of("99999999-0000-4000-8000-000000000009").scale_sets()


def test_an_endpoint_that_is_not_there_is_unreachable(lab):
    lab.adapter.scale_sets()
    lab.server.stop()

    with pytest.raises(Unreachable):
        lab.adapter.scale_sets()
