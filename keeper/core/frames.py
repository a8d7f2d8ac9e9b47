"""How a snapshot's bytes are sealed: AES-256-GCM frames that can be neither swapped, dropped, added nor cut off.

    blob   = HEADER frame*                    at least one frame
    HEADER = "NKSEAL" 0x01 0x0A, plain bytes per frame (4 bytes, big-endian)
    frame  = ciphertext, 16-byte tag          every frame but the last holds exactly that many plain bytes, the last 0 to that many
    nonce  = frame number (8 bytes), 0x01 for the last frame or else 0x00, three bytes 0x00
    bound  = HEADER, the blob's name, 0x00, the nonce     (GCM's associated data)

    key    = HKDF-SHA256(data key, no salt, info = FORMAT, 0x00, the blob's name), 32 bytes

The data key is random and made for one snapshot; each of its blobs has a key of its own, so a counting nonce never repeats
under it. Name, order and end are in what the tag covers: a frame of another blob, in another place, or a blob without its
true last frame does not open.
"""

from collections.abc import Iterator
from dataclasses import dataclass

FORMAT = "nkseal-1/aes-256-gcm"
MAGIC = b"NKSEAL\x01\n"
HEADER_BYTES = len(MAGIC) + 4
TAG_BYTES = 16
KEY_BYTES = 32
FRAME_BYTES = 1024 * 1024
LARGEST_FRAME = 16 * 1024 * 1024


def header(frame_bytes: int) -> bytes:
    """The blob's first bytes."""
    return MAGIC + frame_bytes.to_bytes(4, "big")


def info(name: str) -> bytes:
    """What makes the key of one blob out of the snapshot's data key."""
    return FORMAT.encode() + b"\0" + name.encode()


def frame_bytes_of(head: bytes) -> int | None:
    """The plain bytes per frame that a blob's first bytes name, or None when this is no sealed blob."""
    size = int.from_bytes(head[len(MAGIC) : HEADER_BYTES], "big")
    return size if head.startswith(MAGIC) and len(head) == HEADER_BYTES and 0 < size <= LARGEST_FRAME else None


def nonce(number: int, *, last: bool) -> bytes:
    """The twelve bytes that make each frame unlike all others of its blob."""
    return number.to_bytes(8, "big") + bytes([last]) + bytes(3)


def bound(name: str, frame_bytes: int, number: int, *, last: bool) -> bytes:
    """What a frame's tag covers besides its content; `name` is the blob's, within its container."""
    return header(frame_bytes) + name.encode() + b"\0" + nonce(number, last=last)


def sealed_size(plain: int, frame_bytes: int = FRAME_BYTES) -> int:
    """Bytes of the blob that holds that many plain bytes."""
    frames = max(1, -(-plain // frame_bytes))
    return HEADER_BYTES + plain + frames * TAG_BYTES


@dataclass(slots=True)
class Cutter:
    """Cuts pushed bytes into pieces of one size and holds the newest piece back, because only the end tells which is last.

    Both sealing (pieces of a frame's plain bytes) and opening (with the tag) cut this way; at most one piece and one push
    are in memory.
    """

    size: int
    _held: bytearray
    _number: int = 0

    @classmethod
    def of(cls, size: int) -> "Cutter":
        """A cutter of pieces of `size` bytes."""
        return cls(size, bytearray())

    def push(self, data: bytes | memoryview) -> Iterator[tuple[int, bytes]]:
        """The pieces that are certainly not the last, with their numbers."""
        self._held += data
        while len(self._held) > self.size:
            piece = bytes(memoryview(self._held)[: self.size])
            del self._held[: self.size]
            self._number += 1
            yield self._number - 1, piece

    def end(self) -> tuple[int, bytes]:
        """The last piece, which may be empty, and its number."""
        return self._number, bytes(self._held)
