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
import tarfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.nomad.fsm import own_state, state_bin
from lab.nomad.model.errors import Refusal
from lab.unpacking import BLOCK, DamagedError, members_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime


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
    used = sum(BLOCK + -(-size // BLOCK) * BLOCK for size in (len(meta_json), len(content), len(sums)))
    packed = gzip.compress(raw[: used + 2 * BLOCK], mtime=0)
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
    try:
        state = own_state(members_of(body)["state.bin"])
    except DamagedError as exc:
        raise Refusal(500, f"failed to restore from snapshot: {exc}") from exc
    if state is None:
        raise Refusal(500, "failed to restore from snapshot: failed to restore snapshot: a real Nomad wrote the state")
    return state
