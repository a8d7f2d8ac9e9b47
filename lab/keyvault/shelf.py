"""Named things with versions, soft delete and paging: what secrets, keys and certificates have in common."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.keyvault.errors import bad_parameter, deleted_but_recoverable, not_deleted, not_found

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

RETENTION = timedelta(days=7)


@dataclass(slots=True)
class Version[T]:
    """One version of a thing; `content` is what it holds."""

    name: str
    content: T
    created: datetime
    updated: datetime
    id: str = field(default_factory=lambda: secrets.token_hex(16))
    enabled: bool = True
    not_before: int | None = None
    expires: int | None = None
    tags: dict[str, str] = field(default_factory=dict)
    managed: bool = False
    """A key or secret that belongs to a certificate."""

    def change(self, body: Mapping[str, Any], now: datetime) -> None:
        """Take over the attributes and tags that a body names."""
        attributes = body.get("attributes") or {}
        self.enabled = attributes.get("enabled", self.enabled)
        self.not_before = attributes.get("nbf", self.not_before)
        self.expires = attributes.get("exp", self.expires)
        self.tags = dict(body["tags"]) if body.get("tags") is not None else self.tags
        self.updated = now

    def attributes(self, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Render the attributes; times that are not set are left out."""
        dates = {"nbf": self.not_before, "exp": self.expires}
        return {
            "enabled": self.enabled,
            **{name: value for name, value in dates.items() if value is not None},
            "created": int(self.created.timestamp()),
            "updated": int(self.updated.timestamp()),
            "recoveryLevel": "CustomizedRecoverable+Purgeable",
            "recoverableDays": RETENTION.days,
            **(more or {}),
        }


@dataclass(slots=True)
class Deleted[T]:
    """What lies in the bin."""

    versions: list[Version[T]]
    at: datetime

    @property
    def purge_at(self) -> datetime:
        """When it vanishes by itself."""
        return self.at + RETENTION


class Shelf[T]:
    """The things of one kind. `kind` is how errors call it: `Secret`, `Key`, `Certificate`."""

    def __init__(self, kind: str, now: Callable[[], datetime]) -> None:
        self.kind = kind
        self._now = now
        self._things: dict[str, list[Version[T]]] = {}
        self._bin: dict[str, Deleted[T]] = {}

    def add(self, name: str, content: T, body: Mapping[str, Any], **more: Any) -> Version[T]:  # noqa: ANN401 - fields of Version
        """Put a new version on top; a conflict while the name lies in the bin."""
        self.refuse_deleted(name)
        version = Version(name, content, self._now(), self._now(), **more)
        version.change(body, self._now())
        self._things.setdefault(name.lower(), []).append(version)
        return version

    def refuse_deleted(self, name: str) -> None:
        """Raise the conflict that a name in the bin makes."""
        self._sweep()
        if name.lower() in self._bin:
            raise deleted_but_recoverable(self.kind, name)

    def get(self, name: str, version: str = "") -> Version[T]:
        """Return that version, or the newest."""
        versions = self.versions(name)
        if not version:
            return versions[-1]
        for each in versions:
            if each.id == version.lower():
                return each
        raise not_found(self.kind, f"{name}/{version}")

    def versions(self, name: str) -> list[Version[T]]:
        """Return every version, oldest first."""
        if name.lower() not in self._things:
            raise not_found(self.kind, name)
        return self._things[name.lower()]

    def newest(self) -> list[Version[T]]:
        """Return the newest version of everything, by name."""
        return [versions[-1] for _, versions in sorted(self._things.items())]

    def has(self, name: str) -> bool:
        """Whether there is a thing of that name, not deleted."""
        return name.lower() in self._things

    def delete(self, name: str) -> Deleted[T]:
        """Put a thing into the bin, where its versions are disabled."""
        deleted = Deleted(self.versions(name), self._now())
        del self._things[name.lower()]
        self._bin[name.lower()] = deleted
        return deleted

    def deleted(self, name: str) -> Deleted[T]:
        """Return a thing from the bin."""
        self._sweep()
        if name.lower() not in self._bin:
            raise not_found(self.kind, name)
        return self._bin[name.lower()]

    def bin(self) -> list[Deleted[T]]:
        """Return the bin, by name."""
        self._sweep()
        return [deleted for _, deleted in sorted(self._bin.items())]

    def recover(self, name: str) -> Version[T]:
        """Take a thing back out of the bin."""
        if self.has(name):
            raise not_deleted(self.kind, name)
        versions = self.deleted(name).versions
        del self._bin[name.lower()]
        self._things[name.lower()] = versions
        return versions[-1]

    def purge(self, name: str) -> None:
        """Forget a deleted thing for good."""
        self.deleted(name)
        del self._bin[name.lower()]

    def _sweep(self) -> None:
        for name in [name for name, deleted in self._bin.items() if deleted.purge_at <= self._now()]:
            del self._bin[name]


def page[T](things: list[T], query: Mapping[str, str]) -> tuple[list[T], int | None]:
    """Cut a page out of a list: it, and where the next one starts. 25 unless `maxresults` says fewer."""
    try:
        size, start = int(query.get("maxresults", "25")), int(query.get("$skiptoken", "0"))
    except ValueError as exc:
        raise bad_parameter("maxresults must be a number") from exc
    if not 1 <= size <= 25:
        raise bad_parameter("Parameter maxresults must be between 1 and 25")
    following = start + size
    return things[start:following], following if following < len(things) else None
