#!/usr/bin/python3
"""Stand-in for the programs `nomad` and `consul` in a release: what a machine's own program needs to see of them.

It reads the very configuration that was written for the real one, serves its health over TLS with the certificate named
there, takes a new certificate on SIGHUP, and on SIGINT drains first when it was told to leave on it. One file, standard
library of Python 3.10; which program it is follows from the name it is called by.
"""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import ssl
import sys
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

DRAIN_SECONDS = 3.0


@dataclass(frozen=True)
class Configuration:
    """What the agent was told."""

    certificate: str
    key: str
    port: int
    rpc_port: int
    leaves: bool
    answer: str


def nomad_configuration(folder: Path) -> Configuration:
    """Read Nomad's HCL as far as it matters here."""
    text = "\n".join(file.read_text() for file in sorted(folder.glob("*.hcl")))

    def of(name: str, shape: str = r'"?([^"\n]+)"?') -> str:
        found = re.search(rf"^\s*{name} = {shape}$", text, re.MULTILINE)
        if found is None:
            sys.exit(f"the configuration in {folder} lacks {name}")
        return found.group(1)

    role = "server" if re.search(r"^server \{", text, re.MULTILINE) else "client"
    answer = json.dumps({role: {"ok": True, "message": "ok"}})
    http, rpc = (int(of(name, r"(\d+)")) for name in ("http", "rpc"))
    return Configuration(of("cert_file"), of("key_file"), http, rpc, of("leave_on_interrupt") == "true", answer)


def consul_configuration(folder: Path) -> Configuration:
    """Read Consul's JSON as far as it matters here."""
    told = json.loads((folder / "10-agent.json").read_text())
    tls, ports = told["tls"]["defaults"], told["ports"]
    leader = json.dumps(f"{told['bind_addr']}:{ports['server']}")
    return Configuration(
        tls["cert_file"], tls["key_file"], ports["https"], ports["server"], leaves=False, answer=leader
    )


class Listener(ThreadingHTTPServer):
    """HTTPS; the handshake happens on the connection's own thread."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int, trust: ssl.SSLContext, answer: str) -> None:
        self.trust, self.answer = trust, answer
        super().__init__(("0.0.0.0", port), Page)

    def get_request(self) -> tuple[socket.socket, tuple[str, int]]:
        """Accept without waiting for the caller's first words."""
        connection, peer = super().get_request()
        return self.trust.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), peer

    def handle_error(self, request: object, client_address: object) -> None:
        """Callers that hang up, as the tries of the network's rules do, are no news."""


class Page(BaseHTTPRequestHandler):
    """The health endpoints; everything else is 404."""

    server: Listener  # type: ignore[assignment] # the only server that makes Pages
    paths = frozenset({"/v1/agent/health", "/v1/status/leader"})

    def do_GET(self) -> None:
        """Answer a question about health."""
        body = self.server.answer.encode()
        known = self.path.partition("?")[0] in self.paths
        self.send_response(200 if known else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if known else 0))
        self.end_headers()
        if known:
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Probes come every few seconds."""


def say_ready() -> None:
    """Tell systemd, where the unit asked for it (sd_notify)."""
    where = os.environ.get("NOTIFY_SOCKET")  # noqa: TID251 - how systemd hands a unit its socket
    if where:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as line:
            line.sendto(b"READY=1", where.replace("@", "\0", 1))


def run(name: str, folder: Path) -> None:
    """Serve until a signal ends it."""
    told = nomad_configuration(folder) if name == "nomad" else consul_configuration(folder)
    trust = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trust.load_cert_chain(told.certificate, told.key)
    over = threading.Event()

    def reload(*_: object) -> None:
        trust.load_cert_chain(told.certificate, told.key)
        print(f"{name}: certificate reloaded", flush=True)

    def leave(*_: object) -> None:
        threading.Thread(target=drain).start()

    def drain() -> None:
        if told.leaves:
            print(f"{name}: drain begins", flush=True)
            threading.Event().wait(DRAIN_SECONDS)
            print(f"{name}: drain complete", flush=True)
        over.set()

    signal.signal(signal.SIGHUP, reload)
    signal.signal(signal.SIGINT, leave)
    signal.signal(signal.SIGTERM, lambda *_: over.set())
    for port in (told.port, told.rpc_port):
        threading.Thread(target=Listener(port, trust, told.answer).serve_forever, daemon=True).start()
    say_ready()
    while not over.wait(0.5):
        pass  # a short wait lets Python run the signals' handlers


def main() -> None:
    """Take `agent -config=FOLDER` as Nomad does, or `-config-dir=FOLDER` as Consul does."""
    name = Path(sys.argv[0]).name
    folders = [each.partition("=")[2] for each in sys.argv[2:] if each.startswith(("-config=", "-config-dir="))]
    if sys.argv[1:2] != ["agent"] or not folders:
        sys.exit(f"usage: {name} agent -config=FOLDER")
    run(name, Path(folders[0]))


if __name__ == "__main__":
    main()
