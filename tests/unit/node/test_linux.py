"""The real hands, on a temporary folder and on loopback: files, links, commands, TLS, downloads, tokens."""

import getpass
import hashlib
import json
import os
import ssl
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from keepernode.clock import utc_now
from keepernode.identity import KEY_VAULT, Identity, IdentityEndpoint
from keepernode.linux import LinuxMachine
from keepernode.machine import File
from keepernode.problems import Misconfigured, NodeError, Unreachable
from keepernode.wire import Line, Trust
from node_standins import FakeIdentity, Loopback, Reply

from lab.ca import Authority

ME = getpass.getuser()


@pytest.fixture
def machine():
    return LinuxMachine(Identity(IdentityEndpoint(), utc_now))


class Site(Loopback):
    """A web site of a few paths."""

    def __init__(self, tls=None):
        away = Reply(302, b"", {"Location": "http://127.0.0.1/"})
        self.pages = {"/file": Reply(200, b"x" * 3_000_000), "/json": Reply(200, b"{}"), "/away": away}
        super().__init__(tls)

    def answer(self, _method, path, _query, _headers, _body):
        return self.pages.get(path, Reply(404))


@pytest.fixture
def secure(tmp_path):
    """A site over TLS for `localhost` and `server.global.nomad`, and the CA that vouches for it."""
    made = Authority.create(tmp_path / "ca", utc_now())
    leaf = made.issue("leaf", names=["localhost", "server.global.nomad"])
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(leaf.certificate, leaf.key)
    site = Site(context)
    yield SimpleNamespace(url=f"https://localhost:{site.port}", port=site.port, ca=str(made.certificate), leaf=leaf)
    site.close()


def test_a_file_is_written_once_with_its_mode_and_owner_and_mended_when_either_differs(machine, tmp_path):
    file = File(str(tmp_path / "a" / "b"), "text\n", 0o600, ME)

    assert machine.ensure(file)
    assert not machine.ensure(file)
    os.chmod(file.path, 0o644)  # noqa: PTH101 - a mistake, made on purpose
    assert machine.ensure(file)
    assert (machine.read(file.path), os.stat(file.path).st_mode & 0o777) == (b"text\n", 0o600)  # noqa: PTH116 - as above
    assert machine.names_in(str(tmp_path / "a")) == ["b"]


def test_a_reader_never_sees_half_a_file(machine, tmp_path):
    path, seen, over = str(tmp_path / "f"), set(), threading.Event()
    texts = ["a" * 200_000, "b" * 300_000]
    machine.ensure(File(path, texts[0], 0o644, ME))

    def read():
        while not over.is_set():
            seen.add(machine.read(path))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 40):
            machine.ensure(File(path, texts[number % 2], 0o644, ME))
    finally:
        over.set()
        reader.join()

    assert seen <= {text.encode() for text in texts}


def test_a_link_is_replaced_without_a_moment_in_which_it_is_missing(machine, tmp_path):
    link, missed, over = str(tmp_path / "current"), [], threading.Event()
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    machine.ensure_link(link, str(tmp_path / "one"))

    def look():
        while not over.is_set():
            if machine.real_path(link) is None:
                missed.append(1)

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        for number in range(200):
            machine.ensure_link(link, str(tmp_path / ("one", "two")[number % 2]))
    finally:
        over.set()
        watcher.join()

    assert missed == []
    assert not machine.ensure_link(link, str(tmp_path / "two"))


def test_an_unknown_owner_is_named_and_nothing_is_left_behind(machine, tmp_path):
    with pytest.raises(NodeError, match="no user and group nobody-knows-me"):
        machine.ensure(File(str(tmp_path / "f"), "x", 0o600, "nobody-knows-me"))

    assert machine.names_in(str(tmp_path)) == []


def test_removing_takes_files_links_and_folders_and_says_whether_there_was_one(machine, tmp_path):
    folder = tmp_path / "folder"
    (folder / "in").mkdir(parents=True)
    link = tmp_path / "link"
    link.symlink_to(folder)

    assert machine.remove(str(link))
    assert folder.is_dir()
    assert machine.remove(str(folder))
    assert not machine.remove(str(folder))


def test_a_command_that_is_missing_or_slow_is_an_ending_and_no_crash(machine):
    assert machine.run(["no-such-program"]).code == 127
    assert machine.run(["sleep", "5"], timeout=0.05).code == 124
    assert machine.run(["sh", "-c", "echo one; echo two >&2; exit 3"]).last_words() == "two"


