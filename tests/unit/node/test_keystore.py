"""Root keys before Nomad 1.9: deposited sealed, put back as they were, noted only once Nomad has loaded them."""

# ruff: noqa: ARG002 -- the machine on paper takes what the port's methods take

import base64
import contextlib
import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from keepernode.keystore import KeystoreConfig, keep
from keepernode.machine import Done
from keepernode.problems import Misconfigured, Unreachable, Unsafe, Waiting
from keepernode.wire import Answer
from node_deposits import BLOB_URL, KEY_URL, Deposits

KEY_ID = "305b514e-9ff6-c555-3d57-35288d412b33"
OTHER = "b71ab7e6-0867-0c27-27f8-999cc0887592"


def key_file(ident, kek=b"k" * 32):
    meta = {"KeyID": ident, "Algorithm": "aes256-gcm", "State": "active"}
    return json.dumps({"Meta": meta, "DEK": "REVL", "KEK": base64.b64encode(kek).decode()}, separators=(",", ":"))


class Paper:
    """A server."""

    def __init__(self, deposits):
        self.files = {}
        self.deposits = deposits
        self.ran = []
        self.moment = datetime(2026, 3, 1, tzinfo=UTC)
        self.sick = set()

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
        return f"Bearer token-for-{resource}"

    def ask(self, method, url, *, headers=None, body=b"", trust=None, timeout=10.0):
        if self.deposits.answers(url):
            return self.deposits.ask(method, url, headers, body)
        if url in self.sick:
            raise Unreachable(f"no answer from {url}")
        return Answer(200, {}, b"{}")


def config(server="server-0", **changes):
    made = {
        "cluster": "prod",
        "server": server,
        "blob_url": BLOB_URL,
        "key_url": KEY_URL,
        "directory": "/keys",
    }
    return KeystoreConfig(**(made | changes))


def noted(deposits, server="server-0"):
    return json.loads(deposits.blobs[f"prod/servers/{server}.json"])["keys"]


def test_a_key_is_deposited_once_and_its_secret_part_only_wrapped():
    deposits = Deposits()
    server = Paper(deposits)
    server.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()

    assert keep(server, config()) == [f"deposit {KEY_ID}"]
    assert keep(server, config()) == []

    deposit = deposits.blobs[f"prod/{KEY_ID}.json"].decode()
    assert base64.b64encode(b"k" * 32).decode() not in deposit
    assert "KEK" not in json.loads(deposit)["file"]
    assert noted(deposits) == [KEY_ID]


def test_a_fresh_server_gets_the_file_back_as_it_was_before_nomad_starts():
    deposits = Deposits()
    old, new = Paper(deposits), Paper(deposits)
    old.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()
    keep(old, config())

    assert keep(new, config("server-1", unit="")) == [f"put back {KEY_ID}"]

    assert json.loads(new.files[f"/keys/{KEY_ID}.nks.json"]) == json.loads(key_file(KEY_ID))
    assert (noted(deposits, "server-1"), new.ran) == ([KEY_ID], [])


def test_a_running_server_restarts_in_its_turn_and_notes_the_key_only_then():
    deposits = Deposits()
    old, new = Paper(deposits), Paper(deposits)
    old.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()
    keep(old, config())
    second = config("server-1", index=1, count=3)
    while int(new.moment.timestamp()) % 540:
        new.moment = datetime.fromtimestamp(new.moment.timestamp() + 1, UTC)

    with pytest.raises(Waiting, match="its turn"):
        keep(new, second)
    assert "prod/servers/server-1.json" not in deposits.blobs
    new.moment = datetime.fromtimestamp(new.moment.timestamp() + 181, UTC)
    keep(new, second)

    assert (new.ran, noted(deposits, "server-1")) == (["systemctl try-restart nomad.service"], [KEY_ID])


def test_servers_that_lack_a_key_restart_one_at_a_time_each_once_and_only_while_the_others_are_well():
    deposits = Deposits()
    old = Paper(deposits)
    old.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()
    keep(old, config("old"))
    healths = [f"https://10.0.10.{4 + n}:4646/v1/agent/health" for n in range(3)]
    servers = [Paper(deposits) for _ in range(3)]
    known = [config(f"server-{n}", index=n, count=3, others=healths[:n] + healths[n + 1 :]) for n in range(3)]
    start = servers[0].moment
    restarts = []

    for second in range(0, 3600, 20):
        for n, server in enumerate(servers):
            server.moment = start + timedelta(seconds=second)
            server.sick = {healths[2]} if second < 1200 else set()
            with contextlib.suppress(Waiting):
                keep(server, known[n])
            if server.ran:
                restarts.append((second, n))
                server.ran.clear()

    times = [second for second, _ in restarts]
    assert sorted(n for _, n in restarts) == [0, 1, 2]
    assert [n for second, n in restarts if second < 1200] == [2]  # it alone sees both others well
    assert all(later - earlier >= 90 for earlier, later in pairwise(times))
    assert [noted(deposits, f"server-{n}") for n in range(3)] == [[KEY_ID]] * 3


def test_a_deposit_of_another_key_is_not_opened():
    deposits = Deposits()
    evil = {"file": {}, "key": "https://evil/keys/k", "version": "1"}
    deposits.blobs[f"prod/{OTHER}.json"] = json.dumps(evil).encode()
    server = Paper(deposits)

    with pytest.raises(Unsafe, match="nothing was written"):
        keep(server, config())
    assert server.files == {}


def test_a_missing_right_is_waited_for_and_named():
    server = Paper(Deposits())
    server.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID).encode()
    server.deposits.vault_status = 403

    with pytest.raises(Waiting, match="Key Vault Crypto User"):
        keep(server, config())


def test_a_file_that_is_no_root_key_is_not_deposited():
    deposits = Deposits()
    server = Paper(deposits)
    server.files[f"/keys/{KEY_ID}.nks.json"] = key_file(KEY_ID, b"short").encode()

    with pytest.raises(Unsafe, match="5 bytes"):
        keep(server, config())
    assert deposits.blobs == {}


def test_a_wrong_configuration_is_named(tmp_path):
    path = tmp_path / "keystore.json"
    path.write_text('{"cluster": "prod", "colour": "red"}')

    with pytest.raises(Misconfigured, match="blob_url, colour, directory, key_url, server"):
        KeystoreConfig.read(path)
