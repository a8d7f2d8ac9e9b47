"""HTTP with nothing but the standard library: kept-alive connections, own certificate authorities, bounded waits."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keepernode.problems import Misconfigured, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping

ANSWER_LIMIT = 64 * 1024 * 1024
"""Bytes of one answer held in memory at most; releases are streamed to disk instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the headers with lower-case names, and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> object:
        """Return the body as JSON; Unreachable when it is none."""
        try:
            return json.loads(self.body)
        except ValueError as exc:
            msg = f"an answer (HTTP {self.status}) was not JSON: {self.body[:80]!r}; ask again later"
            raise Unreachable(msg, status=self.status) from exc

    def text(self) -> str:
        """Return the first words of the body on one line, for a sentence about a failure."""
        return " ".join(self.body[:300].decode("utf-8", "replace").split())


@dataclass(frozen=True, slots=True)
class Trust:
    """Whom to believe: the machine's own store when `ca_file` is None; `server_name` replaces the address's host."""

    ca_file: str | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Read the authorities; Misconfigured when the file is not there or holds none."""
        try:
            made = ssl.create_default_context(cafile=self.ca_file)
        except (OSError, ssl.SSLError) as exc:
            raise Misconfigured(f"cannot read the CA file {self.ca_file}: {exc}; put a PEM bundle there") from exc
        made.minimum_version = ssl.TLSVersion.TLSv1_2
        return made


class _Https(http.client.HTTPSConnection):
    """An HTTPS connection that may expect another name in the certificate than the one it dialled."""

    def __init__(self, host: str, port: int, *, timeout: float, context: ssl.SSLContext, expected: str) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._trusted = context
        self._expected = expected

    def connect(self) -> None:
        raw = socket.create_connection((self.host, self.port), self.timeout)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            self.sock = self._trusted.wrap_socket(raw, server_hostname=self._expected)
        except BaseException:
            raw.close()
            raise


@dataclass(slots=True)
class Line:
    """One kept-alive connection to the origin of `url`; for use by one thread.

    `ask` sends again once when a kept connection turns out to be closed, so ask only for what may be done twice.
    """

    url: str
    trust: Trust = field(default_factory=Trust)
    timeout: float = 10.0
    _open: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Answer:
        """Send and return the answer, whatever its status; Unreachable when there is none."""
        kept = self._open is not None
        try:
            return self._once(method, path, headers or {}, body)
        except Unreachable:
            if not kept:
                raise
            return self._once(method, path, headers or {}, body)

    def stream(self, path: str, *, headers: Mapping[str, str]) -> http.client.HTTPResponse:
        """GET and return the open response for reading line by line; close the Line to end it."""
        try:
            connection = self._connect()
            connection.request("GET", path, headers=dict(headers))
            return connection.getresponse()
        except (OSError, http.client.HTTPException) as exc:
            raise self._lost("GET", path, exc) from exc

    def close(self) -> None:
        """Close the connection, if any; the next use opens another."""
        connection, self._open = self._open, None
        if connection is not None:
            connection.close()

    def interrupt(self) -> None:
        """End a read that another thread is blocked in: it fails there, and that thread closes the Line."""
        sock = self._open.sock if self._open is not None else None
        if sock is not None:
            with contextlib.suppress(OSError):  # the peer may have gone already, which is what was wanted
                sock.shutdown(socket.SHUT_RDWR)

    def _once(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            connection = self._connect()
            connection.request(method, path, body=body or None, headers=dict(headers))
            with connection.getresponse() as response:
                read = response.read(ANSWER_LIMIT + 1)
                if len(read) > ANSWER_LIMIT:
                    raise Unreachable(f"{self.url} sent more than {ANSWER_LIMIT} bytes for {path}; not reading on")
                return Answer(response.status, {name.lower(): text for name, text in response.getheaders()}, read)
        except (OSError, http.client.HTTPException) as exc:
            raise self._lost(method, path, exc) from exc

    def _lost(self, method: str, path: str, exc: Exception) -> Unreachable:
        self.close()
        why = str(exc) or type(exc).__name__
        return Unreachable(f"{method} {self.url} {path.partition('?')[0]} got no answer: {why}")

    def _connect(self) -> http.client.HTTPConnection:
        if self._open is None:
            self._open = self._dial()
        return self._open

    def _dial(self) -> http.client.HTTPConnection:
        parts = urlsplit(self.url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise Misconfigured(f"{self.url!r} is no http or https address; correct it in the configuration")
        if parts.scheme == "http":
            return http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=self.timeout)
        return _Https(
            parts.hostname,
            parts.port or 443,
            timeout=self.timeout,
            context=self.trust.context(),
            expected=self.trust.server_name or parts.hostname,
        )
