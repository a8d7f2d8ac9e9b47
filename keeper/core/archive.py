"""Checks a snapshot archive while it streams past: what Nomad and Consul send is gzip of a tar of exactly three members.

    meta.json    one JSON object: Raft index, term, peers, the size of state.bin
    state.bin    the state
    SHA256SUMS   "<hex>  <name>" of both, in either order

Both products write the archive alike (hashicorp/nomad and hashicorp/consul, package `snapshot`), always in this order, with
plain ustar headers and two empty blocks at the end; recorded in `tests/recordings/nomad-1.6.5/*.snap`. Whatever differs is
refused: better no snapshot today, and an alert, than one that turns out useless on the day it is needed. meta.json is hashed
as it came, before it is parsed (a decoder between stream and hash broke sums once, hashicorp/consul#4738).

At most one step of unpacked bytes is in memory, however much a crafted archive claims to hold.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import cast

from keeper.core.snapshots import BadSnapshot, Reason

BITE = 64 * 1024
STEP = 512 * 1024
"""Packed bytes taken in, and unpacked bytes given out, at a time."""

GZIP_MAGIC = b"\x1f\x8b"
GZIP_START = re.compile(rb"\x1f\x8b\x08\x00\x00\x00\x00\x00[\x00\x02\x04]\xff", re.DOTALL)
"""Deflate, no flags, no time, unknown system: all that Go's compressor writes (https://pkg.go.dev/compress/gzip#Header)."""

BLOCK = 512
META, STATE, SUMS = MEMBERS = ("meta.json", "state.bin", "SHA256SUMS")
LARGEST_NUMBER = 2**64 - 1
"""Raft counts in 64 bits."""
LARGEST_SMALL = {META: 256 * 1024, SUMS: 1024}
UNPACKED_FREELY = 16 * 1024 * 1024
"""Below this the ratio says nothing: an almost empty state packs very well. Nor do so many bytes pack into more than they are: what
brings nothing could come for ever."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What no sane archive exceeds."""

    state_bytes: int
    ratio: int = 200
    """Unpacked to packed. Recorded states have 9 to 16; deflate can reach 1,032, with nothing but repetition."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What a whole, sound archive says."""

    index: int
    term: int
    servers: int
    state_bytes: int
    archive_bytes: int
    sha256: bytes
    """Of the archive as it came."""


