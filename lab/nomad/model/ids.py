"""UUID-shaped identifiers from a seeded counter: equal runs give equal identifiers."""

from __future__ import annotations

import hashlib


class Identifiers:
    """A source of identifiers. The n-th identifier of a seed is always the same."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def fresh(self) -> str:
        """Answer the next identifier."""
        self._count += 1
        return uuid_of(f"{self._seed}/{self._count}")


def uuid_of(text: str) -> str:
    """Answer the UUID-shaped digest of a text."""
    digest = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def number_of(text: str) -> int:
    """Answer a 64-bit number that depends only on the text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest())
