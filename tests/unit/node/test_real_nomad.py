"""What a real Nomad says of the configuration that this program writes; skipped, and said so, where there is none."""

import base64
import contextlib
import json
import re
import socket
import ssl
import subprocess
import urllib.request
from datetime import timedelta
from itertools import count

import pytest
from keepernode.clock import pause, ticking, utc_now
from keepernode.here import Here
from keepernode.nomad_config import gossip_file, nomad_files, wanted_tokens
from keepernode.reading import parse_user_data
from node_paper import user_data

from lab.ca import Authority
from lab.nomad.processes import binary

NOMAD = binary()
pytestmark = [
    pytest.mark.nomad,
    pytest.mark.skipif(NOMAD is None, reason="no Nomad binary on PATH or in NOMAD_BIN"),
]
SEAL = {"vaultName": "kv", "keyName": "seal", "tenantId": "t"}
SHARE = {"host": "account.file.core.windows.net", "path": "/account/files"}
WITHIN = timedelta(seconds=40)
numbers = count(1)


@pytest.fixture(scope="module")
def version():
    said = subprocess.run([NOMAD, "version"], capture_output=True, text=True, check=True).stdout
    return re.findall(r"v(\d+\.\d+\.\d+)", said)[0]


def laid_down(folder, told, here, places):
    """Write the configuration below `folder`, with what would lie on a machine of its own moved there."""
    files = [
        *nomad_files(told, here),
        *(file(told, "6f1d0a3e-97c4-4d1b-8a52-3c0b7f6e9d21") for _, file in wanted_tokens(told)),
    ]
    if told.role.value == "server":
        files.append(gossip_file(base64.b64encode(b"g" * 32).decode()))
    config = folder / "nomad.d"
    config.mkdir(parents=True)
    for file in files:
        text = file.text
        for there, here_now in places.items():
            text = text.replace(there, str(here_now))
        (config / file.path.rpartition("/")[2]).write_text(text)
    return config


@pytest.mark.parametrize("role", ["server", "client"])
def test_everything_that_can_be_switched_on_is_understood(tmp_path, version, role):
    told = parse_user_data(
        user_data(
            role,
            nomadVersion=version,
            region="us",
            consul="colocated",
            vaultSeal=SEAL,
            keyringKey=SEAL,
            filesShare=SHARE,
            authoritativeRegion="eu",
            federatedServers=["10.50.10.4"],
        )
    )
    config = laid_down(tmp_path, told, Here("machine-0", "10.0.10.4", "1", "Spot", "vmss"), {"/data/": f"{tmp_path}/"})

    done = subprocess.run([NOMAD, "config", "validate", config], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "valid" in done.stdout


class Server:
    """A region of one real server on a loopback address of its own."""

    def __init__(self, folder, region, address, version, *, authorities, own, join=()):
        self.region, self.address = region, address
        ports = {"nomadHttp": 24646, "nomadRpc": 24647, "nomadSerf": 24648}
        told = parse_user_data(
            user_data(
                region=region,
                nomadVersion=version,
                servers=[{"name": "server-1", "address": address}],
                authoritativeRegion="eu",
                federatedServers=list(join),
                ports=ports,
            )
        )
        leaf = own.issue(f"leaf-{next(numbers)}", names=[f"server.{region}.nomad", "localhost"])
        tls = folder / "tls"
        tls.mkdir(parents=True)
        (tls / "cert.pem").write_text(leaf.certificate.read_text())
        (tls / "key.pem").write_text(leaf.key.read_text())
        self.bundle = tls / "ca.pem"
        self.bundle.write_text("".join(each.certificate.read_text() for each in authorities))
        places = {"/var/lib/keeper/tls/nomad/current": tls, "/data/": f"{folder}/", "0.0.0.0": address}  # noqa: S104 - what the program writes, to be replaced
        config = laid_down(folder, told, Here("server-1", address), places)
        self.log = folder / "log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [NOMAD, "agent", f"-config={config}"], stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )

    def get(self, path):
        context = ssl.create_default_context(cafile=self.bundle)
        context.check_hostname = False  # the address is this test's own; the bundle says whom to believe
        with urllib.request.urlopen(f"https://{self.address}:24646{path}", timeout=5, context=context) as answer:
            return json.load(answer)

    def close(self):
        self.process.kill()
        self.process.wait()


def until(true, log):
    end = ticking() + WITHIN.total_seconds()
    while True:
        with contextlib.suppress(OSError):
            if true():
                return
        assert ticking() < end, log.read_text()[-2000:]
        pause(0.3)


@pytest.fixture
def regions(tmp_path, version):
    """Two regions, each with an authority of its own; `us` joins `eu`, which is there first."""
    second = next(n for n in range(100, 200) if is_free(f"127.{n}.1.1"))
    authorities = [Authority.create(tmp_path / f"ca-{n}", utc_now(), f"authority {n}") for n in range(2)]
    made = []
    try:
        for n, region in enumerate(("eu", "us")):
            address, join = f"127.{second}.{n + 1}.1", [f"127.{second}.1.1"] if n else []
            server = Server(
                tmp_path / region, region, address, version, authorities=authorities, own=authorities[n], join=join
            )
            made.append(server)
            until(lambda one=server: one.get("/v1/status/leader"), server.log)
        yield made
    finally:
        for server in made:
            server.close()


def is_free(address):
    with contextlib.suppress(OSError), socket.socket() as tried:
        tried.bind((address, 24646))
        return True
    return False


def test_two_regions_with_authorities_of_their_own_join_and_ask_each_other(regions):
    eu, us = regions

    until(lambda: us.get("/v1/regions") == ["eu", "us"], us.log)
    until(lambda: eu.get("/v1/regions") == ["eu", "us"], eu.log)
    until(lambda: us.get("/v1/status/leader?region=eu") == f"{eu.address}:24647", us.log)
    until(lambda: eu.get("/v1/status/leader?region=us") == f"{us.address}:24647", eu.log)
