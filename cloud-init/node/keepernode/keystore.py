"""Root keys of Nomad before 1.9: deposited for snapshots, and put back on a server that lacks them.

Up to 1.8 the keys that variables are encrypted with are files on each server and in no snapshot: a restore without them leaves
variables that nobody can read, while health says ok. A file `<id>.nks.json` holds the key (`DEK`), encrypted with AES-256-GCM
under a key (`KEK`) that lies beside it in clear text. So Key Vault wraps that one field, 32 bytes in one call, and the file is
sealed: no cipher is needed here, and a deposit opens only for who may unwrap with that key.

    keystores/<cluster>/<id>.json                 written once, by whichever server comes first
    keystores/<cluster>/servers/<server>.json     which keys this server has loaded

Nomad reads the files when it starts. On a running server keys that were put back are loaded by a restart in the server's turn;
only then does its note name them, which is what a restore waits for.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from keepernode.clock import rfc3339
from keepernode.identity import STORAGE
from keepernode.journal import tell
from keepernode.machine import File, must
from keepernode.problems import Misconfigured, Unreachable, Unsafe, Waiting
from keepernode.shapes import Json, as_object, parse_object, text_of
from keepernode.turns import answers, seconds_to_turn
from keepernode.wire import Trust

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from keepernode.machine import Machine
    from keepernode.wire import Answer

CONTAINER: Final = "keystores"
ALGORITHM: Final = "RSA-OAEP-256"
STORAGE_VERSION: Final = "2021-12-02"
VAULT_VERSION: Final = "7.4"
FILE: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})\.nks\.json")
NAME: Final = re.compile(r"<Name>([^<]+)</Name>")
KEK_BYTES: Final = 32
OK, CREATED, CONFLICT, PRECONDITION_FAILED = 200, 201, 409, 412
REFUSED: Final = frozenset({401, 403})


@dataclass(frozen=True, slots=True, kw_only=True)
class KeystoreConfig:
    """What `keeper-node keystore` must know: one JSON object."""

    cluster: str
    server: str
    blob_url: str
    """The state account, such as `https://account.blob.core.windows.net`."""
    key_url: str
    """The key that wraps, without a version, such as `https://kv-servers.vault.azure.net/keys/nomad-snapshots`."""
    directory: str
    """Nomad's `data_dir/server/keystore`."""
    owner: str = "nomad"
    unit: str = "nomad.service"
    """The unit to restart when keys were put back; empty: somebody else starts Nomad afterwards."""
    index: int = 0
    """This server's place among the servers, which take turns at restarts."""
    count: int = 1
    others: Sequence[str] = ()
    """Health addresses of the other servers, all of which must answer 200 before this one restarts."""
    nomad_ca_file: str | None = None
    """PEM bundle that signs the servers' certificates."""
    nomad_server_name: str | None = None
    """The name in them, such as `server.global.nomad`."""
    identity_client_id: str | None = None
    ca_file: str | None = None
    """PEM bundle for storage and Key Vault; the machine's own store when absent, as in Azure."""

    @classmethod
    def read(cls, path: Path) -> KeystoreConfig:
        """Read the file; Misconfigured says what is wrong with it."""
        try:
            given = parse_object(path.read_text(encoding="utf-8"), str(path))
        except OSError as exc:
            raise Misconfigured(f"cannot read {path}: {exc.strerror}") from exc
        known = {each.name for each in fields(cls)}
        needed = {each.name for each in fields(cls) if each.default is MISSING}
        wrong = sorted((needed - set(given)) | (set(given) - known))
        if wrong:
            raise Misconfigured(f"{path}: missing or unknown: {', '.join(wrong)}")
        values: dict[str, Any] = dict(given)
        return cls(**values)

    @property
    def put_back(self) -> str:
        """Marks that files were put back which Nomad has not loaded yet."""
        return f"{self.directory}/.put-back"


