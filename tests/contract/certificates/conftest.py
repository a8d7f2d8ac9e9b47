"""The tests of certificates find their helpers and the node program's own code."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
sys.path[:0] = [str(Path(__file__).parent), str(ROOT / "cloud-init" / "node"), str(ROOT / "tests" / "unit" / "node")]

import pytest  # noqa: E402 - after the path is known
from forming import make_room  # noqa: E402 - as above


@pytest.fixture
def room():
    return make_room()
