"""MessagePack as Consul's state files have it, read; `lab.nomad.fsm.packed` writes it.

Consul writes text and bytes alike as the old raw form (https://github.com/msgpack/msgpack/blob/master/spec-old.md), so values come
back as bytes: who knows the field knows which it is. Keys are text.
"""

from __future__ import annotations

import struct
from typing import Any

SIZED = {
    0xD9: (1, "raw"),
    0xDA: (2, "raw"),
    0xDB: (4, "raw"),
    0xC4: (1, "raw"),
    0xC5: (2, "raw"),
    0xC6: (4, "raw"),
    0xDC: (2, "list"),
    0xDD: (4, "list"),
    0xDE: (2, "dict"),
    0xDF: (4, "dict"),
}
NUMBERS = {0xCC: ">B", 0xCD: ">H", 0xCE: ">I", 0xCF: ">Q", 0xD0: ">b", 0xD1: ">h", 0xD2: ">i", 0xD3: ">q", 0xCB: ">d"}
CONSTANTS = {0xC0: None, 0xC2: False, 0xC3: True}
SMALL = ((0x80, 0xF0, "dict"), (0x90, 0xF0, "list"), (0xA0, 0xE0, "raw"))


class Reader:
    """Reads one value after the other; raises `ValueError` or `IndexError` for what is none."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.at = 0

    @property
    def done(self) -> bool:
        """Whether nothing is left."""
        return self.at >= len(self._data)

    def byte(self) -> int:
        """The next byte."""
        self.at += 1
        return self._data[self.at - 1]

    def value(self) -> Any:  # noqa: ANN401 -- anything that MessagePack has
        """The next value."""
        kind = self.byte()
        if kind < 0x80 or kind >= 0xE0:
            return kind if kind < 0x80 else kind - 0x100
        if kind in CONSTANTS:
            return CONSTANTS[kind]
        if kind in NUMBERS:
            return struct.unpack(NUMBERS[kind], self._take(struct.calcsize(NUMBERS[kind])))[0]
        if kind in SIZED:
            width, form = SIZED[kind]
            return self._of(form, int.from_bytes(self._take(width), "big"))
        for start, mask, form in SMALL:
            if kind & mask == start:
                return self._of(form, kind & ~mask & 0xFF)
        raise ValueError(f"0x{kind:02x} is no MessagePack")

    def _of(self, form: str, size: int) -> Any:  # noqa: ANN401 -- the same
        if form == "raw":
            return self._take(size)
        if form == "list":
            return [self.value() for _ in range(size)]
        return {self.value().decode(): self.value() for _ in range(size)}

    def _take(self, size: int) -> bytes:
        if self.at + size > len(self._data):
            raise ValueError("the state ends in the middle of a value")
        self.at += size
        return self._data[self.at - size : self.at]
