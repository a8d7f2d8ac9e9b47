"""Root keys outside the archive, for Nomad before 1.9: what a server deposits, and what lies beside a snapshot. Pure.

A server keeps each root key in a file `<key id>.nks.json`: the key (`DEK`) encrypted with AES-256-GCM under a key of its own
(`KEK`) that lies beside it in clear text. The node program has the Key Vault key wrap that one field and deposits the rest
as it is, one blob per root key, written once:

    keystores/<cluster>/<key id>.json             {"keystore": 1, "file": {...}, "key": id, "version": v, "algorithm": a}
    keystores/<cluster>/servers/<server>.json     {"keystore": 1, "server": name, "keys": [ids on its disk], "at": time}

So a deposit is sealed by the same Key Vault key as the snapshots, and the keeper passes it on without opening it. What lies
beside a snapshot (`Part.KEYSTORE`) is the deposits of all its root keys, in one JSON object: `{"keystore": 1, "keys": {...}}`.
"""

import json
import re
from collections.abc import Collection, Mapping
from typing import cast

from keeper.core.problems import FieldError

VERSION = 1
CONTAINER = "keystores"
KEY_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def missing(deposits: Mapping[str, bytes], needed: Collection[str]) -> list[str]:
    """The needed root keys that were never deposited, or whose deposit is damaged."""
    return sorted(key for key in needed if key not in deposits or not _is_deposit(deposits[key]))


def _is_deposit(body: bytes) -> bool:
    try:
        return _object("deposit", body).get("keystore") == VERSION
    except FieldError:
        return False


def bundle(deposits: Mapping[str, bytes], needed: Collection[str]) -> bytes | None:
    """What goes beside a snapshot that needs those root keys, or None when one of them is missing."""
    if not needed or missing(deposits, needed):
        return None
    keys = {key: json.loads(deposits[key]) for key in sorted(needed)}
    return json.dumps({"keystore": VERSION, "keys": keys}, sort_keys=True, separators=(",", ":")).encode()


def unbundle(body: bytes) -> dict[str, bytes]:
    """The deposits of a bundle, by key id; raises `FieldError`."""
    given = _object("keystore", body)
    keys = given.get("keys")
    if given.get("keystore") != VERSION or not isinstance(keys, dict):
        raise FieldError("keystore", f"version {VERSION} with its keys", given.get("keystore"))
    found = cast("dict[str, object]", keys)
    for key in found:
        if not KEY_ID.fullmatch(key):
            raise FieldError("keystore", "ids of root keys", key)
    return {key: json.dumps(one, sort_keys=True, separators=(",", ":")).encode() for key, one in found.items()}


def held_by(body: bytes) -> frozenset[str]:
    """The root keys that a server says are on its disk; raises `FieldError`."""
    given = _object("server", body)
    keys = given.get("keys")
    if given.get("keystore") != VERSION or not isinstance(keys, list):
        raise FieldError("server", f"version {VERSION} with its keys", given.get("keystore"))
    return frozenset(str(key) for key in cast("list[object]", keys))


def lacking(held: Mapping[str, Collection[str]], needed: Collection[str], servers: int) -> list[str]:
    """Who keeps a restore waiting: servers without one of the keys, and how many servers have said nothing yet."""
    without = [server for server, keys in sorted(held.items()) if not set(needed) <= set(keys)]
    silent = servers - len(held)
    return without + ([f"{silent} more"] if silent > 0 else [])


def _object(what: str, body: bytes) -> Mapping[str, object]:
    try:
        parsed: object = json.loads(body)
    except (ValueError, RecursionError):
        raise FieldError(what, "one JSON object", body[:100]) from None
    if not isinstance(parsed, dict):
        raise FieldError(what, "one JSON object", parsed)
    return cast("dict[str, object]", parsed)