def keep(machine: Machine, config: KeystoreConfig) -> list[str]:
    """Deposit what nobody has deposited, put back what this server lacks, and note what it has loaded; tells what changed.

    A second run changes nothing. Raises Waiting when it is not this server's turn to restart, or a right is not there yet.
    """
    blobs = _Blobs(machine, config)
    deposited = blobs.names(f"{config.cluster}/")
    ours = _on_disk(machine, config)
    changed = [f"deposit {key}" for key in ours if f"{config.cluster}/{key}.json" not in deposited]
    for key in ours:
        if f"deposit {key}" in changed:
            blobs.write_once(f"{config.cluster}/{key}.json", _sealed(machine, config, key))
    for name in deposited:
        key = name[len(config.cluster) + 1 : -len(".json")]
        if FILE.fullmatch(f"{key}.nks.json") and key not in ours:
            _put_back(machine, config, key, blobs.read(name))
            changed.append(f"put back {key}")
    changed += _load(machine, config)
    blobs.write(f"{config.cluster}/servers/{config.server}.json", _note(machine, config))
    if changed:
        tell("keystore.kept", changed=changed)
    return changed


def _on_disk(machine: Machine, config: KeystoreConfig) -> list[str]:
    found = (FILE.fullmatch(name) for name in machine.names_in(config.directory))
    return [each[1] for each in found if each is not None]


def _load(machine: Machine, config: KeystoreConfig) -> list[str]:
    """Have Nomad read what was put back, in this server's turn."""
    if machine.read(config.put_back) is None:
        return []
    if config.unit:
        why = _why_not_now(machine, config)
        if why is not None:
            raise Waiting(f"{why} to restart {config.unit}: root keys were put back")
        must(machine, ["systemctl", "try-restart", config.unit], f"look at `journalctl -u {config.unit}`")
    machine.remove(config.put_back)
    return [f"restart {config.unit}"] if config.unit else []


def _why_not_now(machine: Machine, config: KeystoreConfig) -> str | None:
    wait = seconds_to_turn(machine.now(), config.index, config.count)
    if wait:
        return f"its turn in {wait} s"
    trust = Trust(config.nomad_ca_file, config.nomad_server_name)
    return next((f"{url} to answer" for url in config.others if not answers(machine, url, trust)), None)


def _note(machine: Machine, config: KeystoreConfig) -> bytes:
    keys = _on_disk(machine, config)
    return json.dumps(
        {"keystore": 1, "server": config.server, "keys": keys, "at": rfc3339(machine.now())}, separators=(",", ":")
    ).encode()


def _sealed(machine: Machine, config: KeystoreConfig, key: str) -> bytes:
    """One file with its KEK wrapped."""
    path = f"{config.directory}/{key}.nks.json"
    content = parse_object((machine.read(path) or b"").decode("utf-8", "replace"), path)
    plain = _decoded(text_of(content, "KEK"), path)
    if len(plain) != KEK_BYTES:
        raise Unsafe(f"{path} does not look like a root key of Nomad before 1.9: its KEK has {len(plain)} bytes")
    current = _vault(machine, config, "GET", config.key_url)
    kid = text_of(as_object(current.get("key"), "the wrapping key"), "kid")
    wrapped = _vault(machine, config, "POST", f"{kid}/wrapkey", {"alg": ALGORITHM, "value": _url64(plain)})
    body = {
        "keystore": 1,
        "file": {name: value for name, value in content.items() if name != "KEK"},
        "key": kid.rpartition("/")[0],
        "version": kid.rpartition("/")[2],
        "algorithm": ALGORITHM,
        "wrapped": text_of(wrapped, "value"),
    }
    return json.dumps(body, sort_keys=True, separators=(",", ":")).encode()


