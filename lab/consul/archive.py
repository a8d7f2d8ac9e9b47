"""Consul's archives: state.bin holds MessagePack records, one byte of type before each, after a header.

Types and fields as in `tests/recordings/consul-1.19/snapshot.snap`. Read and written is what the stand-in knows; of a real server's
archive the rest (certificate authority, autopilot, peerings and the like) is passed over.
"""

from __future__ import annotations

import base64
from datetime import UTC, timedelta
from typing import TYPE_CHECKING, Any

from lab.archives import archive_of
from lab.consul.msgpack import Reader
from lab.consul.state import Record, State, Table
from lab.nomad.fsm import YEAR_ONE, binary_time, packed
from lab.nomad.http.gotext import parse_rfc3339
from lab.unpacking import DamagedError, members_of

if TYPE_CHECKING:
    from collections.abc import Iterator

REGISTER, INDEX = 0, 16
KINDS = {
    Table.KEYS: 2,
    Table.SESSIONS: 3,
    Table.TOKENS: 17,
    Table.POLICIES: 19,
    Table.ROLES: 23,
    Table.METHODS: 27,
}
"""The type byte of each table's records; nodes, services and checks share one."""

KEY_OF = {
    Table.KEYS: "Key",
    Table.SESSIONS: "ID",
    Table.TOKENS: "AccessorID",
    Table.POLICIES: "ID",
    Table.ROLES: "ID",
    Table.METHODS: "Name",
}
BINARY = frozenset({"Value", "Hash"})
TIMES = frozenset({"CreateTime", "ExpirationTime"})
UNSHOWN = frozenset(
    {
        *("Policies", "Roles", "ServiceIdentities", "NodeIdentities", "TemplatedPolicies"),
        *("AuthMethod", "ExpirationTime", "ExpirationTTL", "Session", "Checks"),
    }
)
"""Left out by the API when they are empty."""


def pack(state: State, term: int) -> bytes:
    """The archive of a state."""
    return archive_of(b"".join(_records(state)), state.index, term)


def unpack(body: bytes) -> State:
    """The state in an archive; raises `DamagedError`."""
    content = members_of(body)["state.bin"]
    try:
        return _read(Reader(content))
    except (ValueError, IndexError, KeyError, AttributeError) as exc:
        raise DamagedError(f"Raft error when restoring snapshot: failed to restore snapshot: {exc}") from exc


def _records(state: State) -> Iterator[bytes]:
    yield packed({"LastIndex": state.index})
    for node in state.rows(Table.NODES):
        yield _record(REGISTER, _registration(node))
        for table, field in ((Table.SERVICES, "Service"), (Table.CHECKS, "Check")):
            for each in state.rows(table):
                if each["Node"] == node["Node"]:
                    yield _record(REGISTER, {**_registration(node), field: _as_struct(each)})
    for table, kind in KINDS.items():
        for record in state.rows(table):
            yield _record(kind, _as_struct(record))
    for name, index in state.changed.items():
        yield _record(INDEX, {"Key": str(name), "Value": index})


def _record(kind: int, value: Record) -> bytes:
    return bytes([kind]) + packed(value)


def _registration(node: Record) -> Record:
    same = {name: node[name] for name in ("ID", "Node", "Address", "Datacenter", "CreateIndex", "ModifyIndex")}
    return {**same, "TaggedAddresses": None, "NodeMeta": node["Meta"], "Service": None, "Check": None}


def _as_struct(record: Record) -> Record:
    return {name: _field(name, value) for name, value in record.items()}


def _field(name: str, value: Any) -> Any:  # noqa: ANN401 -- what the API shows in, what the struct holds out
    if name in TIMES:
        return binary_time(parse_rfc3339(value))
    return base64.b64decode(value) if name in BINARY and value is not None else value


def _read(reader: Reader) -> State:
    tables = {kind: table for table, kind in KINDS.items()}
    state = State(index=reader.value()["LastIndex"])
    while not reader.done:
        kind, value = reader.byte(), reader.value()
        if kind == REGISTER:
            _register(state, _shown(value))
        elif kind == INDEX and value["Key"].decode() in set(Table):
            state.changed[Table(value["Key"].decode())] = value["Value"]
        elif kind in tables:
            record = _shown(value)
            state.tables[tables[kind]][record[KEY_OF[tables[kind]]]] = record
    return state


def _register(state: State, given: Record) -> None:
    name = given["Node"]
    node = {key: given[key] for key in ("ID", "Node", "Address", "Datacenter", "CreateIndex", "ModifyIndex")}
    state.tables[Table.NODES][name] = {**node, "TaggedAddresses": None, "Meta": given["NodeMeta"]}
    for table, field, key in ((Table.SERVICES, "Service", "ID"), (Table.CHECKS, "Check", "CheckID")):
        if given.get(field):
            state.tables[table][f"{name}/{given[field][key]}"] = {**given[field], "Node": name}


def _shown(record: Record) -> Record:
    """A record as the API shows it."""
    shown = {name: _text(name, value) for name, value in record.items()}
    return {name: value for name, value in shown.items() if value or name not in UNSHOWN}


def _text(name: str, value: Any) -> Any:  # noqa: ANN401 -- the reverse of `_field`, all the way down
    if isinstance(value, dict):
        return {key: _text(key, each) for key, each in value.items()}
    if isinstance(value, list):
        return [_text(name, each) for each in value]
    if not isinstance(value, bytes):
        return value
    if name in TIMES:
        since = timedelta(seconds=int.from_bytes(value[1:9], "big"))
        nanoseconds = int.from_bytes(value[9:13], "big")
        return f"{(YEAR_ONE + since).astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{nanoseconds:09d}Z"
    return base64.b64encode(value).decode() if name in BINARY else value.decode("utf-8", "replace")
