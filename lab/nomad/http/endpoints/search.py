"""/v1/search and /v1/search/fuzzy: what the Nomad CLI resolves short identifiers with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.decode import Struct
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.variables import VARIABLES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record

LIMIT = 20
_SEARCH = Struct(
    "structs.SearchRequest", {"Prefix": "string", "Context": "string", "Namespace": "string", "Region": "string"}
)
_FUZZY = Struct("structs.FuzzySearchRequest", {"Text": "string", "Context": "string", "Namespace": "string"})

_TABLES: dict[str, str] = {
    "allocs": Table.ALLOCS,
    "jobs": Table.JOBS,
    "nodes": Table.NODES,
    "node_pools": Table.NODE_POOLS,
    "evals": Table.EVALS,
    "deployment": Table.DEPLOYMENTS,
    "plugins": "csi_plugins",
    "volumes": "csi_volumes",
    "scaling_policy": "scaling_policy",
    "vars": VARIABLES,
    "namespaces": Table.NAMESPACES,
}
_ALWAYS_SHOWN = frozenset({"evals", "deployment", "volumes", "scaling_policy"})
"""What a fuzzy search looks up by the beginning of identifiers: listed also when nothing is found."""
_BY_JOB = frozenset({"allocs", "jobs", "evals", "deployment", "scaling_policy"})


def _sufficient(call: Call, context: str, namespace: str) -> bool:
    rights = call.rights
    if context in _BY_JOB:
        return rights.namespace(namespace, "read-job")
    checks: dict[str, Callable[[], bool]] = {
        "nodes": lambda: rights.read("node"),
        "node_pools": rights.any_pool,
        "namespaces": lambda: rights.any_in_namespace(namespace),
        "vars": lambda: rights.any_variable(namespace),
        "plugins": lambda: rights.read("plugin"),
        "volumes": lambda: rights.namespace(namespace, "csi-list-volume", "csi-read-volume", "list-jobs", "read-job"),
    }
    return checks[context]() if context in checks else True


def _contexts(call: Call, context: str, namespace: str) -> list[str]:
    if context != "all":
        if context not in _TABLES:
            known = f"[{' '.join(_TABLES)}] or 'all' for all contexts"
            raise Refusal(500, f'context must be one of {known}; got "{context}"')
        call.may(_sufficient(call, context, namespace))
        return [context]
    return [name for name in _TABLES if _sufficient(call, name, namespace)]


def _names(call: Call, context: str, namespace: str) -> Iterator[tuple[str, Record]]:
    rights = call.rights
    for record in call.store.rows(_TABLES[context]):
        if context in _BY_JOB or context == "vars":
            if namespace not in {"*", record["Namespace"]}:
                continue
            name = record["Path"] if context == "vars" else record["ID"]
            if context == "vars" and not rights.variable(record["Namespace"], name, "list"):
                continue
        elif context == "nodes":
            name = record["ID"]
        else:
            name = record["Name"]
            readable = rights.pool(name, "read") if context == "node_pools" else rights.any_in_namespace(name)
            if not readable:
                continue
        yield name, record


def prefix(call: Call) -> Answer:
    """Find identifiers by their beginning: at most twenty of a kind."""
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(_SEARCH) or {}
    namespace, wanted = call.namespace, body.get("Prefix") or ""
    contexts = _contexts(call, body.get("Context") or "", namespace)
    matches: dict[str, list[str]] = {}
    truncated: dict[str, bool] = {}
    for context in contexts:
        found = [name for name, _ in _names(call, context, namespace) if name.startswith(wanted)]
        matches[context], truncated[context] = found[:LIMIT], len(found) > LIMIT
    return _answer(call, contexts, {name: found or None for name, found in matches.items()}, truncated)


def _answer(call: Call, contexts: list[str], matches: dict[str, Any], truncated: dict[str, bool]) -> Answer:
    tables = [_TABLES[context] for context in contexts]
    index = max((call.store.table_index(table) for table in tables), default=0)
    body = {
        "Matches": matches,
        "Truncations": truncated,
        "Index": index,
        "KnownLeader": True,
        "LastContact": 0,
        "NextToken": "",
    }
    return call.read(body, *tables)


def fuzzy(call: Call) -> Answer:
    """Find names that contain a text in any case; identifiers by their beginning."""
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(_FUZZY) or {}
    text, namespace = (body.get("Text") or "").lower(), call.namespace
    if len(text) < 2:
        raise Refusal(500, f"fuzzy search query must be at least 2 characters, got {len(text)}")
    contexts = _contexts(call, body.get("Context") or "", namespace)
    matches: dict[str, list[dict[str, Any]]] = {name: [] for name in contexts if name in _ALWAYS_SHOWN}
    truncated: dict[str, bool] = dict.fromkeys(contexts, False)
    for context in contexts:
        found = [
            match
            for name, record in _names(call, context, namespace)
            for match in _fuzzy_matches(context, name, record, text)
        ]
        for kind, match in found:
            matches.setdefault(kind, []).append(match)
    for kind, listed in matches.items():
        listed.sort(key=lambda match: (match["ID"].lower().find(text), match["ID"]))
        truncated[kind] = len(listed) > LIMIT
        del listed[LIMIT:]
    return _answer(call, contexts, matches, truncated)


def _fuzzy_matches(context: str, name: str, record: Record, text: str) -> list[tuple[str, dict[str, Any]]]:
    if context in {"evals", "deployment", "scaling_policy"}:
        return [(context, {"ID": name})] if name.startswith(text) else []
    if context == "jobs":
        return _job_matches(record, text)
    shown, scope = name, [name]
    if context in {"nodes", "allocs"}:
        shown = record["Name"]
        scope = [name] if context == "nodes" else [record["Namespace"], name]
    elif context == "vars":
        scope = [record["Namespace"], name]
    match = {"ID": shown} if context == "namespaces" else {"ID": shown, "Scope": scope}
    return [(context, match)] if text in shown.lower() else []


def _job_matches(job: Record, text: str) -> list[tuple[str, dict[str, Any]]]:
    found: list[tuple[str, dict[str, Any]]] = []
    scope = [job["Namespace"], job["ID"]]
    if text in job["Name"].lower():
        found.append(("jobs", {"ID": job["Name"], "Scope": scope}))
    for group in job["TaskGroups"] or []:
        if text in group["Name"].lower():
            found.append(("groups", {"ID": group["Name"], "Scope": scope}))
        found += [
            ("tasks", {"ID": task["Name"], "Scope": [*scope, group["Name"]]})
            for task in group["Tasks"] or []
            if text in task["Name"].lower()
        ]
        found += [
            ("commands", {"ID": command, "Scope": [*scope, group["Name"], task["Name"]]})
            for task in group["Tasks"] or []
            if text in (command := str((task["Config"] or {}).get("command") or "")).lower()
        ]
    return found
