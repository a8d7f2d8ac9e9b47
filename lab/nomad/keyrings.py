"""The two keyrings of the servers: the gossip key's, and the root keys that variables are encrypted with.

Behaviour held to ../../tests/recordings/nomad-1.6.5 (08-agent.json, 07-snapshot.json).
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lab.nomad.http.gotext import nanoseconds, quote
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.store import Record, Store

ROOT_KEYS = "root_key_meta"


@dataclass(slots=True)
class GossipKeyring:
    """The keys that gossip is encrypted with; every server holds the same ones here."""

    primary: str = "cg8StVXbQJ0gPvMd9o7yrg=="
    keys: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Hold the primary key."""
        self.keys = self.keys or [self.primary]

    def change(self, operation: str, key: str, servers: int) -> None:
        """Install, use or remove a key; refusals are 500 as every server would report them."""
        try:
            raw = base64.b64decode(key, validate=True)
        except binascii.Error as exc:
            raise Refusal(500, f"illegal base64 data at input byte {_first_wrong(key)}") from exc
        allowed = {
            "install": len(raw) in {16, 24, 32},
            "use": key in self.keys,
            "remove": key != self.primary,
        }
        if not allowed[operation]:
            raise Refusal(500, f"{servers}/{servers} nodes reported failure")
        self._apply(operation, key)

    def _apply(self, operation: str, key: str) -> None:
        if operation == "install" and key not in self.keys:
            self.keys.append(key)
        elif operation == "use":
            self.primary = key
        elif operation == "remove" and key in self.keys:
            self.keys.remove(key)


def _first_wrong(text: str) -> int:
    alphabet = set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
    wrong = [number for number, character in enumerate(text.rstrip("=")) if character not in alphabet]
    return wrong[0] if wrong else len(text)


class RootKeyring:
    """The root keys: their metadata is in the state (and so in snapshots), the keys themselves are on each server's disk."""

    def __init__(self, store: Store, fresh: Callable[[], str]) -> None:
        self._store, self._fresh = store, fresh
        self.keystore: set[str] = set()
        """IDs of the keys whose files are in data_dir/server/keystore."""

    def initialize(self) -> None:
        """Make the first key, as the first leader of a region does; with a key there, do nothing."""
        if not self._store.rows(ROOT_KEYS):
            self.rotate(full=False)

    def rotate(self, *, full: bool) -> Record:
        """Make a new active key. A full rotation marks the others for re-encryption, a plain one as inactive."""
        ident = self._fresh()
        with self._store.transaction():
            for key in self._store.rows(ROOT_KEYS):
                if full or key["State"] == "active":
                    state = "rekeying" if full else "inactive"
                    self._store.put(ROOT_KEYS, key["KeyID"], {**key, "State": state})
            self.keystore.add(ident)
            record = {
                "KeyID": ident,
                "Algorithm": "aes256-gcm",
                "CreateTime": nanoseconds(self._store.now()),
                "State": "active",
            }
            return self._store.put(ROOT_KEYS, ident, record)

    def delete(self, ident: str) -> int:
        """Delete a key and answer the index, 0 when there was none; refuse the active one. Its variables are lost."""
        key = self._store.get(ROOT_KEYS, ident)
        if key is None:
            return 0
        if key["State"] == "active":
            raise Refusal(500, "active root key cannot be deleted - call rotate first")
        self._store.delete(ROOT_KEYS, ident)
        self.keystore.discard(ident)
        return self._store.index

    def active(self) -> str:
        """Answer the ID of the active key; refuse with 500 when its file is not there."""
        ident = next((key["KeyID"] for key in self._store.rows(ROOT_KEYS) if key["State"] == "active"), "")
        if not ident:
            raise Refusal(500, "keyring has not been initialized yet")
        self.need(ident)
        return ident

    def need(self, ident: str) -> None:
        """Refuse with 500 when a key's file is not there."""
        if ident not in self.keystore:
            raise Refusal(500, f"no such key {quote(ident)} in keyring")
