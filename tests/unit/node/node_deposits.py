"""Where servers deposit root keys, on paper: a container of blobs, and a vault that wraps by reversing."""

import json
from urllib.parse import unquote, urlsplit

from keepernode.problems import Unreachable
from keepernode.wire import Answer

BLOB_URL = "https://state.blob.core.windows.net"
KEY_URL = "https://kv.vault.azure.net/keys/nomad-snapshots"


class Deposits:
    """One account's container `keystores` and one wrapping key; several servers may share it."""

    def __init__(self):
        self.blobs = {}
        self.vault_status = 200
        self.away = False

    def answers(self, url):
        return url.startswith((BLOB_URL, KEY_URL))

    def ask(self, method, url, headers, body):
        if self.away:
            raise Unreachable(f"{method} {url} got no answer: timed out")
        parts = urlsplit(url)
        if parts.netloc.startswith("kv."):
            assert headers["Authorization"].endswith(" token-for-https://vault.azure.net")
            return self._vault(method, parts.path, body)
        assert headers["Authorization"].endswith(" token-for-https://storage.azure.com/")
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
