"""Root keys before Nomad 1.9: deposited sealed, put back as they were, noted only once Nomad has loaded them."""

# ruff: noqa: ARG002 -- the machine on paper takes what the port's methods take

import base64
import json
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

import pytest
from keepernode.keystore import KeystoreConfig, keep
from keepernode.machine import Done
from keepernode.problems import Misconfigured, Unsafe, Waiting
from keepernode.wire import Answer

KEY_ID = "305b514e-9ff6-c555-3d57-35288d412b33"
OTHER = "b71ab7e6-0867-0c27-27f8-999cc0887592"
KEY_URL = "https://kv.vault.azure.net/keys/nomad-snapshots"


def key_file(ident, kek=b"k" * 32):
    meta = {"KeyID": ident, "Algorithm": "aes256-gcm", "State": "active"}
    return json.dumps({"Meta": meta, "DEK": "REVL", "KEK": base64.b64encode(kek).decode()}, separators=(",", ":"))


class Paper:
    """A server, a vault that wraps by reversing, and a container of blobs."""

    def __init__(self, blobs):
        self.files = {}
        self.blobs = blobs
        self.ran = []
        self.moment = datetime(2026, 3, 1, tzinfo=UTC)
        self.vault_status = 200

    def run(self, argv, *, timeout=120.0):
        self.ran.append(" ".join(argv))
        return Done(0, "", "")

    def read(self, path):
        return self.files.get(path)

    def ensure(self, file):
        changed = self.files.get(file.path) != file.text.encode()
        self.files[file.path] = file.text.encode()
        return changed

    def ensure_folder(self, path, *, mode=0o755, owner="root"):
        return False

    def remove(self, path):
        return self.files.pop(path, None) is not None

    def names_in(self, path):
        return sorted(name.rpartition("/")[2] for name in self.files if name.startswith(path))

    def now(self):
        return self.moment

    def bearer(self, resource):
        return f"Bearer for {resource}"

    def ask(self, method, url, *, headers=None, body=b"", trust=None, timeout=10.0):
        parts = urlsplit(url)
        if parts.netloc.startswith("kv."):
            assert headers["Authorization"] == "Bearer for https://vault.azure.net"
            return self._vault(method, parts.path, body)
        return self._storage(method, parts, headers, body)

    def _vault(self, method, path, body):
        if self.vault_status != 200:
            return Answer(self.vault_status, {}, b'{"error":{"code":"Forbidden"}}')
        if method == "GET":
            return Answer(200, {}, json.dumps({"key": {"kid": f"{KEY_URL}/v7"}}).encode())
        asked = json.loads(body)
        assert path in {"/keys/nomad-snapshots/v7/wrapkey", "/keys/nomad-snapshots/v7/unwrapkey"}
        return Answer(200, {}, json.dumps({"value": asked["value"][::-1]}).encode())

    def _storage(self, method, parts, headers, body):
        name = parts.path.removeprefix("/keystores/")
        if "comp=list" in parts.query:
            prefix = unquote(parts.query.partition("prefix=")[2])
            listed = "".join(f"<Blob><Name>{each}</Name></Blob>" for each in self.blobs if each.startswith(prefix))
            return Answer(200, {}, f"<EnumerationResults>{listed}</EnumerationResults>".encode())
        if method == "PUT":
            if headers.get("If-None-Match") == "*" and name in self.blobs:
                return Answer(409, {}, b"")
            self.blobs[name] = body
            return Answer(201, {}, b"")
        return Answer(200, {}, self.blobs[name])


def config(server="server-0", **changes):
    made = {
        "cluster": "prod",
        "server": server,
        "blob_url": "https://state.blob.core.windows.net",
        "key_url": KEY_URL,
        "directory": "/keys",
    }
    return KeystoreConfig(**(made | changes))


def noted(blobs, server="server-0"):
    return json.loads(blobs[f"prod/servers/{server}.json"])["keys"]


def test_a_key_is_deposited_once_and_its_secret_part_only_wrapped():
    blobs = {}
    server = Paper(blobs)
    server.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()

    assert keep(server, config()) == [f"deposit {KEY_ID}"]
    assert keep(server, config()) == []

    deposit = blobs[f"prod/{KEY_ID}.json"].decode()
    assert base64.b64encode(b"k" * 32).decode() not in deposit
    assert "KEK" not in json.loads(deposit)["file"]
    assert noted(blobs) == [KEY_ID]


def test_a_fresh_server_gets_the_file_back_as_it_was_before_nomad_starts():
    blobs = {}
    old, new = Paper(blobs), Paper(blobs)
    old.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()
    keep(old, config())

    assert keep(new, config("server-1", unit="")) == [f"put back {KEY_ID}"]

    assert json.loads(new.files[f"/keys/{KEY_ID}.nks.json"]) == json.loads(key_file(KEY_ID))
    assert (noted(blobs, "server-1"), new.ran) == ([KEY_ID], [])


def test_a_running_server_restarts_in_its_turn_and_notes_the_key_only_then():
    blobs = {}
    old, new = Paper(blobs), Paper(blobs)
    old.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()
    keep(old, config())
    second = config("server-1", index=1, count=3)
    while int(new.moment.timestamp()) % 540:
        new.moment = datetime.fromtimestamp(new.moment.timestamp() + 1, UTC)

    with pytest.raises(Waiting, match="its turn"):
        keep(new, second)
    assert "prod/servers/server-1.json" not in blobs
    new.moment = datetime.fromtimestamp(new.moment.timestamp() + 181, UTC)
    keep(new, second)

    assert (new.ran, noted(blobs, "server-1")) == (["systemctl try-restart nomad.service"], [KEY_ID])


def test_a_deposit_of_another_key_is_not_opened():
    blobs = {f"prod/{OTHER}.json": json.dumps({"file": {}, "key": "https://evil/keys/k", "version": "1"}).encode()}
    server = Paper(blobs)

    with pytest.raises(Unsafe, match="nothing was written"):
        keep(server, config())
    assert server.files == {}


def test_a_missing_right_is_waited_for_and_named():
    server = Paper({})
    server.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()
    server.vault_status = 403

    with pytest.raises(Waiting, match="Key Vault Crypto User"):
        keep(server, config())


def test_a_file_that_is_no_root_key_is_not_deposited():
    blobs = {}
    server = Paper(blobs)
    server.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID, b"short").encode()

    with pytest.raises(Unsafe, match="5 bytes"):
        keep(server, config())
    assert blobs == {}


def test_a_wrong_configuration_is_named(tmp_path):
    path = tmp_path / "keystore.json"
    path.write_text('{"cluster": "prod", "colour": "red"}')

    with pytest.raises(Misconfigured, match="blob_url, colour, directory, key_url, server"):
        KeystoreConfig.read(path)
