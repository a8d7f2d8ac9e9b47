"""Requests and responses as values, and a threaded server that carries them over HTTP or TLS.

A stand-in is a function from `Request` to `Response` that neither blocks nor knows of sockets. `serve` puts it on
the network; `lab.azure.inprocess` calls it without one. What would take time in reality is stated in
`Response.delay`, and whoever carries the response decides how that time passes.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    type Handler = Callable[[Request], Response]

MAX_BODY = 16 * 1024 * 1024
IDLE_CONNECTION_SECONDS = 120


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request. Header names are lower case; `query` keeps the first value of a repeated key."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: str = "127.0.0.1"

    @property
    def path(self) -> str:
        """The percent-decoded path."""
        return unquote(urlsplit(self.url).path)

    @property
    def query(self) -> dict[str, str]:
        """The decoded query; names as sent."""
        pairs = parse_qsl(urlsplit(self.url).query, keep_blank_values=True)
        return dict(reversed(pairs))

    @property
    def origin(self) -> str:
        """Scheme and authority as the caller addressed them, for links in answers."""
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}"


@dataclass(frozen=True, slots=True)
class Response:
    """One HTTP response; `delay` is how long the far side would take to answer."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    delay: timedelta = timedelta()

    @classmethod
    def of_json(cls, status: int, document: object, headers: Mapping[str, str] | None = None) -> Response:
        """Make a JSON response."""
        body = json.dumps(document, separators=(",", ":")).encode()
        return cls(status, {"Content-Type": "application/json; charset=utf-8", **(headers or {})}, body)

    def json(self) -> Any:  # noqa: ANN401 - JSON has no narrower type
        """Parse the body; None when there is none."""
        return json.loads(self.body) if self.body else None


@dataclass(frozen=True, slots=True)
class Tls:
    """What a server shows and whom it believes: with `client_ca`, callers must show a certificate of that CA."""

    certificate: Path
    key: Path
    client_ca: Path | None = None

    def context(self) -> ssl.SSLContext:
        """Build the server's context; read the files anew each time."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, self.key)
        if self.client_ca:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.client_ca)
        return context


class _Exchange(BaseHTTPRequestHandler):
    """Carries one connection's requests to the handler; keeps the connection alive between them."""

    protocol_version = "HTTP/1.1"
    server: _Listener
    timeout = IDLE_CONNECTION_SECONDS

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        if length > MAX_BODY:
            self.close_connection = True
            self._write(Response(413))
            return
        scheme = "https" if isinstance(self.connection, ssl.SSLSocket) else "http"
        authority = self.headers.get("host") or "{}:{}".format(*self.server.server_address[:2])
        request = Request(
            method=self.command,
            url=f"{scheme}://{authority}{self.path}",
            headers={name.lower(): value for name, value in self.headers.items()},
            body=self.rfile.read(length) if length else b"",
            peer=str(self.client_address[0]),
        )
        response = self.server.handler(request)
        if response.delay and self.server.stopping.wait(response.delay.total_seconds()):
            self.close_connection = True
            return
        if self.command != "HEAD" and int(response.headers.get("Content-Length", 0)) > len(response.body):
            self.close_connection = True  # so that the caller does not wait for what was announced and never comes
        self._write(response)

    def _write(self, response: Response) -> None:
        lines = [f"HTTP/1.1 {response.status} {self.responses.get(response.status, ('',))[0]}"]
        lines += [f"{name}: {value}" for name, value in response.headers.items()]
        if (
            response.status != 204 and "Content-Length" not in response.headers
        ):  # an answer to HEAD names the size itself
            lines.append(f"Content-Length: {len(response.body)}")
        if self.close_connection:
            lines.append("Connection: close")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        self.wfile.write(head if self.command == "HEAD" else head + response.body)

    do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = do_HEAD = do_OPTIONS = _answer  # noqa: N815 - the base class's names

    def log_message(self, *_: object) -> None:
        """Stay silent: stand-ins keep a journal of their own."""


class _Listener(ThreadingHTTPServer):
    """Accepts without blocking on a handshake, and closes every connection when it stops."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, address: tuple[str, int], handler: Handler, context: ssl.SSLContext | None) -> None:
        self.handler = handler
        self.stopping = threading.Event()
        self._context = context
        self._open: set[socket.socket] = set()
        self._guard = threading.Lock()
        super().__init__(address, _Exchange)

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, peer = super().get_request()
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if self._context:
            connection = self._context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False)
        with self._guard:
            self._open.add(connection)
        return connection, peer

    def shutdown_request(self, request: Any) -> None:  # noqa: ANN401 - the base class's signature
        with self._guard:
            self._open.discard(request)
        with contextlib.suppress(OSError):  # the caller hung up first
            request.shutdown(socket.SHUT_RDWR)
        request.close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Ignore a caller that hung up or spoke no TLS; show anything else."""
        import sys  # noqa: PLC0415 - needed only when something broke

        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)  # type: ignore[arg-type]

    def close_connections(self) -> None:
        """Break every connection still open, so that their threads end."""
        with self._guard:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):  # already gone
                connection.shutdown(socket.SHUT_RDWR)


class Server:
    """A running server; a context manager that stops it. `url` is where it listens."""

    def __init__(self, handler: Handler, *, address: str = "127.0.0.1", port: int = 0, tls: Tls | None = None) -> None:
        self._listener = _Listener((address, port), handler, tls.context() if tls else None)
        self.address = address
        self.port = int(self._listener.server_address[1])
        self.url = f"{'https' if tls else 'http'}://{address}:{self.port}"
        self._thread = threading.Thread(
            target=self._listener.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True
        )
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Stop listening, break open connections and wait for the accepting thread; safe to call twice."""
        self._listener.stopping.set()
        self._listener.shutdown()
        self._listener.close_connections()
        self._listener.server_close()
        self._thread.join(timeout=5)


def serve(handler: Handler, *, address: str = "127.0.0.1", port: int = 0, tls: Tls | None = None) -> Server:
    """Put a handler on the network, one thread per connection; port 0 takes a free one."""
    return Server(handler, address=address, port=port, tls=tls)