def _put_back(machine: Machine, config: KeystoreConfig, key: str, body: bytes) -> None:
    """Write one file as it was. The mark comes first: a run that is cut after the file must not forget the restart."""
    path = f"{config.directory}/{key}.nks.json"
    deposit = parse_object(body.decode("utf-8", "replace"), f"the deposit of {key}")
    content = as_object(deposit.get("file"), f"the deposit of {key}")
    kid = f"{text_of(deposit, 'key')}/{text_of(deposit, 'version')}"
    if not kid.startswith(f"{config.key_url}/"):
        raise Unsafe(f"the deposit of {key} is wrapped with {kid}, not with {config.key_url}; nothing was written")
    asked = {"alg": text_of(deposit, "algorithm"), "value": text_of(deposit, "wrapped")}
    plain = _url_bytes(text_of(_vault(machine, config, "POST", f"{kid}/unwrapkey", asked), "value"))
    whole = {**content, "KEK": base64.b64encode(plain).decode()}
    # Before Nomad's first start there is not even the folder above, which is Nomad's to write in.
    machine.ensure_folder(config.directory.rpartition("/")[0], mode=0o700, owner=config.owner)
    machine.ensure_folder(config.directory, mode=0o700, owner=config.owner)
    machine.ensure(File(config.put_back, "", 0o600, config.owner))
    machine.ensure(File(path, json.dumps(whole, separators=(",", ":")), 0o600, config.owner))


def _vault(
    machine: Machine, config: KeystoreConfig, method: str, url: str, asked: dict[str, str] | None = None
) -> Json:
    answer = machine.ask(
        method,
        f"{url}?api-version={VAULT_VERSION}",
        headers={"Authorization": machine.bearer(_audience(config.key_url)), "Content-Type": "application/json"},
        body=json.dumps(asked).encode() if asked else b"",
        trust=Trust(config.ca_file),
    )
    if answer.status in REFUSED:
        raise Waiting(
            f"the right to use {config.key_url} (HTTP {answer.status} {_reason(answer)}): give this machine's identity"
            " Key Vault Crypto User on that key; a new role assignment takes up to an hour"
        )
    if answer.status != OK:
        raise Unreachable(f"{url} answers HTTP {answer.status} {answer.text()}", status=answer.status)
    return as_object(answer.json(), "Key Vault's answer")


def _audience(url: str) -> str:
    """A vault's tokens are for its parent domain: `https://vault.azure.net`, and others in sovereign clouds."""
    return f"https://{urlsplit(url).netloc.partition('.')[2]}"


def _reason(answer: Answer) -> str:
    return answer.text()[:120]


@dataclass(slots=True)
class _Blobs:
    """The container of deposits (https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api)."""

    machine: Machine
    config: KeystoreConfig

    def names(self, prefix: str) -> list[str]:
        query = f"restype=container&comp=list&prefix={quote(prefix, safe='')}"
        return NAME.findall(self._ask("GET", f"?{query}").body.decode("utf-8", "replace"))

    def read(self, name: str) -> bytes:
        return self._ask("GET", f"/{name}").body

    def write_once(self, name: str, body: bytes) -> None:
        """Another server may have been first, with the same key."""
        self._ask("PUT", f"/{name}", body, {"If-None-Match": "*"}, allowed=(CREATED, CONFLICT, PRECONDITION_FAILED))

    def write(self, name: str, body: bytes) -> None:
        self._ask("PUT", f"/{name}", body, allowed=(CREATED,))

    def _ask(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        more: dict[str, str] | None = None,
        allowed: tuple[int, ...] = (OK,),
    ) -> Answer:
        url = f"{self.config.blob_url}/{CONTAINER}{path}"
        headers = {"Authorization": self.machine.bearer(STORAGE), "x-ms-version": STORAGE_VERSION, **(more or {})}
        if method == "PUT":
            headers |= {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/json"}
        answer = self.machine.ask(method, url, headers=headers, body=body, trust=Trust(self.config.ca_file))
        if answer.status in allowed:
            return answer
        if answer.status in REFUSED:
            raise Waiting(
                f"the right to write {self.config.blob_url}/{CONTAINER} (HTTP {answer.status}): give this machine's"
                " identity Storage Blob Data Contributor there; a new role assignment takes up to an hour"
            )
        raise Unreachable(f"{url} answers HTTP {answer.status} {answer.text()}", status=answer.status)


def _decoded(text: str, what: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as exc:
        raise Unsafe(f"{what} holds a key that is no base64; nothing was deposited") from exc


def _url64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _url_bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
