"""Damaged archives, generated: each is a way in which a real one may arrive wrong, or be made wrong on purpose.

Every one differs from a sound archive in what a restore would see, or in what a server would never send.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import tarfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.archives import gzip_of, header, sums_of, tar_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

META, STATE, SUMS = "meta.json", "state.bin", "SHA256SUMS"


@dataclass(frozen=True, slots=True)
class Damaged:
    """Bytes that must never become a snapshot, and the digest that comes with them (None: the true one of these bytes)."""

    how: str
    body: bytes
    digest: bytes | None = None


def members_of(archive: bytes) -> dict[str, bytes]:
    """What a sound archive holds."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {info.name: found.read() for info in tar if (found := tar.extractfile(info))}


def flipped(archive: bytes, luck: random.Random) -> Damaged:
    """One bit, anywhere; the digest is the server's, of what it sent."""
    at, bit = luck.randrange(len(archive)), luck.randrange(8)
    body = bytearray(archive)
    body[at] ^= 1 << bit
    return Damaged(f"bit {bit} of byte {at} flipped", bytes(body), hashlib.sha256(archive).digest())


def truncated(archive: bytes, luck: random.Random) -> Damaged:
    """Cut at any byte, with the digest of what was cut: even then the end is missed."""
    return Damaged("truncated", archive[: luck.randrange(len(archive))])


def overwritten(archive: bytes, luck: random.Random) -> Damaged:
    """A stretch of other bytes, as from a bad disk or a mixed-up buffer."""
    at, size = luck.randrange(10, len(archive) - 8), luck.randrange(1, 512)
    body = archive[:at] + luck.randbytes(size) + archive[at + size :]
    return Damaged(f"{size} bytes overwritten at {at}", body, hashlib.sha256(archive).digest())


def dropped(archive: bytes, luck: random.Random) -> Damaged:
    """A stretch is missing in the middle."""
    at, size = luck.randrange(len(archive) - 1), luck.randrange(1, 4096)
    return Damaged(
        f"{size} bytes dropped at {at}", archive[:at] + archive[at + size :], hashlib.sha256(archive).digest()
    )


RANDOM = (flipped, truncated, overwritten, dropped)


def rewritten(archive: bytes) -> Iterator[Damaged]:
    """Well-formed gzip with a true digest around something that no server sends."""
    found = members_of(archive)
    meta, state, sums = found[META], found[STATE], found[SUMS]
    sound = [(META, meta), (STATE, state), (SUMS, sums)]
    yield from _members(sound, meta, state, sums)
    yield from _sums(meta, state)
    yield from _metas(meta, state)
    yield from _tars(sound, state)
    yield from _gzips(archive, tar_of(sound))


def _packed(how: str, members: list[tuple[str, bytes]]) -> Damaged:
    return Damaged(how, gzip_of(tar_of(members)))


