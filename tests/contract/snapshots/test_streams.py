"""Nomad's answers to a snapshot, the bad ones too: what breaks off, ends early, bears no digest, or comes from a newer server."""

import base64
import hashlib
import json
import ssl
import threading
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from keeper.core.archive import ArchiveCheck, Limits
from keeper.core.snapshots import BadSnapshot, Reason
from keeper.errors import Gone, Permanent, Throttled
from keeper.nomad.session import NomadSession
from keeper.nomad.snapshots import SAVE, NomadSnapshots
from keeper.settings import NomadSettings
from lab.archives import archive_of
from lab.ca import Authority
from lab.clock import wall_clock

ARCHIVE = archive_of(b"state" * 100_000)
SAVER, KEEPER = "saver", "keeper"


class Server(BaseHTTPRequestHandler):
    """A leader whose behaviour a test sets."""

    protocol_version = "HTTP/1.1"
    version = "1.6.5"
    cut = len(ARCHIVE)
    how = "length"
    digest = True
    slow = 0.0
    management = True
    acls = True
    refusal = None

    def do_GET(self):
        path = self.path.partition("?")[0]
        token = self.headers["X-Nomad-Token"]
        if path == "/v1/operator/snapshot":
            self.archive()
            return
        if path.startswith("/v1/acl/") and not self.acls:
            self.answer(b"ACL support disabled", 400)
            return
        if path.startswith("/v1/acl/") and path != "/v1/acl/token/self" and not (self.management and token == SAVER):
            self.answer(b"Permission denied", 403)
            return
        if path in {"/v1/jobs", "/v1/nodes"} and token == SAVER and not self.management:
            self.answer(b"Permission denied", 403)
            return
        tags = {"build": self.version, "region": "global", "rpc_addr": "10.0.0.1", "port": "4647"}
        found = {
            "/v1/status/leader": "10.0.0.1:4647",
            "/v1/agent/members": {"Members": [{"Tags": {**tags, "build": "1.6.0", "port": "1"}}, {"Tags": tags}]},
            "/v1/acl/token/self": {"Type": "management" if self.management else "client"},
        }
        self.answer(json.dumps(found.get(path, [1, 2])).encode())

    def answer(self, body, status=200):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Nomad-Index", "77")
        self.end_headers()
        self.wfile.write(body)

    def archive(self):
        self.server.let_go.wait(self.slow)
        if self.refusal:
            self.answer(*self.refusal)
            return
        if self.how == "reset":
            self.close_connection = True
            return
        self.send_response(200)
        if self.digest:
            self.send_header("Digest", "sha-256=" + base64.b64encode(hashlib.sha256(ARCHIVE).digest()).decode())
        part = ARCHIVE[: self.cut]
        if self.how == "length":
            self.send_header("Content-Length", str(len(ARCHIVE)))
            self.end_headers()
            self.wfile.write(part)
        else:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self.wfile.write(f"{len(part):x}\r\n".encode() + part + b"\r\n")
            if self.how == "chunked, ended":
                self.wfile.write(b"0\r\n\r\n")
        if self.how == "stalls":
            self.server.let_go.wait(2)  # longer than the patience that these tests set
        self.close_connection = True

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority.create(tmp_path_factory.mktemp("tls"), wall_clock())
    made.issue("nomad", names=["server.global.nomad"], addresses=["127.0.0.1"])
    return made


