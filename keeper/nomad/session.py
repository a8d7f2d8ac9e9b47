"""Sends the keeper's requests to Nomad: reads that a leader stands behind, writes that are never repeated."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from keeper.errors import Forbidden
from keeper.nomad.endpoints import Endpoint
from keeper.nomad.failures import Call, Untrusted, no_answer, stale
from keeper.settings import NomadSettings
from keeper.telemetry import Event, event

if TYPE_CHECKING:
    import requests
    from requests.adapters import BaseAdapter

    from keeper.nomad.connection import Connection


@dataclass(frozen=True, slots=True)
class Former:
    """Values that a token's secret had before, the newest first: a restored state knows the tokens of its own time only."""

    secret: str
    """The secret's name, for people who read errors."""
    values: Callable[[], Iterator[str]]


class NomadSession:
    """Asks for token and CAs when first needed, and once more per refused request: both are rotated while we run.

    When the servers do not know the newest token at all, as after a restore of a state that is older than the last rotation,
    a former one that they know is used instead, which is said, until they refuse it. A token that they know and that lacks
    a right is never replaced so.

    Each method takes the call's words for its errors. Raises `Forbidden`, `Throttled`, `Unreachable`, `Gone` or
    `Permanent`. Neither requests nor python-nomad is imported before the first request.
    """

    def __init__(
        self,
        settings: NomadSettings,
        *,
        token: Callable[[], str],
        ca: Callable[[], str],
        former: Former | None = None,
        transport: "BaseAdapter | None" = None,
    ) -> None:
        self._settings = settings
        self._token = token
        self._ca = ca
        self._former = former
        self._transport = transport
        self._connection: Connection | None = None

    def list(self, call: Call, endpoint: Endpoint, query: Mapping[str, str]) -> Any:  # noqa: ANN401 -- JSON, typed by its translator
        """Every element of a list, over all its pages, if Nomad sends pages."""
        answer = self._read(call, endpoint, (), query)
        found = _parsed(call, answer)
        while following := answer.headers.get("X-Nomad-NextToken"):
            answer = self._read(call, endpoint, (), {**query, "next_token": following})
            found += _parsed(call, answer)
        return found

    def get(self, call: Call, endpoint: Endpoint, name: str, query: Mapping[str, str]) -> Any:  # noqa: ANN401 -- the same
        """One thing; its name may hold slashes."""
        return _parsed(call, self._read(call, endpoint, (quote(name, safe=""),), query))

    def post(self, call: Call, node: str, verb: str, body: object) -> None:
        """Do something to a node. Sent once: when no answer comes, it may have arrived."""
        self._send(call, Endpoint.NODE, (quote(node, safe=""), verb), method="post", json=body)

    def download(
        self, call: Call, path: str, query: Mapping[str, str], patience: float | None = None
    ) -> "requests.Response":
        """An answer whose body is not read yet. Close it, or read it to its end. `patience`: seconds that it may stay silent."""
        return self._renewing(lambda connection: connection.download(call, path, query, patience))

    def put(self, call: Call, path: str, body: object, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 -- JSON
        """Write something and return what was answered, None for nothing. Sent once: without an answer, it may have arrived."""
        answer = self._renewing(lambda line: line.send(call, "PUT", path, query=query or {}, json=body))
        return _parsed(call, answer) if answer.content else None

    def upload(self, call: Call, path: str, body: "Callable[[], Any]", patience: timedelta) -> None:
        """Send what `body` makes, anew for each attempt, and wait that long for the answer."""
        self._renewing(lambda line: line.send(call, "PUT", path, query={}, body=body(), patience=patience))

    def _read(
        self, call: Call, endpoint: Endpoint, path: tuple[str, ...], query: Mapping[str, str]
    ) -> "requests.Response":
        """GET, and refuse an answer from a server that is not the leader or has none (`?stale` is never asked for)."""
        answer = self._send(call, endpoint, path, method="get", params=dict(query))
        age = answer.headers.get("X-Nomad-LastContact", "0")
        if answer.headers.get("X-Nomad-KnownLeader") != "true" or age != "0":
            raise stale(call, age)
        return answer

    def _send(self, call: Call, endpoint: Endpoint, path: tuple[str, ...], **how: Any) -> "requests.Response":  # noqa: ANN401 -- passed on
        return self._renewing(lambda connection: connection.exchange(call, endpoint, path, **how))

    def _renewing(self, attempt: "Callable[[Connection], requests.Response]") -> "requests.Response":
        """Send; when the token or the certificate was refused, nothing was done, and newer ones, or former ones, may help."""
        connection = self._connection or self._connect()
        try:
            return attempt(connection)
        except (Forbidden, Untrusted) as exc:
            renewed, refused = self._connect(), exc
        if renewed is not connection:
            try:
                return attempt(renewed)
            except Forbidden as exc:
                refused = exc
        if self._former is None or isinstance(refused, Untrusted):
            raise refused
        if renewed.is_known():
            raise Forbidden(f"{refused}; it is the token in {self._former.secret}") from refused
        return attempt(self._known_before(self._former, renewed, refused))

    def _known_before(self, former: Former, newest: "Connection", refused: Forbidden) -> "Connection":
        """A connection with a former token that the servers know; it is kept."""
        from keeper.nomad.connection import Connection  # noqa: PLC0415 -- as below

        tried = 0
        for token in former.values():
            held = Connection(self._settings, token=token, ca=newest.ca, transport=self._transport)
            if held.is_known():
                event(Event.TOKEN_FORMER_USED, secret=former.secret)
                self._connection = held
                return held
            tried += 1
        raise Forbidden(
            f"the servers know neither the newest token in {former.secret} nor its {tried} former enabled versions: put a "
            f"token of theirs there ({refused})"
        ) from refused

    def _connect(self) -> "Connection":
        """The connection for the token and CAs of this moment; the one at hand when they are still the same."""
        from keeper.nomad.connection import Connection  # noqa: PLC0415 -- loads requests and python-nomad when first used

        token, ca = self._token(), self._ca()
        held = self._connection
        if held is None or (held.token, held.ca) != (token, ca):
            self._connection = held = Connection(self._settings, token=token, ca=ca, transport=self._transport)
        return held


def _parsed(call: Call, answer: "requests.Response") -> Any:  # noqa: ANN401 -- JSON
    try:
        return json.loads(answer.content)
    except ValueError as exc:
        raise no_answer(call, exc) from exc
