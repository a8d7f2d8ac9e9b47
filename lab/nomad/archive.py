"""Snapshot archives in Nomad's format: gzip of a tar of meta.json, state.bin and SHA256SUMS, nothing else.

The state inside restores into a real server (`fsm`) and holds the stand-in's own; everything around it is the real thing, with the
refusals of damaged archives as recorded in ../../tests/recordings/nomad-1.6.5/07-snapshot.json.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.nomad.fsm import own_state, state_bin
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

_DAMAGED = "failed to restore from snapshot: "
_BLOCK = 512
_HASHED = ("meta.json", "state.bin")


@dataclass(frozen=True, slots=True)
class Peer:
    """A server in the Raft configuration as meta.json names it."""

    ident: str
    address: str
    voter: bool


@dataclass(frozen=True, slots=True)
class Meta:
    """What meta.json says of the state: its index and term, and the servers at that time."""

    index: int
    term: int
    peers: Sequence[Peer]


def pack(state: Mapping[str, Any], meta: Meta, now: datetime) -> tuple[bytes, str]:
    """Make an archive of a JSON state; answer its bytes and the value of the Digest header."""
    content = state_bin(state)
    meta_json = (json.dumps(_meta(meta, len(content), now), separators=(",", ":")) + "\n").encode()
    files = {"meta.json": meta_json, "state.bin": content}
    sums = "".join(f"{hashlib.sha256(body).hexdigest()}  {name}\n" for name, body in files.items())
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name, body in {**files, "SHA256SUMS": sums.encode()}.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode, entry.mtime = len(body), 0o600, int(now.timestamp())
            tar.addfile(entry, io.BytesIO(body))
    # Go's archive ends after two empty blocks; Python fills up to ten kilobytes.
    raw = archive.getvalue()
    used = sum(_BLOCK + -(-size // _BLOCK) * _BLOCK for size in (len(meta_json), len(content), len(sums)))
    packed = gzip.compress(raw[: used + 2 * _BLOCK], mtime=0)
    return packed, "sha-256=" + base64.b64encode(hashlib.sha256(packed).digest()).decode()


def _meta(meta: Meta, size: int, now: datetime) -> dict[str, Any]:
    encoded = [_msgpack_text(peer.address) for peer in meta.peers]
    peers = bytes([0x90 | len(encoded)]) + b"".join(encoded)
    return {
        "Version": 1,
        "ID": f"{meta.term}-{meta.index}-{int(now.timestamp() * 1000)}",
        "Index": meta.index,
        "Term": meta.term,
        "Peers": base64.b64encode(peers).decode(),
        "Configuration": {
            "Servers": [
                {"Suffrage": 0 if peer.voter else 1, "ID": peer.ident, "Address": peer.address} for peer in meta.peers
            ]
        },
        "ConfigurationIndex": 1,
        "Size": size,
    }


def _msgpack_text(text: str) -> bytes:
    raw = text.encode()
    return (bytes([0xA0 | len(raw)]) if len(raw) < 32 else bytes([0xD9, len(raw)])) + raw


def unpack(body: bytes) -> Any:  # noqa: ANN401 - the state that `pack` was given
    """Read an archive and answer its state; refuse a damaged one with 500 and Nomad's reason."""
    unzipped = _Unzipped(body)
    files = _files(unzipped)
    _verify(files)
    if unzipped.problem:
        raise Refusal(500, _DAMAGED + unzipped.problem)
    state = own_state(files["state.bin"])
    if state is None:
        raise Refusal(500, _DAMAGED + "failed to restore snapshot: the state was written by a real Nomad")
    return state


class _Unzipped:
    """The tar inside, as far as it can be read, and why it cannot be read further."""

    def __init__(self, body: bytes) -> None:
        self.problem = ""
        if not body:
            raise Refusal(500, _DAMAGED + "failed to decompress snapshot: EOF")
        if len(body) < 10:
            raise Refusal(500, _DAMAGED + "failed to decompress snapshot: unexpected EOF")
        if body[:2] != b"\x1f\x8b" or body[2] != 8:
            raise Refusal(500, _DAMAGED + "failed to decompress snapshot: gzip: invalid header")
        reader = zlib.decompressobj(wbits=31)
        parts: list[bytes] = []
        try:
            # In small bites, so that what comes before the damage is kept.
            for start in range(0, len(body), 256):
                parts.append(reader.decompress(body[start : start + 256]))
            if not reader.eof:
                self.problem = "unexpected EOF"
        except zlib.error as exc:
            wrong_sum = "incorrect data check" in str(exc) or "incorrect length check" in str(exc)
            self.problem = "gzip: invalid checksum" if wrong_sum else f"flate: corrupt input before offset {start}"
        self.data = b"".join(parts)


def _files(unzipped: _Unzipped) -> dict[str, bytes]:
    # The headers are read by hand: what can still be read of a damaged archive decides what is said of it.
    data, at = unzipped.data, 0
    files: dict[str, bytes] = {}
    reading = {
        "meta.json": "failed to read snapshot metadata",
        "state.bin": "failed to read or write snapshot data",
        "SHA256SUMS": "failed to read snapshot hashes",
    }
    while at + _BLOCK <= len(data) and any(data[at : at + _BLOCK]):
        name, size = _header(data[at : at + _BLOCK])
        if name not in reading:
            raise _unreadable(f'unexpected file "{name}" in snapshot')
        content = data[at + _BLOCK : at + _BLOCK + size]
        if len(content) < size:
            raise _unreadable(f"{reading[name]}: {unzipped.problem or 'unexpected EOF'}")
        files[name] = content
        at += _BLOCK + -(-size // _BLOCK) * _BLOCK
    if unzipped.problem and at + _BLOCK > len(data):
        raise _unreadable(f"failed reading snapshot: {unzipped.problem}")
    return files


def _header(block: bytes) -> tuple[str, int]:
    try:
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as exc:
        raise _unreadable("failed reading snapshot: archive/tar: invalid tar header") from exc
    return entry.name, entry.size


def _unreadable(reason: str) -> Refusal:
    return Refusal(500, f"{_DAMAGED}failed to read snapshot file: {reason}")


def _verify(files: dict[str, bytes]) -> None:
    try:
        json.loads(files.get("meta.json", b"{}"))
    except ValueError as exc:
        raise _unreadable(f"failed to decode snapshot metadata: {exc}") from exc
    lines = files.get("SHA256SUMS", b"").decode("utf-8", "replace").splitlines()
    seen = {_verified(line, files) for line in lines}
    for name in _HASHED:
        if name not in seen:
            raise _failed(f'file missing for "{name}"')


def _verified(line: str, files: dict[str, bytes]) -> str:
    match = re.fullmatch(r"([0-9a-f]{64})\s+(\S+)", line)
    if match is None:
        raise _failed("expected integer")
    name = match.group(2)
    if name not in _HASHED:
        raise _failed(f'list missing hash for "{name}"')
    if hashlib.sha256(files.get(name, b"")).hexdigest() != match.group(1):
        raise _failed(f'hash check failed for "{name}"')
    return name


def _failed(reason: str) -> Refusal:
    return _unreadable(f"failed checking integrity of snapshot: {reason}")