class ArchiveCheck:
    """Push every byte, in order, then call `end`. Either may raise `BadSnapshot`; the archive is then worthless."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._tar = _Tar(limits)
        self._gzip = zlib.decompressobj(wbits=31)  # checks CRC and length at the end
        self._start = b""
        self._packed = 0
        self._unpacked = 0
        self._sha256 = hashlib.sha256()

    @property
    def index(self) -> int | None:
        """The Raft index, as soon as meta.json has come; it is proven only by `end`."""
        return None if self._tar.meta is None else self._tar.meta.index

    def push(self, data: bytes | memoryview) -> None:
        """Check the next bytes."""
        self._sha256.update(data)
        self._packed += len(data)
        if len(self._start) < 10:  # noqa: PLR2004 -- the size of a gzip header without extras
            self._start += bytes(data[:10])[: 10 - len(self._start)]
            self._check_start()
        view = memoryview(data)
        for at in range(0, len(view), BITE):
            for piece in self._inflate(view[at : at + BITE]):
                self._tar.push(piece)

    def end(self, announced: bytes | None) -> Facts:
        """Everything has been pushed; `announced` is the SHA-256 that the server sent, if it sends one."""
        if not self._gzip.eof:
            raise BadSnapshot(Reason.CUT_SHORT, f"the archive ends after {self._packed} bytes, within its gzip stream")
        digest = self._sha256.digest()
        if announced is not None and announced != digest:
            raise BadSnapshot(Reason.DIGEST_WRONG, f"SHA-256 is {digest.hex()}, the server announced {announced.hex()}")
        meta = self._tar.end()
        return Facts(meta.index, meta.term, meta.servers, self._tar.state_bytes, self._packed, digest)

    def _check_start(self) -> None:
        whole = len(self._start) == 10  # noqa: PLR2004 -- as above
        if not GZIP_MAGIC.startswith(self._start[:2]) or (whole and not GZIP_START.fullmatch(self._start)):
            raise BadSnapshot(Reason.NOT_AN_ARCHIVE, f"it starts with {self._start.hex()}, not as Go's gzip does")

    def _inflate(self, data: memoryview) -> Iterator[bytes]:
        rest: bytes | memoryview = data
        full = False
        while rest or full:
            if rest and self._gzip.eof:
                raise BadSnapshot(Reason.TRAILING_DATA, "there are bytes after the end of the gzip stream")
            try:
                piece = self._gzip.decompress(rest, STEP)
            except zlib.error as exc:
                raise BadSnapshot(Reason.CORRUPT, f"the gzip stream breaks: {exc}") from exc
            self._unpacked += len(piece)
            if self._packed > self._unpacked + UNPACKED_FREELY:
                raise BadSnapshot(Reason.TOO_LARGE, f"{self._packed} bytes unpack to no more than {self._unpacked}")
            if self._unpacked > max(UNPACKED_FREELY, self._limits.ratio * self._packed):
                raise BadSnapshot(Reason.TOO_LARGE, f"{self._packed} bytes unpack to more than {self._unpacked}")
            yield piece
            full = len(piece) == STEP  # then more may wait inside the decompressor
            rest = self._gzip.unconsumed_tail or self._gzip.unused_data


class _Tar:
    """The tar inside: three members in their order, then two empty blocks, then nothing."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._waiting = list(MEMBERS)
        self._member = ""
        self._left = 0
        self._padding = 0
        self._block = bytearray()
        self._empty = 0
        self._kept = {META: bytearray(), SUMS: bytearray()}
        self._sums = {META: hashlib.sha256(), STATE: hashlib.sha256()}
        self.meta: _Meta | None = None
        self.state_bytes = 0

    def push(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            if self._left:
                taken = min(self._left, len(view))
                self._content(view[:taken])
                self._left -= taken
            elif self._padding:
                taken = min(self._padding, len(view))
                if any(view[:taken]):
                    raise BadSnapshot(Reason.CORRUPT, f"what fills the block after {self._member} is not empty")
                self._padding -= taken
            else:
                taken = min(BLOCK - len(self._block), len(view))
                self._block += view[:taken]
                if len(self._block) == BLOCK:
                    self._header(bytes(self._block))
                    self._block.clear()
            view = view[taken:]

    def end(self) -> "_Meta":
        """The parsed meta.json of a whole tar whose sums hold."""
        if self._empty != 2 or self._block:  # noqa: PLR2004 -- a tar ends with two empty blocks
            missing = ", ".join(self._waiting)
            if self._waiting:
                raise BadSnapshot(Reason.WRONG_MEMBERS, f"the archive ends without {missing}")
            raise BadSnapshot(Reason.CUT_SHORT, "the tar inside does not end as it should")
        _check_sums(bytes(self._kept[SUMS]), {name: each.hexdigest() for name, each in self._sums.items()})
        meta = _parse_meta(bytes(self._kept[META]))
        if meta.size != self.state_bytes:
            raise BadSnapshot(
                Reason.CORRUPT, f"meta.json says {meta.size} bytes of state, there are {self.state_bytes}"
            )
        return meta

    def _content(self, data: memoryview) -> None:
        if self._member in self._sums:
            self._sums[self._member].update(data)
        if self._member in self._kept:
            self._kept[self._member] += data
        if self._member == META and len(data) == self._left:
            self.meta = _parse_meta(bytes(self._kept[META]))

    def _header(self, block: bytes) -> None:
        if self._empty == 2:  # noqa: PLR2004 -- a tar ends with two empty blocks
            raise BadSnapshot(Reason.TRAILING_DATA, "there are bytes after the end of the tar")
        if not any(block):
            if self._waiting:
                raise BadSnapshot(Reason.WRONG_MEMBERS, f"the archive ends without {', '.join(self._waiting)}")
            self._empty += 1
            return
        if self._empty:
            raise BadSnapshot(Reason.CORRUPT, "a tar header follows an empty block")
        self._begin(*_parse_header(block))

    def _begin(self, name: str, size: int) -> None:
        if not self._waiting or name != self._waiting[0]:
            expected = self._waiting[0] if self._waiting else "nothing more"
            raise BadSnapshot(Reason.WRONG_MEMBERS, f"expected {expected}, found {name!r:.100}")
        most = LARGEST_SMALL.get(name, self._limits.state_bytes)
        if size > most:
            raise BadSnapshot(Reason.TOO_LARGE, f"{name} has {size} bytes, at most {most} are taken")
        self._waiting.pop(0)
        self._member, self._left, self._padding = name, size, -size % BLOCK
        if name == STATE:
            self.state_bytes = size


@dataclass(frozen=True, slots=True)
class _Meta:
    index: int
    term: int
    size: int
    servers: int


def _parse_header(block: bytes) -> tuple[str, int]:
    """Name and size of a plain ustar member; anything that makes tar programs disagree is refused."""
    if _octal(block[148:156]) != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise BadSnapshot(Reason.CORRUPT, "a tar header's checksum is wrong")
    name, _, rest = block[:100].partition(b"\0")
    plain = (
        block[257:265] == b"ustar\x0000"
        and block[156:157] == b"0"  # a regular file: no link, no directory, no extended header
        and not any(rest)
        and not any(block[157:257])  # no link target
        and not any(block[345:])  # no prefix to the name
    )
    size = _octal(block[124:136])
    if not plain or size is None:
        raise BadSnapshot(Reason.WRONG_MEMBERS, f"{name!r:.100} is no plain file")
    return name.decode("ascii", "backslashreplace"), size


def _octal(field: bytes) -> int | None:
    """A header's number: octal digits, then nothing but blanks and zero bytes. Base-256 sizes are beyond any limit here."""
    found = re.fullmatch(rb"([0-7]+)[ \x00]+", field)
    return int(found[1], 8) if found else None


def _check_sums(text: bytes, actual: dict[str, str]) -> None:
    lines = re.findall(rb"([0-9a-f]{64})  ([^\n]+)\n", text)
    if sum(64 + 2 + len(name) + 1 for _, name in lines) != len(text):
        raise BadSnapshot(Reason.SUM_WRONG, "SHA256SUMS holds something else than sums")
    said = {name.decode("ascii", "backslashreplace"): digest.decode() for digest, name in lines}
    if len(lines) != len(actual) or said.keys() != actual.keys():
        raise BadSnapshot(Reason.SUM_WRONG, f"SHA256SUMS names {', '.join(sorted(said)) or 'nothing':.200}")
    for name, digest in actual.items():
        if said[name] != digest:
            raise BadSnapshot(Reason.SUM_WRONG, f"the SHA-256 of {name} is {digest}, SHA256SUMS says {said[name]}")


def _parse_meta(raw: bytes) -> _Meta:
    try:
        parsed: object = json.loads(raw)
    except (ValueError, RecursionError) as exc:
        raise BadSnapshot(Reason.CORRUPT, f"meta.json is no JSON: {exc}") from exc
    meta = cast("dict[str, object]", parsed) if isinstance(parsed, dict) else {}
    configuration = meta.get("Configuration")
    servers = cast("dict[str, object]", configuration).get("Servers") if isinstance(configuration, dict) else None
    numbers = [meta.get(key) for key in ("Index", "Term", "Size")]
    whole = [n for n in numbers if isinstance(n, int) and not isinstance(n, bool) and 0 <= n <= LARGEST_NUMBER]
    if meta.get("Version") != 1 or len(whole) < len(numbers) or not isinstance(servers, list):
        raise BadSnapshot(Reason.CORRUPT, "meta.json lacks version 1, an index, a term, a size or its servers")
    return _Meta(*whole, servers=len(cast("list[object]", servers)))
