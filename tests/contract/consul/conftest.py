"""A Consul for each test: the stand-in, or a real server where there is a binary."""

import pytest

from lab.ca import Authority
from lab.clock import wall_clock
from lab.consul.processes import ConsulProcess, binary
from lab.consul.server import ConsulLab

KINDS = ["stand-in", "real"]


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("consul-tls"), wall_clock())


@pytest.fixture(scope="session")
def begin(authority):
    """Starts a server of one kind or the other, to be used as a context manager."""

    def start(kind, **how):
        if kind == "stand-in":
            leads = {"leader": ""} if how.get("expected", 1) > 1 else {}
            return ConsulLab(authority, acls=how.get("acls", True), **leads)
        found = binary()
        if found is None:
            pytest.skip("no Consul binary: set CONSUL_BIN, or put consul on PATH")
        return ConsulProcess(found, **how)

    return start


@pytest.fixture(params=KINDS)
def either(request, begin):
    with begin(request.param) as side:
        yield side


def pytest_terminal_summary(terminalreporter):
    found = binary()
    what = (
        "no Consul binary (CONSUL_BIN or PATH): stand-in and recordings only" if found is None else "with a real Consul"
    )
    terminalreporter.write_line(f"consul: {what}")