@pytest.fixture
def server(authority):
    class Mine(Server):
        pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Mine)
    listening.daemon_threads = True
    listening.let_go = threading.Event()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    leaf = authority.issue("nomad", names=["server.global.nomad"], addresses=["127.0.0.1"])
    context.load_cert_chain(leaf.certificate, leaf.key)
    listening.socket = context.wrap_socket(listening.socket, server_side=True)
    listening.handle_error = lambda *_: None
    thread = threading.Thread(target=listening.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    Mine.url = f"https://127.0.0.1:{listening.server_address[1]}"
    yield Mine
    listening.let_go.set()
    listening.shutdown()
    thread.join()
    listening.server_close()


@pytest.fixture
def source(server, authority, monkeypatch):
    monkeypatch.setattr("keeper.nomad.snapshots.SILENCE", 1.0)
    settings = NomadSettings(address=server.url, timeout=timedelta(seconds=1))
    sessions = [
        NomadSession(settings, token=lambda word=word: word, ca=authority.certificate.read_text)
        for word in (KEEPER, SAVER)
    ]
    yield NomadSnapshots(*sessions, saver_secret="snapshot-secret")
    for session in sessions:
        if session._connection:
            session._connection._session.close()


def received(source):
    check = ArchiveCheck(Limits(1 << 30))
    with source.archive() as arriving:
        for piece in arriving.chunks:
            check.push(piece)
        return check.end(arriving.sha256)


@pytest.mark.parametrize("how", ["length", "chunked, ended"])
def test_a_whole_archive_arrives_however_it_is_sent(server, source, how):
    server.how = how

    assert received(source).archive_bytes == len(ARCHIVE)


@pytest.mark.parametrize("how", ["length", "chunked", "chunked, ended", "stalls"])
@pytest.mark.parametrize("cut", [0, 5, len(ARCHIVE) // 2, len(ARCHIVE) - 1])
def test_an_archive_that_ends_early_never_passes(server, source, how, cut):
    server.how, server.cut = how, cut

    with pytest.raises(BadSnapshot) as caught:
        received(source)
    assert caught.value.reason is Reason.CUT_SHORT


def test_a_leader_may_take_longer_to_pack_than_any_other_call_may_take(server, source, monkeypatch):
    monkeypatch.setattr("keeper.nomad.snapshots.SILENCE", 5.0)
    server.slow = 1.5

    assert received(source).archive_bytes == len(ARCHIVE)


@pytest.mark.parametrize(
    ("how", "refusal", "expected"),
    [
        ("reset", None, (BadSnapshot, "unreachable: no answer from Nomad to save a snapshot")),
        (
            "",
            (b"No cluster leader", 500),
            (BadSnapshot, "unreachable: Nomad refused to save a snapshot: 500 No cluster"),
        ),
        ("", (b"<html>Bad Gateway</html>", 502), (BadSnapshot, "unreachable: Nomad refused to save a snapshot: 502")),
        ("", (b"busy", 503), (BadSnapshot, "unreachable: Nomad refused to save a snapshot: 503 busy")),
        ("", (b"slow down", 429), (Throttled, "Nomad refused to save a snapshot: 429 slow down")),
        (
            "",
            (b"Permission denied", 403),
            (BadSnapshot, "right_missing: Nomad refused a snapshot to the token in snap"),
        ),
        ("", (b"no such thing", 404), (Gone, "Nomad refused to save a snapshot: 404 no such thing")),
    ],
)
def test_a_server_that_refuses_to_stream_is_said_in_one_line(server, source, how, refusal, expected):
    server.how, server.refusal = how, refusal
    error, said = expected

    with pytest.raises(error) as caught:
        received(source)
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_an_answer_without_a_digest_is_refused(server, source):
    server.digest = False

    with pytest.raises(BadSnapshot) as caught:
        received(source)
    assert caught.value.reason is Reason.DIGEST_MISSING


def test_the_leaders_version_counts_not_another_members(source):
    seen = source.observe()

    assert (seen.version, seen.leader, seen.index) == ("1.6.5", "10.0.0.1:4647", 77)
    assert seen.right == "management token"
    assert not seen.too_wide


@pytest.mark.parametrize("around", ["\n", "\r\n", "\ufeff", " "])
def test_what_an_editor_put_around_a_token_is_no_part_of_it(server, authority, around):
    session = NomadSession(
        NomadSettings(address=server.url), token=lambda: f"{around}{SAVER}{around}", ca=authority.certificate.read_text
    )

    assert "acl_tokens" in NomadSnapshots(session, session, saver_secret="secret").observe().counts


@pytest.mark.parametrize("token", ["two\nlines-of-a-secret", "caf\u00e9-of-a-secret", "bell\x07-of-a-secret"])
def test_what_is_no_token_is_said_without_being_shown(server, authority, token):
    session = NomadSession(NomadSettings(address=server.url), token=lambda: token, ca=authority.certificate.read_text)

    with pytest.raises(Permanent, match="the secret for X-Nomad-Token holds more than a token") as caught:
        NomadSnapshots(session, session, saver_secret="secret").observe()

    assert "of-a-secret" not in str(caught.value)


def test_a_newer_server_needs_only_the_smaller_right_and_a_larger_one_is_told(server, source):
    server.version = "1.11.3"

    seen = source.observe()

    assert seen.right == SAVE
    assert seen.too_wide


def test_with_the_smaller_right_what_it_may_not_list_is_counted_with_the_ordinary_token_or_not_at_all(server, source):
    server.version, server.management = "1.11.4", False

    seen = source.observe()

    assert not seen.too_wide
    assert seen.counts == {"jobs": 2, "nodes": 2}


def test_servers_without_acls_count_all_but_tokens_and_have_no_right_that_is_too_wide(server, source):
    server.version, server.acls = "1.11.4", False

    seen = source.observe()

    assert not seen.too_wide
    assert seen.counts == {"jobs": 2, "nodes": 2, "namespaces": 2, "node_pools": 2, "variables": 2}
