"""One lab for all: storage behind rule keepers, a vault; and a Nomad, real when there is a binary."""

import pytest

from lab.backups import BackupLab
from lab.nomad.processes import binary
from lab.nomad.sides import RealNomad, StandInNomad


@pytest.fixture(scope="module")
def lab():
    with BackupLab() as made:
        yield made


@pytest.fixture(scope="module")
def stand_in(lab):
    with StandInNomad(lab.authority) as side:
        yield side


@pytest.fixture(scope="module")
def real():
    found = binary()
    if found is None:
        pytest.skip("no Nomad binary: set NOMAD_BIN, or put nomad on PATH")
    with RealNomad(found) as side:
        yield side