def test_a_server_is_believed_by_the_name_it_must_have_and_the_authority_it_must_be_of(machine, secure):
    trusted = Trust(secure.ca, "server.global.nomad")

    assert machine.ask("GET", f"https://127.0.0.1:{secure.port}/json", trust=trusted).status == 200
    served = machine.served_certificate("127.0.0.1", secure.port, trusted)
    assert served == ssl.PEM_cert_to_DER_cert(secure.leaf.certificate.read_text())
    for wrong in (Trust(secure.ca, "client.global.nomad"), Trust(secure.ca), Trust()):
        with pytest.raises(Unreachable):
            machine.ask("GET", f"https://127.0.0.1:{secure.port}/json", trust=wrong)
        with pytest.raises(Unreachable, match="no TLS handshake"):
            machine.served_certificate("127.0.0.1", secure.port, wrong)


def test_a_ca_file_that_is_missing_or_empty_is_named(tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for name in ("none.pem", "empty.pem"):
        with pytest.raises(Misconfigured, match=name):
            Trust(str(tmp_path / name)).context()


def test_a_download_is_streamed_to_disk_and_hashed(machine, secure, tmp_path, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", secure.ca)

    digest = machine.download(f"{secure.url}/file", str(tmp_path / "file"))

    assert digest == hashlib.sha256(b"x" * 3_000_000).hexdigest()
    assert (tmp_path / "file").stat().st_size == 3_000_000


@pytest.mark.parametrize("path", ["/none", "/away"])
def test_a_download_that_is_not_there_or_leaves_https_says_what_to_check(machine, secure, tmp_path, monkeypatch, path):
    monkeypatch.setenv("SSL_CERT_FILE", secure.ca)

    with pytest.raises(Unreachable, match=r"check the route out|led away"):
        machine.download(f"{secure.url}{path}", str(tmp_path / "file"))


def test_a_kept_connection_that_was_closed_meanwhile_is_opened_again():
    site = Site()
    line = Line(site.url)
    assert line.ask("GET", "/json").status == 200
    line._open.sock.shutdown(2)

    assert line.ask("GET", "/json").status == 200

    line.close()
    site.close()
    with pytest.raises(Unreachable, match=r"GET http://127\.0\.0\.1.* /json got no answer"):
        line.ask("GET", "/json")


def test_a_token_is_asked_for_once_and_again_shortly_before_it_ends():
    endpoint = FakeIdentity(header=None)
    identity = Identity(IdentityEndpoint(f"{endpoint.url}/metadata/identity/oauth2/token", client_id="me"), utc_now)

    assert identity.bearer(KEY_VAULT) == identity.bearer(KEY_VAULT) == "Bearer token-for-https://vault.azure.net"
    assert len(endpoint.asked) == 1
    path, query = endpoint.asked[0]
    assert (path, query["client_id"], query["api-version"]) == (
        "/metadata/identity/oauth2/token",
        ["me"],
        ["2018-02-01"],
    )

    endpoint.lifetime = 200
    identity.forget(KEY_VAULT)
    identity.bearer(KEY_VAULT)
    identity.bearer(KEY_VAULT)
    assert len(endpoint.asked) == 3
    assert "token-for" not in repr(identity)
    endpoint.close()
    assert identity.bearer(KEY_VAULT).startswith("Bearer ")  # the old one still holds for 200 s


def test_half_of_the_app_service_settings_is_a_mistake_that_is_named():
    with pytest.raises(Misconfigured, match="set both, or neither on a VM"):
        IdentityEndpoint.from_environment({"IDENTITY_ENDPOINT": "http://x"}, None)


def test_what_the_recordings_of_azure_give_as_a_token_is_read(tmp_path):
    for name in ("imds_token_spec.json", "app_service_token.json"):
        folder = Path(__file__).parents[2] / "recordings" / "azure" / "identity"
        body = json.loads((folder / name).read_text())["exchanges"][0]["response"]["body"]
        site = Site()
        site.pages = {"/token": Reply(200, json.dumps(body).encode())}
        try:
            assert (
                Identity(IdentityEndpoint(f"{site.url}/token"), utc_now).bearer("r") == f"Bearer {body['access_token']}"
            )
        finally:
            site.close()
