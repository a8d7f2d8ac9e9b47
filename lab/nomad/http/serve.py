"""The server around the router: sockets, TLS, keep-alive, gzip, chunked event streams, a limit on connections.

Limits and texts of tests/recordings/nomad-1.6.5/08-agent.json; TLS as in 08-tls-reload.json.
"""

from __future__ import annotations

import contextlib
import gzip
import socket
import ssl
import threading
import traceback
from collections import Counter
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from socketserver import TCPServer, ThreadingMixIn
from typing import TYPE_CHECKING, Any, cast, override

from lab.nomad.http.feed import Feed
from lab.nomad.http.message import TEXT_TYPE, Request, Response
from lab.nomad.http.tls import TlsFiles
from lab.nomad.http.waiting import answer

if TYPE_CHECKING:
    from lab.nomad.events import Subscription
    from lab.nomad.http.router import Router

CONNECTIONS_PER_CLIENT = 100
"""http_max_conns_per_client."""
_TOO_MANY = b"Your IP is issuing too many concurrent connections, please rate limit your calls\n"
_LARGEST_BODY = 64 << 20
_IDLE = 120.0
_HANDSHAKE = b"\x16"
"""The first byte of a TLS connection."""


class AgentServer:
    """One agent's HTTP address. Port 0 takes a free one; `port` says which after the construction."""

    def __init__(self, router: Router, address: str, port: int = 0, tls: TlsFiles | None = None) -> None:
        self.router, self.address = router, address
        self._tls = tls
        self._server = _Listener((address, port), self)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._serve, name=f"nomad {address}:{self.port}", daemon=True)
        self._context = tls.context() if tls else None
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"{'https' if self._tls else 'http'}://{self.address}:{self.port}"

    def start(self) -> None:
        """Begin to serve, on threads of its own."""
        self._thread.start()

    def _serve(self) -> None:
        self._server.serve_forever(poll_interval=0.1)

    def reload(self) -> None:
        """Read the certificate files anew, as SIGHUP does. Files that do not fit leave the old certificate in place."""
        if self._tls is not None:
            with contextlib.suppress(ssl.SSLError, OSError):
                self._context = self._tls.context()

    def wrap(self, connection: socket.socket) -> socket.socket:
        """Put TLS around a new connection; raises when the handshake fails."""
        if self._context is None:
            return connection
        connection.settimeout(5.0)
        if connection.recv(1, socket.MSG_PEEK)[:1] not in {_HANDSHAKE, b""}:
            connection.sendall(b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
            raise ConnectionAbortedError("not TLS")
        wrapped = self._context.wrap_socket(connection, server_side=True)
        wrapped.settimeout(_IDLE)
        return wrapped

    def stopped(self) -> bool:
        """Tell whether the server is told to stop: then nothing waits any longer."""
        return self._stopped.is_set()

    def stop(self) -> None:
        """End at once: close the listener and every connection, wake what waits, join the threads."""
        self._stopped.set()
        store = self.router.region.store
        with store.changed:
            store.changed.notify_all()
        if self._thread.is_alive():
            self._server.shutdown()
            self._thread.join()
        self._server.close_all()


class _Listener(ThreadingMixIn, TCPServer):
    daemon_threads = True
    block_on_close = False
    allow_reuse_address = True
    request_queue_size = 256

    def __init__(self, address: tuple[str, int], agent: AgentServer) -> None:
        self.agent = agent
        self._open: dict[socket.socket, str] = {}
        self._clients: Counter[str] = Counter()
        self._lock = threading.Lock()
        super().__init__(address, _Handler)

    @override
    def process_request_thread(self, request: Any, client_address: Any) -> None:
        client: str = client_address[0]
        if not self._enter(request, client):
            self._turn_away(request)
            return
        connection = request
        try:
            connection = self.agent.wrap(request)
            self._swap(request, connection, client)
            self.finish_request(connection, client_address)
        except (OSError, ssl.SSLError) as exc:
            if "HTTP_REQUEST" in str(exc):
                with contextlib.suppress(OSError):
                    request.sendall(
                        b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
                    )
        finally:
            self._leave(connection, client)
            self.shutdown_request(connection)

    def _enter(self, connection: socket.socket, client: str) -> bool:
        with self._lock:
            if self._clients[client] >= CONNECTIONS_PER_CLIENT:
                return False
            self._clients[client] += 1
            self._open[connection] = client
            return True

    def _swap(self, old: socket.socket, new: socket.socket, client: str) -> None:
        with self._lock:
            self._open.pop(old, None)
            self._open[new] = client

    def _leave(self, connection: socket.socket, client: str) -> None:
        with self._lock:
            self._open.pop(connection, None)
            self._clients[client] -= 1

    def _turn_away(self, connection: socket.socket) -> None:
        head = (
            "HTTP/1.1 429 Too Many Requests\r\nContent-Type: text/plain\r\n"
            f"Content-Length: {len(_TOO_MANY)}\r\nConnection: close\r\n\r\n"
        )
        with contextlib.suppress(OSError, ssl.SSLError):
            wrapped = self.agent.wrap(connection)
            wrapped.sendall(head.encode() + _TOO_MANY)
            connection = wrapped
        self.shutdown_request(connection)

    def close_all(self) -> None:
        self.server_close()
        with self._lock:
            connections = list(self._open)
        for connection in connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    @override
    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of connections that break; faults of the handlers are answered with 500."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = _IDLE
    wbufsize = -1
    disable_nagle_algorithm = True

    @property
    def _agent(self) -> AgentServer:
        return cast("_Listener", self.server).agent

    @override
    def handle(self) -> None:
        with contextlib.suppress(OSError, ssl.SSLError, ValueError):
            super().handle()

    @override
    def log_message(self, format: str, *args: Any) -> None:
        """Keep quiet: the lab tells what it wants told."""

    @override
    def version_string(self) -> str:
        return ""

    def _request(self) -> Request | None:
        body = self._body()
        if body is None:
            return None
        return Request.of(self.command, self.path, dict(self.headers.items()), body)

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self._chunks()
        length = int(self.headers.get("Content-Length") or 0)
        if length > _LARGEST_BODY:
            self.close_connection = True
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
            return None
        return self.rfile.read(length) if length else b""

    def _chunks(self) -> bytes:
        parts: list[bytes] = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            parts.append(self.rfile.read(size))
            self.rfile.readline()
        while self.rfile.readline().strip():
            pass
        return b"".join(parts)

    def _serve(self) -> None:
        request = self._request()
        if request is None:
            return
        agent = self._agent
        try:
            response = answer(agent.router, request, agent.stopped)
        except Exception:  # noqa: BLE001 - a caller gets an answer whatever breaks; the trace goes to standard error
            traceback.print_exc()
            response = Response(500, {"Content-Type": TEXT_TYPE}, b"internal error of the stand-in")
        if response.stream is not None:
            self._stream(response, cast("Subscription", response.stream))
        else:
            self._send(response)

    do_GET = _serve  # noqa: N815 - the base class looks methods up by these names
    do_PUT = _serve  # noqa: N815 - the same
    do_POST = _serve  # noqa: N815 - the same
    do_DELETE = _serve  # noqa: N815 - the same
    do_HEAD = _serve  # noqa: N815 - the same
    do_PATCH = _serve  # noqa: N815 - the same
    do_OPTIONS = _serve  # noqa: N815 - the same

    def _send(self, response: Response) -> None:
        body, headers = response.body, dict(response.headers)
        if "gzip" in self.headers.get("Accept-Encoding", "") and body and response.status == 200:
            body, headers["Content-Encoding"] = gzip.compress(body, compresslevel=1), "gzip"
        self._head(response.status, headers)
        if response.status != 204:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()

    def _head(self, status: int, headers: dict[str, str]) -> None:
        self.send_response_only(status)
        self.send_header("Vary", "Accept-Encoding")
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Date", self.date_time_string())

    def _stream(self, response: Response, wanted: Subscription) -> None:
        self._head(200, {**response.headers, "Transfer-Encoding": "chunked"})
        self.end_headers()
        self.close_connection = True
        feed = Feed(self._agent.router, wanted, self._agent.stopped)
        with contextlib.suppress(OSError, ssl.SSLError):
            for line in feed.lines(lambda: _gone(self.connection)):
                self.wfile.write(f"{len(line):x}\r\n".encode() + line + b"\r\n")
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
            self.wfile.flush()


def _gone(connection: socket.socket) -> bool:
    # A caller that hung up has an end of file waiting; nobody sends anything more on a stream.
    timeout = connection.gettimeout()
    try:
        connection.settimeout(0.0)
        return connection.recv(1) == b""
    except (BlockingIOError, ssl.SSLWantReadError):
        return False
    except (OSError, ValueError):
        return True
    finally:
        with contextlib.suppress(OSError):
            connection.settimeout(timeout)


__all__ = ["AgentServer", "TlsFiles"]
