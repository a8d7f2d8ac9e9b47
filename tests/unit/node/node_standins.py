"""Hand-written stand-ins on loopback for what the node program talks to: Nomad's agent, the queue, the identity."""

import base64
import contextlib
import json
import queue
import ssl
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree as ET

from keepernode.clock import pause, ticking, utc_now


@dataclass
class Reply:
    status: int
    body: bytes = b""
    headers: dict = field(default_factory=dict)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    outer: "Loopback"

    def log_message(self, *_):
        pass

    def handle(self):
        with contextlib.suppress(OSError):
            super().handle()

    def _serve(self):
        parts = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        stream = self.outer.stream(parts.path, parse_qs(parts.query), self.headers)
        if stream is not None:
            self._send_lines(stream)
            return
        reply = self.outer.answer(self.command, parts.path, parse_qs(parts.query), self.headers, body)
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        self.wfile.write(reply.body)

    do_GET = do_POST = do_PUT = _serve  # noqa: N815 - http.server's names

    def _send_lines(self, lines):
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for line in lines:
            raw = json.dumps(line).encode() + b"\n"
            self.wfile.write(b"%x\r\n%s\r\n" % (len(raw), raw))
            self.wfile.flush()
        self.close_connection = True


class Loopback:
    """An HTTP server on 127.0.0.1; `answer(method, path, query, headers, body)` says what it is."""

    def __init__(self, tls: ssl.SSLContext | None = None):
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), type("Bound", (_Handler,), {"outer": self}))
        self.server.daemon_threads = True
        self.server.block_on_close = False
        if tls is not None:
            self.server.socket = tls.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self.port}"
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def stream(self, _path, _query, _headers):
        return None

    def answer(self, _method, _path, _query, _headers, _body):
        return Reply(404)

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class FakeNomad(Loopback):
    """One agent: nodes, blocked evaluations, one index, a buffer of lines, and open streams."""

    def __init__(self, tls=None):
        self.index = 10
        self.nodes = {}
        self.blocked = {}
        self.leader = True
        self.rpc = "10.0.10.4:4647"
        self.token = "secret-token"
        self.buffer = []
        self._streams = []
        self._lock = threading.Lock()
        self.stream_indexes = []
        super().__init__(tls)

    def answer(self, _method, path, query, headers, _body):
        if path == "/v1/status/leader":
            return self._json(self.rpc if self.leader else "10.0.10.5:4647")
        if headers.get("X-Nomad-Token") != self.token:
            return Reply(403, b"Permission denied")
        if path == "/v1/agent/self":
            return self._json({"stats": {"nomad": {"leader": "true" if self.leader else "false"}}})
        if path == "/v1/nodes":
            return self._json(list(self.nodes.values()))
        if path == "/v1/evaluations" and query.get("status") == ["blocked"]:
            return self._json(list(self.blocked.values()))
        return Reply(404)

    def _json(self, value):
        return Reply(200, json.dumps(value).encode(), {"X-Nomad-Index": str(self.index)})

    def stream(self, path, query, headers):
        if path != "/v1/event/stream" or headers.get("X-Nomad-Token") != self.token:
            return None
        wanted = int(query["index"][0])
        with self._lock:
            self.stream_indexes.append(wanted)
            lines = queue.Queue()
            lines.put({})
            late = [line for line in self.buffer if line["Index"] >= wanted]
            for line in late or self.buffer[-1:]:  # as recorded: an index in the future is sent the newest line
                lines.put(line)
            self._streams.append(lines)
        return iter(lines.get, None)

    def node(self, name, status, kind="NodeStreamEvent", **more):
        node = {"ID": f"id-{name}", "Name": name, "Status": status, "LastDrain": None}
        node.update(self.nodes.get(name, {}) | {"Status": status} | more)
        with self._lock:
            self.index += 1
            self.nodes[name] = node | {"ModifyIndex": self.index}
            self._emit("Node", kind, {"Node": self.nodes[name]})

    def block(self, evaluation, job="web"):
        with self._lock:
            self.index += 1
            stub = {"ID": evaluation, "JobID": job, "Namespace": "default", "Status": "blocked"}
            self.blocked[evaluation] = stub | {"ModifyIndex": self.index}
            self._emit("Evaluation", "EvaluationUpdated", {"Evaluation": self.blocked[evaluation]})

    def _emit(self, topic, kind, payload):
        line = {"Index": self.index, "Events": [{"Topic": topic, "Type": kind, "Payload": payload}]}
        self.buffer = [*self.buffer[-99:], line]
        for lines in self._streams:
            lines.put(line)

    def cut(self):
        """End every open stream, as a restarting agent does."""
        with self._lock:
            for lines in self._streams:
                lines.put(None)
            self._streams = []

    def following(self):
        return len(self._streams)


class FakeQueue(Loopback):
    """One storage queue that takes messages under a bearer token."""

    def __init__(self, tls=None):
        self.messages = []
        self.arrivals = []
        self.refuse = []
        self.requests = []
        super().__init__(tls)

    def answer(self, method, path, query, headers, body):
        self.requests.append((method, path, query, dict(headers)))
        if self.refuse:
            status = self.refuse.pop(0)
            return Reply(status, headers={"x-ms-error-code": "Refused"})
        if (method, path) != ("POST", "/devstoreaccount1/keeper/messages"):
            return Reply(404, headers={"x-ms-error-code": "QueueNotFound"})
        if headers.get("Authorization") != "Bearer token-for-https://storage.azure.com/":
            return Reply(401, headers={"x-ms-error-code": "InvalidAuthenticationInfo"})
        text = ET.fromstring(body).findtext("MessageText")  # noqa: S314 - our own program wrote it
        self.arrivals.append(ticking())
        self.messages.append(json.loads(base64.b64decode(text)))
        return Reply(201)


class FakeIdentity(Loopback):
    """The App Service token endpoint, or the instance metadata service's."""

    def __init__(self, header="lab-secret"):
        self.header = header
        self.asked = []
        self.lifetime = 3600
        super().__init__()

    def answer(self, _method, path, query, headers, _body):
        self.asked.append((path, query))
        if self.header is not None and headers.get("X-IDENTITY-HEADER") != self.header:
            return Reply(401, b"no")
        if self.header is None and headers.get("Metadata") != "true":
            return Reply(400, b"no")
        resource = query["resource"][0]
        body = {"access_token": f"token-for-{resource}", "expires_on": str(int(utc_now().timestamp() + self.lifetime))}
        return Reply(200, json.dumps(body).encode())


def eventually(true, within=3.0):
    """Wait until `true()` holds; fail when it does not in time."""
    end = ticking() + within
    while not true():
        assert ticking() < end, "did not happen in time"
        pause(0.005)
