"""state.bin as a real server reads it: MessagePack records, one byte of type before each, after a header.

Types and fields as in the recorded archives (../../tests/recordings/nomad-1.6.5/*.snap). Written are the things that people made
and that a restore must bring back: jobs with their summaries, namespaces, node pools, nodes, ACL policies, tokens, roles, the
scheduler's configuration and the tables' indexes. Left out is what belongs to machines that exist only in the model, allocations and
evaluations, and what is sealed with a root key, for the archive never holds it. The stand-in keeps its own state in the header, where
a real server ignores what it does not know. A node's secret, which the model has none of, is made from its id: a real server
indexes it, and one that cannot index a record ends itself in the middle of the restore.
"""

from __future__ import annotations

import base64
import json
import struct
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid5

from lab.nomad.http.gotext import parse_rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

OWN = "lab.nomad"
"""The header's entry with the stand-in's own state."""

INDEX = 2
KINDS = {
    "nodes": 0,
    "jobs": 1,
    "job_summaries": 7,
    "acl_policy": 11,
    "acl_token": 12,
    "scheduler_config": 13,
    "acl_roles": 25,
    "node_pools": 28,
    "namespaces": 64,
}
"""The type byte of each table's records."""

INDEXED = {
    "nodes": "nodes",
    "jobs": "jobs",
    "job_summaries": "job_summary",
    "acl_policy": "acl_policy",
    "acl_token": "acl_token",
    "scheduler_config": "scheduler_config",
    "acl_roles": "acl_roles",
    "node_pools": "node_pools",
    "namespaces": "namespaces",
}
"""What a real server calls the tables."""

TIMES = frozenset(
    {"CreateTime", "ExpirationTime", "UpdateTime", "UpdatedAt", "Timestamp", "StartedAt", "FinishedAt", "ForceDeadline"}
)
BINARY = frozenset({"Hash", "Payload"})
FREE = frozenset({"ParameterizedJob", "Meta", "Env", "Config", "Items"})
"""Whose `Payload` is a word, or whose keys are the user's own."""
YEAR_ONE = datetime(1, 1, 1, tzinfo=UTC)


def state_bin(state: Mapping[str, Any]) -> bytes:
    """The content of state.bin for what `persistence.dump` answered."""
    return b"".join(_records(state))


def own_state(content: bytes) -> Any:  # noqa: ANN401 -- the state that `state_bin` was given, or None
    """The stand-in's own state, or None when a real server wrote this."""
    start = _map_head(1) + packed(OWN)
    if not content.startswith(start):
        return None
    kind, size = content[len(start)], int.from_bytes(content[len(start) + 1 : len(start) + 5], "big")
    if kind != 0xDB:
        return None
    return json.loads(content[len(start) + 5 : len(start) + 5 + size])


def _records(state: Mapping[str, Any]) -> Iterator[bytes]:
    own = json.dumps(state, separators=(",", ":")).encode()
    yield _map_head(1) + packed(OWN) + b"\xdb" + len(own).to_bytes(4, "big") + own
    for table, content in state["tables"].items():
        if table in KINDS:
            yield bytes([INDEX]) + packed({"Key": INDEXED[table], "Value": content["index"]})
            for _, record in content["rows"]:
                secret = {"SecretID": str(uuid5(NAMESPACE_OID, record["ID"]))} if table == "nodes" else {}
                yield bytes([KINDS[table]]) + packed(_as_struct(record) | secret)


def _as_struct(value: Any, name: str = "") -> Any:  # noqa: ANN401 -- JSON in, what the struct's field holds out
    """What the API shows as text, and a server keeps otherwise."""
    if name in FREE:
        return value
    if isinstance(value, dict):
        return {key: _as_struct(each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [_as_struct(each, name) for each in value]
    if isinstance(value, str) and name in TIMES:
        return binary_time(parse_rfc3339(value)) if value else None
    if isinstance(value, str) and name in BINARY:
        return base64.b64decode(value)
    return 0 if name == "ExpirationTTL" and value == "" else value


def binary_time(when: datetime) -> bytes:
    """A time as Go's `Time.MarshalBinary` writes it: version 1, seconds since year one, nanoseconds, no zone but UTC."""
    since = when - YEAR_ONE
    seconds = since.days * 86400 + since.seconds
    return b"\x01" + seconds.to_bytes(8, "big") + (since.microseconds * 1000).to_bytes(4, "big") + b"\xff\xff"


def _map_head(size: int) -> bytes:
    return b"\xdf" + size.to_bytes(4, "big")


def _whole(value: int) -> bytes:
    return b"\xd3" + value.to_bytes(8, "big", signed=True) if value < 0 else b"\xcf" + value.to_bytes(8, "big")


def _raw(value: bytes) -> bytes:
    return (bytes([0xA0 | len(value)]) if len(value) < 32 else b"\xdb" + len(value).to_bytes(4, "big")) + value


def packed(value: Any) -> bytes:  # noqa: ANN401 -- anything that JSON has, and bytes
    """MessagePack in its oldest form, with one kind of text and bytes (https://github.com/msgpack/msgpack/blob/master/spec-old.md)."""
    for kind, write in WRITERS.items():
        if isinstance(value, kind):
            return write(value)
    raise TypeError(f"{type(value).__name__} has no place in a snapshot")


WRITERS: dict[type, Callable[[Any], bytes]] = {
    type(None): lambda _: b"\xc0",
    bool: lambda value: b"\xc3" if value else b"\xc2",
    int: _whole,
    float: lambda value: b"\xcb" + struct.pack(">d", value),
    str: lambda value: _raw(value.encode()),
    bytes: _raw,
    list: lambda value: b"\xdd" + len(value).to_bytes(4, "big") + b"".join(map(packed, value)),
    dict: lambda value: _map_head(len(value)) + b"".join(packed(str(k)) + packed(v) for k, v in value.items()),
}
"""By kind; a bool is an int, too, and stands first."""
