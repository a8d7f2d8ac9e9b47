"""The real function app before empty vaults and no cluster at all: certificates, then servers, then access control, then autoscale."""

import socket
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from keeper.core.certificates import Audience
from lab.azure.access import Grant
from lab.certificates import AUTHORITY, CA_KEY, PUBLISHER
from lab.clock import wall_clock
from lab.deployment import KEEPER, ROOT, Deployment
from lab.keyvault.key_store import make_key
from lab.keyvault.server import VaultServer, start
from lab.nomad.http.tls import TlsFiles
from lab.nomad.server import NomadLab
from lab.pools import LabPool
from lab.scenarios.day import QUICKLY

sys.path.insert(0, str(ROOT / "cloud-init" / "node"))

from keepernode.tls import split_pem

pytestmark = [pytest.mark.e2e, pytest.mark.xdist_group("lab")]

NAMES = {Audience.KEEPER: "KEY_VAULT_URL", Audience.SERVERS: "SERVERS_VAULT_URL", Audience.CLIENTS: "CLIENTS_VAULT_URL"}
PATIENCE = 60


class Beginning(Deployment):
    """A deployment as the template leaves it: vaults with nothing in them but the CA key, and the keeper's rights."""

    def __init__(self) -> None:
        quickly = {**QUICKLY, "CERTIFICATES_SCHEDULE": "*/2 * * * * *", "AUTOSCALE_SCHEDULE": "*/2 * * * * *"}
        super().__init__([LabPool("general", 1, 4)], quickly, watch=False, real=False)
        self.vaults: dict[Audience, VaultServer] = {}
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.nomad_port = free.getsockname()[1]

    def settings(self) -> dict[str, str]:
        leaf = self.authority.issue("vaults", names=["localhost"], addresses=["127.0.0.1"])
        for audience in NAMES:
            server = self._stack.enter_context(start(self.tenant, leaf, wall_clock))
            rights = AUTHORITY if audience is Audience.KEEPER else PUBLISHER
            server.vault.grants = {KEEPER.object_id: (Grant(rights),)}
            self.vaults[audience] = server
        key = {"kty": "EC", "crv": "P-384", "key_ops": ["sign", "verify"]}
        self.vaults[Audience.KEEPER].vault.keys.shelf.add(CA_KEY, make_key(key), key)
        urls = {name: self.vaults[audience].url for audience, name in NAMES.items()}
        return {**super().settings(), **urls, "NOMAD_ADDRESS": f"https://127.0.0.1:{self.nomad_port}"}

    def value(self, audience: Audience, name: str) -> str | None:
        shelf = self.vaults[audience].vault.secrets.shelf
        return shelf.get(name).content.value if shelf.has(name) else None


@pytest.fixture(scope="module")
def lab() -> Iterator[Beginning]:
    with Beginning() as running:
        yield running


def until[T](found: Callable[[], T | None]) -> T:
    deadline = time.monotonic() + PATIENCE
    while (result := found()) is None:
        assert time.monotonic() < deadline, f"not within {PATIENCE} s"
        time.sleep(0.2)
    return result


@pytest.fixture(scope="module")
def formed(lab: Beginning, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NomadLab]:
    """Servers that waited for their certificate, and serve with it."""
    folder = tmp_path_factory.mktemp("tls")
    until(lambda: "waits for nomad to answer" in lab.api("GET", "decisions?controller=certificates").text or None)
    pem = until(lambda: lab.value(Audience.SERVERS, "nomad-agent-tls"))
    trio = split_pem(pem, until(lambda: lab.value(Audience.SERVERS, "nomad-ca-bundle")))
    for name, text in (("ca.pem", trio.bundle), ("cert.pem", trio.leaf), ("key.pem", trio.key)):
        (folder / name).write_text(text)
    tls = TlsFiles(folder / "cert.pem", folder / "key.pem", folder / "ca.pem")
    nomad = NomadLab(tls=tls, management_token="", port=lab.nomad_port)
    nomad.start()
    yield nomad
    nomad.stop()


def test_from_nothing_to_a_keeper_that_sees_its_cluster(lab: Beginning, formed: NomadLab) -> None:
    until(lambda: lab.value(Audience.SERVERS, "nomad-watcher-token"))
    status = until(lambda: (found := lab.api("GET", "status").json())["observed"] and found)

    assert status["last"]["saw"]["nodes"] == {}
    assert {token["Name"] for token in formed.region.store.rows("acl_token")} >= {"keeper", "keeper-watcher"}


def test_decisions_tell_how_it_came_about(lab: Beginning, formed: NomadLab) -> None:
    def sentences() -> str:
        told = lab.api("GET", "decisions?controller=certificates&most=100").json()
        return " ".join(str(each["sentence"]) for each in told["decisions"])

    # A tick tells at its end what it did; its writes are seen before.
    until(lambda: "bootstrap nomad" in sentences() or None)

    assert "issue servers/nomad-agent-tls" in sentences()
    assert "waits for nomad to answer" in sentences()


def test_no_key_and_no_secret_is_in_a_log_or_in_the_storage_account(lab: Beginning, formed: NomadLab) -> None:
    until(lambda: lab.value(Audience.SERVERS, "nomad-watcher-token"))
    bundle = str(lab.value(Audience.KEEPER, "nomad-ca-bundle"))
    secrets = {
        line.encode()
        for audience, server in lab.vaults.items()
        for each in server.vault.secrets.shelf.newest()
        for line in str(lab.value(audience, each.name)).splitlines()
        if "-----" not in line and line not in bundle
    }
    written = [line.message.encode() for line in lab.host.logs()]
    written += [path.read_bytes() for path in lab.storage.location.rglob("*") if path.is_file()]

    assert len(secrets) > 10
    assert [secret for secret in secrets for text in written if secret in text] == []
    assert [text for text in written if b"PRIVATE KEY" in text] == []
