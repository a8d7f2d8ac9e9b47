"""Data keys of snapshots: made here, wrapped by a Key Vault key, and used for frames of AES-256-GCM (`keeper.core.frames`)."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from keeper.core import frames
from keeper.core.frames import FRAME_BYTES, HEADER_BYTES, KEY_BYTES, TAG_BYTES, Cutter
from keeper.core.snapshots import BadSnapshot, Reason, WrappedKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM


@dataclass(frozen=True)
class OpenKey:
    """The `DataKey` port: a data key in hand. It is never logged, stored or shown."""

    wrapped: WrappedKey
    _secret: bytes

    def __repr__(self) -> str:
        return f"OpenKey({self.wrapped.key}/{self.wrapped.version})"

    def seal(self, name: str) -> "FrameSeal":
        """See the port."""
        return FrameSeal(self._cipher(name), name)

    def open(self, name: str, sealed: Iterator[bytes]) -> Iterator[bytes]:
        """See the port."""
        return _opened(self._cipher(name), name, sealed)

    def _cipher(self, name: str) -> "AESGCM":
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # noqa: PLC0415 -- loaded when first used
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415 -- the same
        from cryptography.hazmat.primitives.kdf.hkdf import HKDF  # noqa: PLC0415 -- the same

        return AESGCM(HKDF(SHA256(), KEY_BYTES, None, frames.info(name)).derive(self._secret))


class FrameSeal:
    """The `Seal` port."""

    def __init__(self, cipher: "AESGCM", name: str, frame_bytes: int = FRAME_BYTES) -> None:
        self._cipher = cipher
        self._name = name
        self._cutter = Cutter.of(frame_bytes)
        self._head = frames.header(frame_bytes)

    def push(self, data: bytes) -> bytes:
        """See the port."""
        ready = [self._begin(), *(self._frame(number, piece, last=False) for number, piece in self._cutter.push(data))]
        return b"".join(ready)

    def end(self) -> bytes:
        """See the port."""
        return self._begin() + self._frame(*self._cutter.end(), last=True)

    def _begin(self) -> bytes:
        head, self._head = self._head, b""
        return head

    def _frame(self, number: int, piece: bytes, *, last: bool) -> bytes:
        bound = frames.bound(self._name, self._cutter.size, number, last=last)
        return self._cipher.encrypt(frames.nonce(number, last=last), piece, bound)


def _opened(cipher: "AESGCM", name: str, sealed: Iterator[bytes]) -> Iterator[bytes]:
    head, rest = _head(sealed)
    frame_bytes = frames.frame_bytes_of(head)
    if frame_bytes is None:
        raise BadSnapshot(Reason.UNREADABLE, f"{name} is no sealed snapshot: it starts with {head.hex() or 'nothing'}")
    cutter = Cutter.of(frame_bytes + TAG_BYTES)
    for data in rest:
        for number, piece in cutter.push(data):
            yield _plain(cipher, name, frame_bytes, number, piece, last=False)
    number, piece = cutter.end()
    yield _plain(cipher, name, frame_bytes, number, piece, last=True)


def _head(sealed: Iterator[bytes]) -> tuple[bytes, Iterator[bytes]]:
    """The header, and what follows it."""
    held = b""
    for data in sealed:
        held += data
        if len(held) >= HEADER_BYTES:
            break

    def rest() -> Iterator[bytes]:
        yield held[HEADER_BYTES:]
        yield from sealed

    return held[:HEADER_BYTES], rest()


def _plain(cipher: "AESGCM", name: str, frame_bytes: int, number: int, piece: bytes, *, last: bool) -> bytes:
    from cryptography.exceptions import InvalidTag  # noqa: PLC0415 -- loaded when first used

    try:
        return cipher.decrypt(
            frames.nonce(number, last=last), piece, frames.bound(name, frame_bytes, number, last=last)
        )
    except (InvalidTag, ValueError) as exc:  # ValueError: shorter than a tag
        what = "the end is missing, or it was changed" if last else "it was changed, moved, or sealed with another key"
        raise BadSnapshot(Reason.UNREADABLE, f"frame {number} of {name} does not open: {what}") from exc


def fresh() -> bytes:
    """A new data key from the system's source of randomness."""
    return os.urandom(KEY_BYTES)
