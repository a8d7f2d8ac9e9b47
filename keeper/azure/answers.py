"""What Azure's refusals mean for the caller.

Azure wraps its errors in three ways, hides the real one in `details`, sometimes as JSON in a text, and uses
`OperationNotAllowed` for throttling, quota and misuse alike (`tests/recordings/azure/README.md`, "Errors").
"""

import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from keeper.errors import Changed, Forbidden, Gone, KeeperError, Permanent, Throttled, Unreachable

if TYPE_CHECKING:
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.core.rest import HttpResponse

MOST_TEXT = 800
PATIENCE = timedelta(minutes=1)
"""How long to wait when Azure does not say: its buckets are refilled every minute."""

MEANINGS: dict[int, type[KeeperError]] = {
    HTTPStatus.UNAUTHORIZED: Forbidden,
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.NOT_FOUND: Gone,
    HTTPStatus.GONE: Gone,
    HTTPStatus.CONFLICT: Changed,
    HTTPStatus.PRECONDITION_FAILED: Changed,
    HTTPStatus.REQUEST_TIMEOUT: Unreachable,
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """An answer that is no success: the innermost error that it holds."""

    status: int
    code: str
    message: str
    retry_after: timedelta = PATIENCE
    body: object = None
    """The whole answer, if it is JSON."""


@contextmanager
def in_our_words(doing: str) -> Generator[None]:
    """Raise what an SDK raises as the keeper's error; `doing` follows "refused to"."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 -- an SDK, loaded when first used

    try:
        yield
    except AzureError as exc:
        raise meaning(doing, exc) from exc


def meaning(doing: str, exc: "AzureError") -> KeeperError:
    """Translate an SDK's exception."""
    from azure.core.exceptions import ClientAuthenticationError, HttpResponseError  # noqa: PLC0415 -- as above

    if isinstance(exc, HttpResponseError) and exc.response is not None:
        return of_refusal(doing, refusal_of(exc))
    if isinstance(exc, ClientAuthenticationError):
        return Forbidden(f"no token for the keeper's identity to {doing}: {_short(exc.message)}")
    return Unreachable(f"no answer from Azure to {doing}: {type(exc).__name__} {_short(exc.message)}")


def of_refusal(doing: str, refusal: Refusal) -> KeeperError:
    """Translate a refusal by its status. A conflict means that something else is under way: look again."""
    said = f"Azure refused to {doing}: {refusal.status} {refusal.code} {_short(refusal.message)}".rstrip()
    if refusal.status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(said, retry_after=refusal.retry_after)
    if refusal.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Unreachable(said, retry_after=refusal.retry_after)
    return MEANINGS.get(refusal.status, Permanent)(said)


def refusal_of(exc: "HttpResponseError") -> Refusal:
    """Read an SDK's exception that has a response: the status, and what the body says."""
    response = cast("HttpResponse", exc.response)
    try:
        body: Any = json.loads(response.text())
    except ValueError:
        body = None
    code, message = innermost(body)
    asked = response.headers.get("Retry-After", "")
    patience = timedelta(seconds=int(asked)) if asked.isdecimal() else PATIENCE
    fallback = str(getattr(exc, "error_code", None) or exc.reason or "")  # storage: the code is in a header
    return Refusal(response.status_code, code or fallback, message or exc.message, patience, body)


def innermost(body: object) -> tuple[str, str]:
    """Code and message of the error that caused the others, whatever it is wrapped in."""
    error = _error(body)
    code, message = _text(error, "code"), _text(error, "message")
    for inner in (_first(error.get("details")), _parsed(message)):
        deeper = innermost(inner) if inner else ("", "")
        if all(deeper):
            return deeper
    return code, message


def _error(body: object) -> dict[str, Any]:
    """Unwrap `{"error": {...}}`; some services do not wrap."""
    found = cast("dict[str, Any]", body) if isinstance(body, dict) else {}
    wrapped = found.get("error")
    return cast("dict[str, Any]", wrapped) if isinstance(wrapped, dict) else found


def _first(details: object) -> object:
    listed = cast("list[object]", details) if isinstance(details, list) else []
    return listed[0] if listed else None


def _parsed(message: str) -> object:
    """Some messages are JSON that holds the real error."""
    if not message.startswith("{"):
        return None
    try:
        return cast("object", json.loads(message))
    except ValueError:
        return None


def _text(error: dict[str, Any], key: str) -> str:
    value = error.get(key, error.get(key.capitalize()))
    return value if isinstance(value, str) else ""


def _short(text: object) -> str:
    return " ".join(str(text).split())[:MOST_TEXT]
