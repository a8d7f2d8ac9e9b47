"""Reads a snapshot archive as Nomad's and Consul's servers do, and refuses a damaged one in their words.

Both write and read archives with the same code. The texts are those of `tests/recordings/nomad-1.6.5/07-snapshot.json` and
`tests/recordings/consul-1.19/restore.json`; what can still be read of a damaged archive decides what is said of it.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import zlib

BLOCK = 512
BITE = 256
GZIP_HEADER = 10
HASHED = ("meta.json", "state.bin")
READING = {
    "meta.json": "failed to read snapshot metadata",
    "state.bin": "failed to read or write snapshot data",
    "SHA256SUMS": "failed to read snapshot hashes",
}


class DamagedError(Exception):
    """The archive cannot be restored; the text is the server's."""


def members_of(body: bytes) -> dict[str, bytes]:
    """The files of an archive whose sums hold; raises `DamagedError`."""
    unzipped = _Unzipped(body)
    files, end = _files(unzipped)
    _verify(files)
    if unzipped.problem:
        raise DamagedError(unzipped.problem)
    if len(unzipped.data) > end:
        raise DamagedError(f"{len(unzipped.data) - end} unread uncompressed bytes remain")
    return files


class _Unzipped:
    """The tar inside, as far as it can be read, and why it cannot be read further."""

    def __init__(self, body: bytes) -> None:
        self.problem = ""
        self.data = b""
        if problem := _no_gzip(body):
            raise DamagedError(f"failed to decompress snapshot: {problem}")
        rest = body
        while rest and not self.problem:  # what follows a gzip stream is another one
            self.problem = _no_gzip(rest)
            if not self.problem:
                rest = self._inflate(rest)

    def _inflate(self, body: bytes) -> bytes:
        reader = zlib.decompressobj(wbits=31)
        parts: list[bytes] = []
        start = 0
        try:
            # In small bites, so that what comes before the damage is kept.
            for start in range(0, len(body), BITE):
                parts.append(reader.decompress(body[start : start + BITE]))
                if reader.eof:
                    break
            if not reader.eof:
                self.problem = "unexpected EOF"
        except zlib.error as exc:
            self.problem = f"flate: corrupt input before offset {start}"
            if "incorrect data check" in str(exc) or "incorrect length check" in str(exc):
                self.problem = "gzip: invalid checksum"  # told after all the data
                parts = [zlib.decompressobj(wbits=-zlib.MAX_WBITS).decompress(body[GZIP_HEADER:])]
        self.data += b"".join(parts)
        return reader.unused_data + body[start + BITE :]


def _no_gzip(body: bytes) -> str:
    """Why no gzip stream starts here, or nothing."""
    if not body:
        return "EOF"
    if len(body) < GZIP_HEADER:
        return "unexpected EOF"
    return "" if body[:3] == b"\x1f\x8b\x08" else "gzip: invalid header"


def _files(unzipped: _Unzipped) -> tuple[dict[str, bytes], int]:
    """The files by name, and where the tar ends. The headers are read by hand."""
    data, at = unzipped.data, 0
    files: dict[str, bytes] = {}
    while at + BLOCK <= len(data) and any(data[at : at + BLOCK]):
        name, size = _header(data[at : at + BLOCK])
        if name not in READING:
            raise _unreadable(f'unexpected file "{name}" in snapshot')
        content = data[at + BLOCK : at + BLOCK + size]
        if len(content) < size:
            raise _unreadable(f"{READING[name]}: {unzipped.problem or 'unexpected EOF'}")
        files[name] = content
        at += BLOCK + -(-size // BLOCK) * BLOCK
    if unzipped.problem and at + BLOCK > len(data):
        raise _unreadable(f"failed reading snapshot: {unzipped.problem}")
    return files, at + 2 * BLOCK


def _header(block: bytes) -> tuple[str, int]:
    try:
        entry = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError as exc:
        raise _unreadable("failed reading snapshot: archive/tar: invalid tar header") from exc
    return entry.name, entry.size


def _verify(files: dict[str, bytes]) -> None:
    try:
        json.loads(files.get("meta.json", b"{}"))
    except ValueError as exc:
        raise _unreadable(f"failed to decode snapshot metadata: {exc}") from exc
    lines = files.get("SHA256SUMS", b"").decode("utf-8", "replace").splitlines()
    seen = {_verified(line, files) for line in lines}
    for name in HASHED:
        if name not in seen:
            raise _failed(f'file missing for "{name}"')


def _verified(line: str, files: dict[str, bytes]) -> str:
    match = re.fullmatch(r"([0-9a-f]{64})\s+(\S+)", line)
    if match is None:
        raise _failed("expected integer")
    name = match.group(2)
    if name not in HASHED:
        raise _failed(f'list missing hash for "{name}"')
    if hashlib.sha256(files.get(name, b"")).hexdigest() != match.group(1):
        raise _failed(f'hash check failed for "{name}"')
    return name


def _unreadable(reason: str) -> DamagedError:
    return DamagedError(f"failed to read snapshot file: {reason}")


def _failed(reason: str) -> DamagedError:
    return _unreadable(f"failed checking integrity of snapshot: {reason}")
