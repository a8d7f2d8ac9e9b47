"""/v1/client/fs: the files of an allocation as its client would show them. No process runs here, so logs are empty."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import Answer
from lab.nomad.http.gotext import parse_bool, quote, rfc3339
from lab.nomad.http.lists import uuid_of
from lab.nomad.http.message import JSON_TYPE, TEXT_TYPE
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.times import moment

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record

_FOLDERS = ("alloc/data", "alloc/logs", "alloc/tmp")
_TASK_FOLDERS = ("local", "private", "secrets", "tmp")
_STREAMS = ("stdout", "stderr")


@dataclass(frozen=True, slots=True)
class _Tree:
    """The paths of an allocation's folder, each either a folder or an empty file."""

    folders: frozenset[str]
    files: frozenset[str]

    @classmethod
    def of(cls, alloc: Record) -> _Tree:
        tasks = list(alloc["AllocatedResources"]["Tasks"])
        folders = {"", "alloc", *_FOLDERS, *tasks, *(f"{task}/{name}" for task in tasks for name in _TASK_FOLDERS)}
        started = [task for task, state in (alloc.get("TaskStates") or {}).items() if state["StartedAt"]]
        files = {f"alloc/logs/{task}.{stream}.0" for task in started for stream in _STREAMS}
        return cls(frozenset(folders), frozenset(files))

    def inside(self, folder: str) -> list[str]:
        """Answer what lies in a folder, by name."""
        ahead = f"{folder}/" if folder else ""
        every = (self.folders | self.files) - {""}
        return sorted(path for path in every if path.startswith(ahead) and "/" not in path[len(ahead) :])


def files(call: Call) -> Answer:
    """Do with an allocation's files what the path says: ls, stat, cat, readat, stream, logs."""
    action, _, ident = call.rest.partition("/")
    handler = _ACTIONS.get(action)
    if handler is None:
        raise Refusal(404, "resource not found")
    if not ident:
        raise _refused(action, "must provide a valid alloc id")
    return handler(call, ident)


def _refused(action: str, text: str) -> Refusal:
    # These two write their complaint without a status.
    return Refusal(200 if action in {"cat", "readat"} else 400, text)


def _alloc(call: Call, ident: str, capability: str) -> Record:
    rights = call.rights
    uuid_of(ident, "alloc")
    alloc = call.store.get(Table.ALLOCS, ident.lower())
    if alloc is None:
        raise Refusal(404, f'Unknown allocation "{ident}"')
    call.may(rights.namespace(alloc["Namespace"], capability) or rights.namespace(alloc["Namespace"], "read-fs"))
    node = call.store.get(Table.NODES, alloc["NodeID"])
    if node is None or node["Status"] == "down":
        raise Refusal(404, "No path to node")
    return alloc


def _path(call: Call, action: str) -> str:
    path = call.request.value("path")
    if not path and action != "ls":
        raise _refused(action, "must provide a file name")
    return path.strip("/")


def _found(call: Call, ident: str, action: str) -> tuple[_Tree, Record, str]:
    path = _path(call, action)
    alloc = _alloc(call, ident, "read-fs")
    tree = _Tree.of(alloc)
    if path not in tree.folders | tree.files:
        raise Refusal(404, f"open /{ident}/{path}: no such file or directory")
    return tree, alloc, path


def _entry(tree: _Tree, alloc: Record, path: str) -> dict[str, Any]:
    is_folder = path in tree.folders
    return {
        "FileMode": "drwxrwxrwx" if is_folder else "-rw-r--r--",
        "IsDir": is_folder,
        "ModTime": rfc3339(moment(alloc["CreateTime"])),
        "Name": path.rpartition("/")[2],
        "Size": 4096 if is_folder else 0,
    }


def _list(call: Call, ident: str) -> Answer:
    tree, alloc, path = _found(call, ident, "ls")
    return Answer([_entry(tree, alloc, inner) for inner in tree.inside(path)])


def _stat(call: Call, ident: str) -> Answer:
    tree, alloc, path = _found(call, ident, "stat")
    kind = "application/octet-stream" if path in tree.folders else TEXT_TYPE
    return Answer({**_entry(tree, alloc, path), "ContentType": kind})


def _cat(call: Call, ident: str) -> Answer:
    _found(call, ident, "cat")
    return Answer(raw=b"", content_type=TEXT_TYPE)


def _read_at(call: Call, ident: str) -> Answer:
    _path(call, "readat")
    for name in ("offset", "limit"):
        text = call.request.value(name)
        if not text.isdigit():
            raise Refusal(200, f"error parsing {name}: strconv.ParseInt: parsing {quote(text)}: invalid syntax")
    _found(call, ident, "readat")
    return Answer(raw=b"", content_type=TEXT_TYPE)


def _stream(call: Call, ident: str) -> Answer:
    _found(call, ident, "stream")
    return Answer(raw=b"", content_type=JSON_TYPE)


def _logs(call: Call, ident: str) -> Answer:
    task, stream = call.request.value("task"), call.request.value("type")
    if not task:
        raise Refusal(400, "must provide task name")
    for name in ("follow", "plain"):
        text = call.request.value(name)
        try:
            _ = text and parse_bool(text)
        except ValueError as exc:
            raise Refusal(400, f"failed to parse {name} field to boolean: {exc}") from exc
    if stream not in _STREAMS:
        raise Refusal(400, "must provide log type (stdout/stderr)")
    alloc = _alloc(call, ident, "read-logs")
    if task not in alloc["AllocatedResources"]["Tasks"]:
        raise Refusal(400, f"unknown task name {quote(task)}")
    return Answer(raw=b"", content_type="text/plain" if call.request.flag("plain") else JSON_TYPE)


_ACTIONS: dict[str, Callable[[Call, str], Answer]] = {
    "ls": _list,
    "stat": _stat,
    "cat": _cat,
    "readat": _read_at,
    "stream": _stream,
    "logs": _logs,
}
