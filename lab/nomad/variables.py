"""Variables with check-and-set, encrypted (in name) with the active root key: a lost key is a lost variable.

Behaviour held to ../../tests/recordings/nomad-1.6.5 (11-variables.json, 07-snapshot.json).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.nomad.http.gotext import nanoseconds, quote
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from lab.nomad.keyrings import RootKeyring
    from lab.nomad.model.store import Record, Store

VARIABLES = "variables"
LARGEST = 65536


class Conflict(Exception):  # the answer of a check-and-set that lost
    """The variable is not at the index that was expected. `current` is what it is, None when it is not there."""

    def __init__(self, current: Record | None) -> None:
        super().__init__("cas conflict")
        self.current = current


class Variables:
    """The variables of all namespaces."""

    def __init__(self, store: Store, keyring: RootKeyring) -> None:
        self._store, self._keyring = store, keyring

    def get(self, namespace: str, path: str) -> Record | None:
        """Answer a variable, None when there is none; refuse with 500 when its key is lost."""
        record = self._store.get(VARIABLES, (namespace, path))
        if record is not None:
            self._keyring.need(record["KeyID"])
        return record

    def all(self, namespace: str, prefix: str) -> list[Record]:
        """Answer the variables of a namespace (`*`: of all) whose path begins so, by namespace and path."""
        return [
            record
            for record in self._store.rows(VARIABLES)
            if namespace in {"*", record["Namespace"]} and record["Path"].startswith(prefix)
        ]

    def put(self, namespace: str, path: str, items: dict[str, str], cas: int | None) -> Record:
        """Write a variable; with `cas` only if that is its ModifyIndex (0: only if absent). Raises Conflict."""
        _check(namespace, path, items)
        try:
            key = self._keyring.active()
        except Refusal as refusal:
            raise Refusal(500, f"variable error: encrypt: {refusal.text}") from refusal
        now = nanoseconds(self._store.now())
        with self._store.transaction():
            old = self._current(namespace, path, cas)
            record = {
                "Namespace": namespace,
                "Path": path,
                "Items": items,
                "CreateTime": old["CreateTime"] if old else now,
                "ModifyTime": now,
                "KeyID": key,
            }
            return self._store.put(VARIABLES, (namespace, path), record)

    def delete(self, namespace: str, path: str, cas: int | None) -> None:
        """Delete a variable, absent ones too; with `cas` only if that is its ModifyIndex. Raises Conflict."""
        with self._store.transaction():
            self._current(namespace, path, cas)
            if self._store.delete(VARIABLES, (namespace, path)) is None:
                self._store.touch(VARIABLES)

    def _current(self, namespace: str, path: str, cas: int | None) -> Record | None:
        old = self._store.get(VARIABLES, (namespace, path))
        if cas is not None and cas != (old["ModifyIndex"] if old else 0):
            raise Conflict(old)
        return old


def _check(namespace: str, path: str, items: dict[str, str]) -> None:
    if namespace == "*":
        raise Refusal(500, 'can not target wildcard ("*")namespace')
    if sum(len(key.encode()) + len(value.encode()) for key, value in items.items()) > LARGEST:
        raise Refusal(500, "variables are limited to 64KiB in total size")
    if not re.fullmatch(r"[a-zA-Z0-9\-_~/]{1,128}", path):
        raise Refusal(500, f"invalid path {quote(path)}")
    parts = path.split("/")
    if parts[0] == "nomad":
        _check_reserved(parts)


def _check_reserved(parts: list[str]) -> None:
    match parts[1:]:
        case []:
            raise Refusal(
                500,
                '"nomad" is a reserved top-level directory path, but you may write variables to "nomad/jobs", '
                '"nomad/job-templates", or below',
            )
        case ["jobs", *_] | ["job-templates", _]:
            return
        case ["job-templates", *_]:
            raise Refusal(
                500,
                '"nomad/job-templates" is a reserved directory path, but you may write variables at the level below it, '
                'for example, "nomad/job-templates/template-name"',
            )
        case _:
            raise Refusal(
                500,
                'only paths at "nomad/jobs" or "nomad/job-templates" and below are valid paths under the top-level '
                '"nomad" directory',
            )


def shown(record: Record, *, items: bool = True) -> dict[str, Any]:
    """Answer a variable as the API shows it; lists show no items."""
    hidden = {"KeyID"} if items else {"KeyID", "Items"}
    return {name: value for name, value in record.items() if name not in hidden}
