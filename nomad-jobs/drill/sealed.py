"""Opens sealed blobs with nothing but the standard library and the system's OpenSSL.

The format is that of `keeper/core/frames.py`: AES-256-GCM frames bound to the blob's name, their order and their end. Python has
no AES of its own; its `ssl` module is linked to libcrypto, so that library is on every machine that runs this program.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import hashlib
import hmac
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMAT = b"nkseal-1/aes-256-gcm"
MAGIC = b"NKSEAL\x01\n"
HEADER_BYTES, TAG_BYTES, KEY_BYTES = len(MAGIC) + 4, 16, 32
LARGEST_FRAME = 16 * 1024 * 1024
SET_TAG = 0x11
"""EVP_CTRL_AEAD_SET_TAG (https://docs.openssl.org/3.0/man3/EVP_EncryptInit/)."""


class Unreadable(Exception):
    """The blob is not what was sealed under that name."""


def opened(secret: bytes, name: str, sealed: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the plain bytes of the blob of that name, each frame only once its tag holds."""
    pieces = iter(sealed)
    held = bytearray()
    while len(held) < HEADER_BYTES:
        piece = next(pieces, None)
        if piece is None:
            raise Unreadable(f"{name} is no sealed blob: it has {len(held)} bytes")
        held += piece
    head = bytes(held[:HEADER_BYTES])
    del held[:HEADER_BYTES]
    size = int.from_bytes(head[len(MAGIC) :], "big")
    if not head.startswith(MAGIC) or not 0 < size <= LARGEST_FRAME:
        raise Unreadable(f"{name} is no sealed blob: it starts with {head.hex()}")
    key, number = _derived(secret, name), 0
    for piece in pieces:
        held += piece
        while len(held) > size + TAG_BYTES:
            frame = bytes(held[: size + TAG_BYTES])
            del held[: size + TAG_BYTES]
            yield _plain(key, name, head, number, frame, last=False)
            number += 1
    while len(held) > size + TAG_BYTES:
        frame = bytes(held[: size + TAG_BYTES])
        del held[: size + TAG_BYTES]
        yield _plain(key, name, head, number, frame, last=False)
        number += 1
    yield _plain(key, name, head, number, bytes(held), last=True)


def _derived(secret: bytes, name: str) -> bytes:
    """HKDF-SHA256 without salt, one block (https://www.rfc-editor.org/rfc/rfc5869)."""
    extracted = hmac.new(bytes(hashlib.sha256().digest_size), secret, hashlib.sha256).digest()
    return hmac.new(extracted, FORMAT + b"\0" + name.encode() + b"\x01", hashlib.sha256).digest()


def _plain(key: bytes, name: str, head: bytes, number: int, frame: bytes, *, last: bool) -> bytes:
    nonce = number.to_bytes(8, "big") + bytes([last]) + bytes(3)
    plain = None
    if len(frame) >= TAG_BYTES:
        plain = _decrypt(key, nonce, head + name.encode() + b"\0" + nonce, frame[:-TAG_BYTES], frame[-TAG_BYTES:])
    if plain is None:
        raise Unreadable(f"frame {number} of {name} does not open: it was changed, moved or cut")
    return plain


def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(ctypes.util.find_library("crypto") or "libcrypto.so.3")
    library.EVP_CIPHER_CTX_new.restype = ctypes.c_void_p
    library.EVP_aes_256_gcm.restype = ctypes.c_void_p
    return library


_crypto = _library()


def _decrypt(key: bytes, nonce: bytes, bound: bytes, sealed: bytes, tag: bytes) -> bytes | None:
    """The plain bytes, or None when the tag does not hold."""
    context = ctypes.c_void_p(_crypto.EVP_CIPHER_CTX_new())
    try:
        out, length = ctypes.create_string_buffer(len(sealed) + TAG_BYTES), ctypes.c_int(0)
        cipher = ctypes.c_void_p(_crypto.EVP_aes_256_gcm())
        good = (
            _crypto.EVP_DecryptInit_ex(context, cipher, None, key, nonce) == 1
            and _crypto.EVP_DecryptUpdate(context, None, ctypes.byref(length), bound, len(bound)) == 1
            and _crypto.EVP_DecryptUpdate(context, out, ctypes.byref(length), sealed, len(sealed)) == 1
        )
        size = length.value
        good = (
            good
            and _crypto.EVP_CIPHER_CTX_ctrl(context, SET_TAG, TAG_BYTES, tag) == 1
            and _crypto.EVP_DecryptFinal_ex(context, ctypes.byref(out, size), ctypes.byref(length)) == 1
        )
        return out.raw[:size] if good else None
    finally:
        _crypto.EVP_CIPHER_CTX_free(context)