def _members(sound: list[tuple[str, bytes]], meta: bytes, state: bytes, sums: bytes) -> Iterator[Damaged]:
    for name, _ in sound:
        yield _packed(f"without {name}", [each for each in sound if each[0] != name])
        yield _packed(f"{name} twice", [*sound, (name, dict(sound)[name])])
        yield _packed(f"{name} empty", [(each, b"" if each == name else body) for each, body in sound])
    for at in range(4):
        yield _packed(f"an extra member at {at}", [*sound[:at], ("extra", b"hello"), *sound[at:]])
    yield _packed("nothing", [])
    for order in ((1, 0, 2), (2, 0, 1), (0, 2, 1), (1, 2, 0), (2, 1, 0)):
        yield _packed(f"members in the order {order}", [sound[at] for at in order])
    for name in ("./state.bin", "/state.bin", "../state.bin", "STATE.BIN", "state.bin ", "state.bin/x", "state.bi"):
        yield _packed(f"state.bin called {name!r}", [(META, meta), (name, state), (SUMS, sums)])
    changed = bytearray(state)
    changed[len(state) // 2] ^= 1
    yield _packed("state.bin changed, sums left", [(META, meta), (STATE, bytes(changed)), (SUMS, sums)])
    yield _packed("state.bin shortened", [(META, meta), (STATE, state[:-1]), (SUMS, sums)])
    yield _packed("state.bin lengthened", [(META, meta), (STATE, state + b"\0"), (SUMS, sums)])
    longer = state + b"\0"
    yield _packed(
        "state.bin lengthened, sums mended",
        [(META, meta), (STATE, longer), (SUMS, sums_of(meta_json=meta, state_bin=longer))],
    )
    yield _packed("meta.json padded", [(META, meta + b" "), (STATE, state), (SUMS, sums)])
    yield _packed("an oversized meta.json", [(META, meta + b" " * 300_000), (STATE, state), (SUMS, sums)])


def _sums(meta: bytes, state: bytes) -> Iterator[Damaged]:
    right = sums_of(meta_json=meta, state_bin=state)
    first, second = right.splitlines(keepends=True)
    texts = {
        "empty": b"",
        "one line": first,
        "the other line": second,
        "one line twice": first + first,
        "a third line": right + first,
        "a line for another file": right + sums_of(other=b""),
        "swapped names": sums_of(meta_json=state, state_bin=meta),
        "upper case": right.upper(),
        "one space": right.replace(b"  ", b" "),
        "no last line feed": right[:-1],
        "a line feed too many": right + b"\n",
        "carriage returns": right.replace(b"\n", b"\r\n"),
        "binary mark": right.replace(b"  ", b" *"),
        "oversized": right + b"#" * 2000,
    }
    for how, text in texts.items():
        yield _packed(f"SHA256SUMS with {how}", [(META, meta), (STATE, state), (SUMS, text)])


def _metas(meta: bytes, state: bytes) -> Iterator[Damaged]:
    parsed = json.loads(meta)
    texts = {
        "no JSON": b"{",
        "a list": b"[]",
        "null": b"null",
        "no index": json.dumps({key: value for key, value in parsed.items() if key != "Index"}).encode(),
        "a negative index": json.dumps({**parsed, "Index": -1}).encode(),
        "an index of text": json.dumps({**parsed, "Index": "7"}).encode(),
        "another size": json.dumps({**parsed, "Size": parsed["Size"] + 1}).encode(),
        "another version": json.dumps({**parsed, "Version": 2}).encode(),
        "no servers": json.dumps({**parsed, "Configuration": None}).encode(),
        "an index behind": json.dumps({**parsed, "Index": 1}).encode(),
    }
    for how, text in texts.items():
        sums = sums_of(meta_json=text, state_bin=state)
        yield _packed(f"meta.json with {how}", [(META, text), (STATE, state), (SUMS, sums)])


def _tars(sound: list[tuple[str, bytes]], state: bytes) -> Iterator[Damaged]:
    kinds = {
        "a symbolic link": tarfile.SYMTYPE,
        "a hard link": tarfile.LNKTYPE,
        "a directory": tarfile.DIRTYPE,
        "a device": tarfile.CHRTYPE,
        "a pipe": tarfile.FIFOTYPE,
        "an old plain file": tarfile.AREGTYPE,
        "a contiguous file": tarfile.CONTTYPE,
    }
    for how, kind in kinds.items():
        info = header(STATE, len(state) if kind in {tarfile.AREGTYPE, tarfile.CONTTYPE} else 0)
        info.type, info.linkname = kind, "/etc/passwd" if kind in {tarfile.SYMTYPE, tarfile.LNKTYPE} else ""
        body = state if info.size else b""
        yield Damaged(f"state.bin as {how}", gzip_of(tar_of([sound[0], (info, body), sound[2]])))
    whole = tar_of(sound)
    for how, change in TRICKS.items():
        yield Damaged(how, gzip_of(change(whole)))
    for form, how in ((tarfile.PAX_FORMAT, "a pax header"), (tarfile.GNU_FORMAT, "GNU headers")):
        yield Damaged(how, gzip_of(_in_format(sound, form)))
    for how, end in (
        ("no end", b""),
        ("half an end", bytes(512)),
        ("a longer end", bytes(1536)),
        ("an odd end", bytes(1100)),
    ):
        yield Damaged(f"a tar with {how}", gzip_of(tar_of(sound, end=end)))
    yield Damaged("a second tar behind the first", gzip_of(whole + whole))
    yield Damaged("bytes behind the tar", gzip_of(whole + b"hello"))


def _in_format(sound: list[tuple[str, bytes]], form: int) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as tar:
        for name, body in sound:
            info = header(name, len(body))
            if form == tarfile.PAX_FORMAT:
                info.pax_headers = {"comment": "hello"}
            tar.addfile(info, io.BytesIO(body))
    return out.getvalue()


def _patched(offset: int, data: bytes, *, mend: bool = True) -> Callable[[bytes], bytes]:
    """Change the first header, and mend its checksum so that only the change shows."""

    def change(whole: bytes) -> bytes:
        block = bytearray(whole[:512])
        block[offset : offset + len(data)] = data
        if mend:
            block[148:156] = b" " * 8
            block[148:156] = f"{sum(block):06o}\0 ".encode()
        return bytes(block) + whole[512:]

    return change


TRICKS: dict[str, Callable[[bytes], bytes]] = {
    "a tar header with a wrong checksum": _patched(100, b"0000777", mend=False),
    "a hidden tail in a name": _patched(20, b"hidden"),
    "a prefix to a name": _patched(345, b"etc"),
    "another magic": _patched(257, b"ustar  \0"),
    "a size in base 256": _patched(124, b"\x80" + (251).to_bytes(11, "big")),
    "a negative size": _patched(124, b"-0000000373\0"),
    "an enormous size": _patched(124, b"77777777777\0"),
    "a size that lies": _patched(124, b"00000000001\0"),
    "filled padding": lambda whole: whole[:1023] + b"x" + whole[1024:],
}


def _gzips(archive: bytes, plain: bytes) -> Iterator[Damaged]:
    yield Damaged("empty", b"")
    yield Damaged("text", b"hello world")
    yield Damaged("a tar without gzip", plain)
    yield Damaged("zlib instead of gzip", zlib.compress(plain))
    yield Damaged("a gzip header only", archive[:10])
    yield Damaged("bytes behind the gzip stream", archive + b"\0")
    yield Damaged("a second gzip stream behind the first", archive + gzip_of(b"hello"))
    yield Damaged("the archive twice", archive + archive)
    yield Damaged("a gzip header with a time", gzip.compress(plain, mtime=1))
    yield Damaged("a gzip header with a name", archive[:3] + b"\x08" + archive[4:10] + b"x\0" + archive[10:])
    yield Damaged("a wrong CRC", archive[:-8] + bytes(4) + archive[-4:])
    yield Damaged("a wrong length", archive[:-4] + bytes(4))
    yield Damaged("a gzip bomb", gzip_of(bytes(64 * 1024 * 1024), 9))
    yield Damaged("a gzip bomb in a tar", gzip_of(tar_of([("meta.json", bytes(32 * 1024 * 1024))]), 9))
    yield Damaged("a wrong digest", archive, hashlib.sha256(b"another").digest())


def damaged(archive: bytes, random_ones: int, seed: int = 1) -> Iterator[Damaged]:
    """All rewritten forms, and that many random ones."""
    luck = random.Random(seed)
    yield from rewritten(archive)
    for number in range(random_ones):
        yield RANDOM[number % len(RANDOM)](archive, luck)
