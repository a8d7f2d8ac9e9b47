"""/v1/vars and /v1/var/:path. Held to tests/recordings/nomad-1.6.5/11-variables.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import Answer
from lab.nomad.http.decode import MapOf, Struct
from lab.nomad.http.gotext import parse_uint
from lab.nomad.http.lists import page
from lab.nomad.http.message import TEXT_TYPE
from lab.nomad.model.errors import Refusal
from lab.nomad.variables import VARIABLES, Conflict, shown

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record

_VARIABLE = Struct("structs.VariableDecrypted", {"Namespace": "string", "Path": "string", "Items": MapOf("string")})


def variables(call: Call) -> Answer:
    """List the variables that the caller may list; those that it may not are left out, not refused."""
    call.only("GET")
    rights = call.rights
    records = [
        record
        for record in call.region.variables.all(call.namespace, call.request.value("prefix"))
        if rights.variable(record["Namespace"], record["Path"], "list")
    ]
    # A filter sees metadata and data as two structs side by side; a variable's own fields are not among its names.
    stubs, token = page(call, [{"VariableMetadata": r} for r in records], _token, _stub)
    return call.read(stubs, VARIABLES, index=max(1, call.store.table_index(VARIABLES)), next_token=token)


def _token(record: Record) -> str:
    known = record["VariableMetadata"]
    return f"{known['Namespace']}.{known['Path']}"


def _stub(record: Record) -> Record:
    return shown(record["VariableMetadata"], items=False)


def variable(call: Call) -> Answer:
    """Read, write or delete a variable."""
    path, method = call.rest, call.request.method
    if not path:
        raise Refusal(400, "missing variable path")
    if method == "GET":
        return _read(call, path)
    if method in {"PUT", "POST"}:
        return _write(call, path)
    if method == "DELETE":
        return _delete(call, path)
    raise Refusal(400, "Invalid method")


def _read(call: Call, path: str) -> Answer:
    call.may(call.rights.variable(call.namespace, path, "read"))
    record = call.region.variables.get(call.namespace, path)
    if record is None:
        answer = call.one(None, "variable not found", VARIABLES)
        answer.index = max(1, call.store.table_index(VARIABLES))
        return answer
    return call.one(record, "", VARIABLES, body=shown(record))


def _cas(call: Call) -> int | None:
    text = call.request.value("cas")
    if not text:
        return None
    try:
        return parse_uint(text)
    except ValueError as exc:
        raise Refusal(400, f"can not parse cas: {exc}") from exc


def _write(call: Call, path: str) -> Answer:
    body: dict[str, Any] = call.body(_VARIABLE) or {}
    if not body.get("Items"):
        raise Refusal(400, "variable missing required Items object")
    cas = _cas(call)
    # The path of the URL counts; the namespace of the body counts only if the query has none.
    namespace = call.request.value("namespace") or body.get("Namespace") or "default"
    return _apply(call, namespace, path, "write", lambda: _put(call, namespace, path, body["Items"], cas))


def _put(call: Call, namespace: str, path: str, items: dict[str, str], cas: int | None) -> Answer:
    return call.written(shown(call.region.variables.put(namespace, path, items, cas)))


def _delete(call: Call, path: str) -> Answer:
    cas = _cas(call)
    return _apply(call, call.namespace, path, "destroy", lambda: _remove(call, path, cas))


def _remove(call: Call, path: str, cas: int | None) -> Answer:
    call.region.variables.delete(call.namespace, path, cas)
    answer = call.written()
    answer.status = 204
    return answer


def _apply(call: Call, namespace: str, path: str, capability: str, act: Callable[[], Answer]) -> Answer:
    # Refusals of a write carry an index of 0, as recorded.
    try:
        rights = call.rights
        call.may(rights.variable(namespace, path, capability))
        return act()
    except Refusal as refusal:
        return Answer(status=refusal.status, raw=refusal.text.encode(), index=0)
    except Conflict as conflict:
        return _conflict(conflict, namespace, path, readable=rights.variable(namespace, path, "read"))


def _conflict(conflict: Conflict, namespace: str, path: str, *, readable: bool) -> Answer:
    current = conflict.current
    if current is None:
        empty = {"CreateIndex": 0, "CreateTime": 0, "ModifyIndex": 0, "ModifyTime": 0, "Items": None}
        return Answer({**empty, "Namespace": namespace, "Path": path}, 409, index=0, content_type=TEXT_TYPE)
    body = shown(current) if readable else {**shown(current), "Items": None}
    return Answer(body, 409, index=current["ModifyIndex"], content_type=TEXT_TYPE)
