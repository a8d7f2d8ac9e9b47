"""Secrets: values with versions (https://learn.microsoft.com/rest/api/keyvault/secrets)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.http import Response
from lab.keyvault.call import Route
from lab.keyvault.errors import bad_parameter, disabled
from lab.keyvault.lifecycle import Lifecycle
from lab.keyvault.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lab.keyvault.call import Call
    from lab.keyvault.shelf import Version

LARGEST = 25 * 1024
"""Bytes of one value."""


@dataclass(slots=True)
class Secret:
    """A value, and what the owner says that it is."""

    value: str
    content_type: str | None = None


class SecretStore:
    """The secrets of one vault."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.shelf: Shelf[Secret] = Shelf("Secret", now)
        self._now = now
        self._lifecycle = Lifecycle(self.shelf, "secrets", _item, _item)

    def set(self, name: str, value: str, body: dict[str, Any] | None = None, **more: Any) -> Version[Secret]:  # noqa: ANN401 - fields of Version
        """Put a new version."""
        body = body or {}
        if len(value.encode()) > LARGEST:
            raise bad_parameter("The secret value is too large; the maximum is 25k bytes.")
        return self.shelf.add(name, Secret(value, body.get("contentType")), body, **more)

    def routes(self) -> list[Route]:
        """Routes from the most special to the most general."""
        one, version = "/secrets/(?P<name>[^/]+)", "(?:/(?P<version>[^/]*))?"
        return [
            Route("PUT", one, "vaults/secrets/setSecret/action", self._put),
            *self._lifecycle.routes(),
            Route("GET", one + version, "vaults/secrets/getSecret/action", self._get),
            Route("PATCH", one + version, "vaults/secrets/update", self._patch),
        ]

    def _put(self, call: Call) -> Response:
        body = call.body()
        if not isinstance(body.get("value"), str):
            raise bad_parameter("Property value is required")
        return Response.of_json(200, _whole(call, self.set(call.name, body["value"], body)))

    def _get(self, call: Call) -> Response:
        version = self.shelf.get(call.name, call.version)
        if not version.enabled:
            raise disabled("Secret", "get")
        return Response.of_json(200, _whole(call, version))

    def _patch(self, call: Call) -> Response:
        body, version = call.body(), self.shelf.get(call.name, call.version)
        version.change(body, self._now())
        version.content.content_type = body.get("contentType", version.content.content_type)
        return Response.of_json(200, _item(call, version))


def _item(call: Call, version: Version[Secret]) -> dict[str, Any]:
    view: dict[str, Any] = {"contentType": version.content.content_type} if version.content.content_type else {}
    view |= {"id": f"{call.vault_url}/secrets/{version.name}/{version.id}", "attributes": version.attributes()}
    view |= {"tags": version.tags} if version.tags else {}
    return {**view, "managed": True} if version.managed else view


def _whole(call: Call, version: Version[Secret]) -> dict[str, Any]:
    return {"value": version.content.value, **_item(call, version)}
