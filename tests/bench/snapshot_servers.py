"""The far sides of the snapshot measurements, in a process of their own: so that only the keeper's own part is measured.

`python -m tests.bench.snapshot_servers accounts` starts two storage accounts behind rule keepers; `… stream <units>` a Nomad
that streams an archive of that many 8 MiB, and an account that forgets what it is given. Prints one JSON line; ends with its stdin.
"""

import hashlib
import json
import random
import shutil
import ssl
import sys
import tempfile
import threading
import zlib
from collections.abc import Iterator
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import override

from lab.archives import header, meta_text, sums_text, tar_of
from lab.backups import BackupLab
from lab.ca import Authority
from lab.clock import wall_clock
from lab.http import Request, Response, Tls, serve

UNIT = 8 * 1024 * 1024
PIECE = 32 * 1024


class Streamed:
    """A sound archive of many equal parts, packed once: what is measured is the reader, not the packer."""

    def __init__(self, units: int) -> None:
        unit, packed = self._unit()
        size = units * UNIT
        state = hashlib.sha256()
        for _ in range(units):
            state.update(unit)
        meta = meta_text(size)
        start = tar_of([("meta.json", meta)], end=header("state.bin", size).tobuf())
        sums = sums_text({"meta.json": hashlib.sha256(meta).hexdigest(), "state.bin": state.hexdigest()})
        end = tar_of([("SHA256SUMS", sums)])
        crc = zlib.crc32(start)
        for _ in range(units):
            crc = zlib.crc32(unit, crc)
        crc, length = zlib.crc32(end, crc), len(start) + size + len(end)
        packer = zlib.compressobj(6, wbits=-15)
        head = b"\x1f\x8b\x08" + bytes(6) + b"\xff" + packer.compress(start) + packer.flush(zlib.Z_FULL_FLUSH)
        last = zlib.compressobj(6, wbits=-15)
        tail = last.compress(end) + last.flush()
        tail += crc.to_bytes(4, "little") + (length & 0xFFFFFFFF).to_bytes(4, "little")
        self._parts = [head, *[packed] * units, tail]
        self.size = sum(len(part) for part in self._parts)
        self.sha256 = hashlib.sha256(b"")
        for part in self._parts:
            self.sha256.update(part)

    def pieces(self) -> Iterator[bytes]:
        """The archive as it comes off the wire."""
        for part in self._parts:
            for at in range(0, len(part), PIECE):
                yield part[at : at + PIECE]

    def _unit(self) -> tuple[bytes, bytes]:
        """8 MiB that pack to about two fifths, as a state of many jobs with ids and hashes does."""
        luck = random.Random(1)  # noqa: S311 -- repeatable bytes
        words = [luck.randbytes(luck.randrange(6, 30)) for _ in range(500)]
        unit = bytearray()
        while len(unit) < UNIT:
            unit += luck.choice(words) if luck.random() < 0.5 else luck.randbytes(6)
        packer = zlib.compressobj(6, wbits=-15)
        whole = bytes(unit[:UNIT])
        return whole, packer.compress(whole) + packer.flush(zlib.Z_FULL_FLUSH)


class Nomad(BaseHTTPRequestHandler):
    """Answers what a snapshot asks of a leader."""

    protocol_version = "HTTP/1.1"
    archive: Streamed

    def do_GET(self) -> None:
        """Answer."""
        path = self.path.partition("?")[0]
        if path == "/v1/operator/snapshot":
            self._stream()
            return
        tags = {"build": "1.6.5", "region": "global", "rpc_addr": "127.0.0.1", "port": "4647"}
        answers = {"/v1/status/leader": "127.0.0.1:4647", "/v1/agent/members": {"Members": [{"Tags": tags}]}}
        body = json.dumps(answers.get(path, [])).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _stream(self) -> None:
        import base64  # noqa: PLC0415 -- only here

        self.send_response(200)
        self.send_header("Digest", "sha-256=" + base64.b64encode(self.archive.sha256.digest()).decode())
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for piece in self.archive.pieces():
            self.wfile.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
        self.wfile.write(b"0\r\n\r\n")

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


def forgetful(request: Request) -> Response:
    """A storage account that accepts everything and holds nothing."""
    date = {"Date": formatdate(usegmt=True)}
    if request.method == "PUT":
        return Response(201, {**date, "ETag": '"0x1"', "Last-Modified": formatdate(usegmt=True)})
    body = b'<?xml version="1.0" encoding="utf-8"?><EnumerationResults><Blobs/><NextMarker/></EnumerationResults>'
    return Response(200, {**date, "Content-Type": "application/xml"}, body)


def stream(units: int) -> None:
    """Serve until stdin ends."""
    directory = Path(tempfile.mkdtemp(prefix="keeper-bench-"))
    try:
        authority = Authority.create(directory, wall_clock())
        leaf = authority.issue("bench", names=["server.global.nomad"], addresses=["127.0.0.1"])
        Nomad.archive = Streamed(units)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.certificate, leaf.key)
        server = ThreadingHTTPServer(("127.0.0.1", 0), Nomad)
        server.daemon_threads = True
        server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with serve(forgetful, tls=Tls(leaf.certificate, leaf.key)) as storage:
            told = {
                "nomad": f"https://127.0.0.1:{server.server_address[1]}",
                "storage": f"{storage.url}/account",
                "ca": str(authority.certificate),
                "archive_bytes": Nomad.archive.size,
                "state_bytes": units * UNIT,
            }
            say(told)
        server.shutdown()
        server.server_close()
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def accounts() -> None:
    """Serve until stdin ends."""
    with BackupLab() as lab:
        assert lab.second is not None
        say(
            {"account": lab.account.blob_url, "second": lab.second.blob_url, "ca": str(lab.authority.certificate)},
            lambda: {
                "forbidden": len(lab.account.journal.forbidden) + len(lab.second.journal.forbidden),
                "commits": lab.account.journal.commits(),
            },
        )


def say(told: dict[str, object], asked: object = None) -> None:
    """Print where everything is; answer each further line with what `asked` tells, until stdin ends."""
    print(json.dumps(told), flush=True)  # noqa: T201 -- to the process that started this one
    for _ in sys.stdin:
        print(json.dumps(asked() if callable(asked) else {}), flush=True)  # noqa: T201 -- the same


if __name__ == "__main__":
    accounts() if sys.argv[1] == "accounts" else stream(int(sys.argv[2]))
