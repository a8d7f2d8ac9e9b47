"""What goes in and out of the router: requests and responses."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

JSON_TYPE = "application/json"
TEXT_TYPE = "text/plain; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. `path` is decoded; `query` keeps every value of a repeated parameter; header names are lower case."""

    method: str
    path: str
    query: Mapping[str, list[str]] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""

    @classmethod
    def of(cls, method: str, target: str, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Request:
        """Make a request of a request line's target (a path with its query, or a whole URL)."""
        # A path may begin with two slashes; it names no host then.
        parts = urlsplit(f"nomad://agent{target}" if target.startswith("/") else target)
        query = parse_qs(parts.query, keep_blank_values=True)
        lower = {name.lower(): value for name, value in (headers or {}).items()}
        return cls(method.upper(), unquote(parts.path), query, lower, body)

    def value(self, name: str) -> str:
        """Answer the first value of a query parameter, "" when it is absent."""
        values = self.query.get(name)
        return values[0] if values else ""

    def flag(self, name: str) -> bool:
        """Tell whether a query parameter is `true` as Go's ParseBool reads it; any other value is false."""
        return self.value(name) in {"1", "t", "T", "true", "TRUE", "True"}

    @property
    def token(self) -> str:
        """The secret: X-Nomad-Token, else the first word of a bearer authorization, else "" (anonymous)."""
        given = self.headers.get("x-nomad-token", "").strip()
        if given:
            return given
        scheme, _, rest = self.headers.get("authorization", "").partition(" ")
        words = rest.split()
        return words[0] if scheme.lower() == "bearer" and words else ""


@dataclass(slots=True)
class Response:
    """One HTTP answer, and what a server must know to make it wait or stream.

    `tables` names what the answer was read from: a blocking query is asked again when one of them changes. `index` is
    the X-Nomad-Index of the answer (0: none). `stream` is set for an event stream; then there is no body. `needs_leader`
    marks the refusal that a server holds back for five seconds, in case a leader appears.
    """

    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    tables: tuple[str, ...] = ()
    index: int = 0
    stream: object | None = None
    needs_leader: bool = False

    @property
    def text(self) -> str:
        """The body as text."""
        return self.body.decode()

    def json(self) -> Any:  # noqa: ANN401 - any JSON value
        """Answer the body as JSON."""
        return json.loads(self.body)


def encode(value: object, *, pretty: bool = False) -> bytes:
    """Answer `value` as Nomad writes JSON: keys sorted, no blanks, or indented by four with a line feed at the end."""
    if pretty:
        return (json.dumps(value, sort_keys=True, indent=4, ensure_ascii=False) + "\n").encode()
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
