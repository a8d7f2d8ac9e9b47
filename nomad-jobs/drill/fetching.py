"""Fetches a snapshot with the machine's managed identity, opens it, and leaves the verdict.

Stands on the node program's modules (`keepernode`), which every machine of the cluster carries.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import sealed
from keepernode.clock import utc_now
from keepernode.identity import STORAGE, Identity, IdentityEndpoint
from keepernode.wire import Line, Trust

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

STORAGE_VERSION, VAULT_VERSION = "2021-12-02", "7.4"
PIECE = 1024 * 1024
OK, CREATED = 200, 201
VERDICTS = "rehearsals"


class Unfit(Exception):
    """The snapshot cannot be rehearsed; the text says why."""


@dataclass(frozen=True, slots=True)
class Source:
    """Where the snapshot lies."""

    blob_url: str
    ca_file: str | None
    identity: Identity

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Source:
        """The state account and identity that the job names."""
        client = environment.get("DRILL_IDENTITY_CLIENT_ID") or None
        identity = Identity(IdentityEndpoint.from_environment(environment, client), utc_now)
        return cls(environment["DRILL_BLOB_URL"].rstrip("/"), environment.get("DRILL_CA_FILE") or None, identity)

    def manifest(self, tier: str, stem: str) -> dict[str, Any]:
        """The snapshot's manifest."""
        parsed = json.loads(b"".join(self._read(f"snapshots-{tier}/{stem}.manifest.json")))
        if parsed.get("manifest") != 1 or parsed.get("snapshot") != stem:
            raise Unfit(f"the manifest is not that of {stem}")
        return parsed

    def data_key(self, manifest: Mapping[str, Any]) -> bytes:
        """The snapshot's data key, unwrapped by Key Vault."""
        value = _url64(base64.b64decode(manifest["wrapped_key"]))
        return self._unwrap(f"{manifest['key']}/{manifest['key_version']}", manifest["key_algorithm"], value)

    def archive(self, tier: str, stem: str, secret: bytes, manifest: Mapping[str, Any], path: Path) -> None:
        """Write the archive as the server sent it; raises `Unfit` unless it is what the manifest says."""
        digest, name = hashlib.sha256(), f"{stem}.snap.enc"
        with path.open("wb") as out:
            path.chmod(0o600)
            for piece in sealed.opened(secret, name, self._read(f"snapshots-{tier}/{name}")):
                digest.update(piece)
                out.write(piece)
        if digest.hexdigest() != manifest["archive_sha256"]:
            raise Unfit(f"the archive's SHA-256 is {digest.hexdigest()}, not {manifest['archive_sha256']}")

    def keystore(self, tier: str, stem: str, secret: bytes, manifest: Mapping[str, Any]) -> dict[str, str]:
        """The root keys beside the archive, as files of a server's keystore by name; none when none lie there."""
        if not manifest.get("keystore_sha256"):
            return {}
        name = f"{stem}.keystore.enc"
        body = b"".join(sealed.opened(secret, name, self._read(f"snapshots-{tier}/{name}")))
        if hashlib.sha256(body).hexdigest() != manifest["keystore_sha256"]:
            raise Unfit("the keystore is not the one that the manifest names")
        return {f"{key}.nks.json": self._key_file(one) for key, one in json.loads(body)["keys"].items()}

    def leave(self, name: str, verdict: bytes) -> None:
        """Put the verdict where the keeper looks for it; it is written once."""
        headers = {"x-ms-blob-type": "BlockBlob", "If-None-Match": "*", "Content-Type": "application/json"}
        answer = self._line(self.blob_url).ask(
            "PUT", f"{self._path}/{VERDICTS}/{name}", headers=self._signed(headers), body=verdict
        )
        if answer.status != CREATED:
            raise Unfit(f"the verdict cannot be left in {VERDICTS}: HTTP {answer.status} {answer.text()}")

    def _key_file(self, deposit: Mapping[str, Any]) -> str:
        plain = self._unwrap(f"{deposit['key']}/{deposit['version']}", deposit["algorithm"], deposit["wrapped"])
        return json.dumps({**deposit["file"], "KEK": base64.b64encode(plain).decode()}, separators=(",", ":"))

    def _unwrap(self, kid: str, algorithm: str, value: str) -> bytes:
        parts = urlsplit(kid)
        headers = {
            "Authorization": self.identity.bearer(f"https://{parts.netloc.partition('.')[2]}"),
            "Content-Type": "application/json",
        }
        asked = json.dumps({"alg": algorithm, "value": value}).encode()
        answer = self._line(kid).ask(
            "POST", f"{parts.path}/unwrapkey?api-version={VAULT_VERSION}", headers=headers, body=asked
        )
        if answer.status != OK:
            raise Unfit(f"{kid} does not unwrap: HTTP {answer.status} {answer.text()}")
        text = json.loads(answer.body)["value"]
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))

    def _read(self, blob: str) -> Iterator[bytes]:
        response = self._line(self.blob_url).stream(f"{self._path}/{blob}", headers=self._signed({}))
        with response:
            if response.status != OK:
                raise Unfit(f"{blob} cannot be read: HTTP {response.status}")
            while piece := response.read(PIECE):
                yield piece

    def _signed(self, headers: dict[str, str]) -> dict[str, str]:
        return {**headers, "Authorization": self.identity.bearer(STORAGE), "x-ms-version": STORAGE_VERSION}

    def _line(self, url: str) -> Line:
        return Line(url, Trust(self.ca_file), timeout=60.0)

    @property
    def _path(self) -> str:
        return urlsplit(self.blob_url).path.rstrip("/")


def identity_variables() -> dict[str, str]:
    """What of the environment leads to the machine's identity; nothing of it may reach the throw-away server."""
    return {name: os.environ[name] for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER") if name in os.environ}


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
