"""What the tests of certificates share: vaults in memory under the real controller, and the node program's own code to judge it."""

import sys
from pathlib import Path

import pytest

from lab.azure.tokens import Tenant
from lab.certificates import VaultRoom
from lab.clock import FakeClock, wall_clock

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "node"), str(TESTS.parents[1] / "cloud-init" / "node")]

TENANT = "0c0c0c0c-0000-4000-8000-000000000001"


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def room(clock):
    return VaultRoom(Tenant(TENANT, clock), clock)


@pytest.fixture
def present():
    """Vaults under the wall's clock, which openssl judges by."""
    return VaultRoom(Tenant(TENANT, wall_clock), wall_clock)
