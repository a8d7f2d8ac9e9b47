"""Access keys and sign-in: who may call what, with the rules of the Functions host and of App Service in front of it."""

from __future__ import annotations

import base64
import hmac
import json
import secrets
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.http import Request

PRINCIPAL_HEADERS = ("x-ms-client-principal", "x-ms-token-")


class AuthLevel(StrEnum):
    """`authLevel` of an HTTP trigger."""

    ANONYMOUS = "anonymous"
    FUNCTION = "function"
    ADMIN = "admin"


def _new_key() -> str:
    return secrets.token_urlsafe(32)


@dataclass(frozen=True, slots=True)
class Keys:
    """The keys of an app: the master key opens everything, the host key every function, the others one thing each.

    https://learn.microsoft.com/azure/azure-functions/function-keys-how-to
    """

    master: str = field(default_factory=_new_key)
    host: str = field(default_factory=_new_key)
    event_grid: str = field(default_factory=_new_key)
    """The system key `eventgrid_extension`."""
    functions: Mapping[str, str] = field(default_factory=dict)

    def opens(self, request: Request, level: AuthLevel, function: str = "") -> bool:
        """Tell whether a request's key (header or `code`) suffices for a function of this level."""
        if level is AuthLevel.ANONYMOUS:
            return True
        good = [self.master]
        if level is AuthLevel.FUNCTION:
            good += [self.host, *([self.functions[function]] if function in self.functions else [])]
        return _matches(request, good)

    def opens_event_grid(self, request: Request) -> bool:
        """Tell whether a request's key opens the Event Grid webhook."""
        return _matches(request, [self.event_grid, self.master])


def _matches(request: Request, good: list[str]) -> bool:
    given = request.headers.get("x-functions-key") or request.query.get("code", "")
    return any(hmac.compare_digest(given.encode(), key.encode()) for key in good)


@dataclass(frozen=True, slots=True)
class EasyAuth:
    """App Service authentication in front of the host: bearer token to principal.

    A known token becomes the `X-MS-CLIENT-PRINCIPAL` that the function sees; an unknown one is answered 401 before the
    app is reached. Without a token the request passes unless `required`. What a caller sends under these header names is
    dropped, with or without sign-in, so that nobody names himself.
    """

    principals: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    required: bool = False

    def admit(self, headers: Mapping[str, str]) -> dict[str, str] | None:
        """Return the headers that reach the app, or None when App Service would answer 401."""
        passed = {name: value for name, value in headers.items() if not name.startswith(PRINCIPAL_HEADERS)}
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() != "bearer" or not self.principals:
            return None if self.required else passed
        if token not in self.principals:
            return None
        document = json.dumps(self.principals[token]).encode()
        return {**passed, "x-ms-client-principal": base64.b64encode(document).decode()}
