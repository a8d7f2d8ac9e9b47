"""What the HTTP doors share: reading a body within bounds, who is asking, and the one table from error to status."""

import base64
import binascii
import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import cast

import azure.functions as func

from keeper import errors, wiring
from keeper.core.problems import FieldError, NotOurs
from keeper.telemetry import Event, event

type Door = Callable[[func.HttpRequest], func.HttpResponse]


class Role(StrEnum):
    """App roles of the function app's Entra ID registration."""

    READER = "Keeper.Reader"
    OPERATOR = "Keeper.Operator"


def door_level() -> func.AuthLevel:
    """How the HTTP doors are locked: by function key, or, where app roles are required, by Entra ID alone.

    Azure's authentication layer then answers 401 to whoever has not signed in, and alerts bear no key at all.
    """
    try:
        signed_in = wiring.settings().doors.require_roles
    except errors.SettingsError:
        signed_in = False  # the app will not start; see function_app.py
    return func.AuthLevel.ANONYMOUS if signed_in else func.AuthLevel.FUNCTION


class TooLarge(Exception):
    """The body is larger than HTTP_MAX_BODY_BYTES."""


class NotAllowed(Exception):
    """The caller lacks an app role."""


def reply(
    body: object, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None
) -> func.HttpResponse:
    """A JSON answer."""
    return func.HttpResponse(
        json.dumps(body, default=str), status_code=status, mimetype="application/json", headers=dict(headers or {})
    )


def problem(status: HTTPStatus, code: str, message: str, **more: object) -> func.HttpResponse:
    """An error answer: `{"error": {"code", "message", …}}`, as Azure's own."""
    event(Event.REQUEST_REFUSED, status=status.value, code=code, why=message)
    headers = {"Retry-After": str(more["retry_after"])} if "retry_after" in more else None
    return reply({"error": {"code": code, "message": message, **more}}, status, headers)


ANSWERS: Mapping[type[Exception], tuple[HTTPStatus, str]] = {
    FieldError: (HTTPStatus.BAD_REQUEST, "InvalidField"),
    NotOurs: (HTTPStatus.UNPROCESSABLE_ENTITY, "NotOurs"),
    TooLarge: (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BodyTooLarge"),
    NotAllowed: (HTTPStatus.FORBIDDEN, "MissingRole"),
    errors.Gone: (HTTPStatus.NOT_FOUND, "NotFound"),
    errors.Refused: (HTTPStatus.CONFLICT, "Refused"),
    errors.Transient: (HTTPStatus.SERVICE_UNAVAILABLE, "TryAgain"),
}
"""The one table from error to status; anything not named here is a fault of ours and fails the invocation."""


def answered(door: Door) -> Door:
    """Turn the errors of a door into answers."""

    @functools.wraps(door)
    def answer(req: func.HttpRequest) -> func.HttpResponse:
        try:
            return door(req)
        except tuple(ANSWERS) as exc:
            status, code = next(ANSWERS[kind] for kind in type(exc).__mro__ if kind in ANSWERS)
            return problem(status, code, str(exc), **_more(exc))

    return answer


def _more(exc: Exception) -> dict[str, object]:
    """What an answer says besides its sentence."""
    match exc:
        case FieldError():
            return {"field": exc.field, "expected": exc.expected}
        case errors.Transient():
            return {"retry_after": max(1, round(exc.retry_after.total_seconds()))}
        case _:
            return {}


def decoded(req: func.HttpRequest) -> object:
    """The JSON body; raises `TooLarge`, or `FieldError` when it is no JSON."""
    most = wiring.settings().doors.max_body
    body = req.get_body()
    if len(body) > most:
        raise TooLarge(f"body: expected at most {most} bytes, got {len(body)}")
    try:
        return cast("object", json.loads(body))
    except (ValueError, RecursionError):  # the latter where brackets nest too deep to be anything of ours
        raise FieldError("body", "JSON", body[:60].decode(errors="replace")) from None


def header(req: func.HttpRequest, name: str) -> str | None:
    """One header of the request, or None."""
    headers = cast("Mapping[str, str]", req.headers)  # pyright: ignore[reportUnknownMemberType] -- untyped in azure-functions
    return headers.get(name)


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. Azure's authentication layer sets the header and removes any that came from outside."""

    name: str
    roles: frozenset[str]


def caller(req: func.HttpRequest, needs: Role) -> Caller:
    """The caller, who holds the role (an operator may read); raises `NotAllowed` when roles are required and missing."""
    who = _principal(header(req, "X-MS-CLIENT-PRINCIPAL"))
    enough = {needs, Role.OPERATOR}
    if wiring.settings().doors.require_roles and not who.roles & enough:
        raise NotAllowed(f"the app role {needs} is needed, got {', '.join(sorted(who.roles)) or 'none'}")
    return who


def signed_in(req: func.HttpRequest) -> None:
    """Where Entra ID locks the doors, see that it did; raises `NotAllowed`. Alerts need no role beyond that."""
    if wiring.settings().doors.require_roles and not header(req, "X-MS-CLIENT-PRINCIPAL"):
        raise NotAllowed("a caller signed in with Entra ID is needed, got none")


def _principal(header: str | None) -> Caller:
    """See https://learn.microsoft.com/azure/app-service/configure-authentication-user-identities."""
    if not header:
        return Caller("function key", frozenset())
    try:
        document = cast("dict[str, object]", json.loads(base64.b64decode(header, validate=True)))
        claims = [(str(each["typ"]), str(each["val"])) for each in cast("list[dict[str, object]]", document["claims"])]
    except (binascii.Error, ValueError, KeyError, TypeError, RecursionError):
        raise FieldError("X-MS-CLIENT-PRINCIPAL", "base64 of a client principal", header) from None
    role_type, name_type = str(document.get("role_typ", "roles")), str(document.get("name_typ", "name"))
    names = [value for kind, value in claims if kind in {name_type, "name", "appid", "azp"}]
    return Caller(names[0] if names else "unnamed", frozenset(v for k, v in claims if k in {role_type, "roles"}))
