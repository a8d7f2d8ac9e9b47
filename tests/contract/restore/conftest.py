"""A Nomad for each test: the stand-in, or real servers where there is a binary."""

import pytest

from lab.ca import Authority
from lab.clock import wall_clock
from lab.nomad.processes import binary
from lab.nomad.sides import RealNomad, StandInNomad
from tests.contract.restore.theatre import Theatre


@pytest.fixture
def theatre(tmp_path):
    with StandInNomad(Authority.create(tmp_path / "tls", wall_clock())) as side:
        yield Theatre(side)


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.nomad)])
def either(request, tmp_path):
    if request.param == "stand-in":
        with StandInNomad(Authority.create(tmp_path / "tls", wall_clock())) as side:
            yield Theatre(side)
        return
    found = binary()
    if found is None:
        pytest.skip("no Nomad binary: set NOMAD_BIN, or put nomad on PATH")
    with RealNomad(found) as side:
        yield Theatre(side)
