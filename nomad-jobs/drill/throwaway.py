"""A throw-away server on loopback that an archive is restored into; `nomads.py` and `consuls.py` say what each product needs.

It runs where nothing but `lo` exists: restored state acts (it would deploy, evict, dial its peers), so it must find nobody. Its ACLs
are on, so that tokens can be counted, and it is opened as only who holds its disk can open it.
"""

from __future__ import annotations

import json
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

START_SECONDS, RESTORE_SECONDS = 60, 1200
OWN_TOKENS = 1
"""The management token that opens the server is not the snapshot's."""


class NotRestored(Exception):
    """The server did not start, or did not take the archive."""


class ThrowAwayServer:
    """A context manager: the server runs until the block is left. Each product says the rest."""

    product: str
    url: str
    header: str
    """The one that carries a token."""
    snapshot: str
    """The path that takes an archive."""
    counted: Mapping[str, str]
    """What is listed where, in the words of a manifest's counts."""

    def __init__(self, command: list[str], directory: Path) -> None:
        self._command = command
        self._directory = directory
        self._log = directory / "server.log"
        self.token = ""

    def take_over(self) -> bool:
        """Have `token` be a management token of this server; asked for until it is."""
        raise NotImplementedError

    def found(self) -> dict[str, Any]:
        """What there is, in the verdict's words."""
        raise NotImplementedError

    def __enter__(self) -> ThrowAwayServer:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the binary that the job names
                self._command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={
                    "PATH": "/usr/local/bin:/usr/bin:/bin",
                    "AZURE_ENV_URL": "http://127.0.0.1:9/",
                    "TMPDIR": str(self._directory),
                },
            )
        try:
            self._lead()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def restore(self, archive: Path) -> None:
        """Restore, and take the restored state's ACLs over."""
        with archive.open("rb") as body:
            try:
                self.ask("PUT", self.snapshot, body, size=archive.stat().st_size, timeout=RESTORE_SECONDS)
            except urllib.error.HTTPError as exc:
                raise NotRestored(f"{self.product} refused the archive: {exc.code} {words(exc)}") from exc
            except OSError as exc:  # a server that cannot make sense of a state ends itself
                raise NotRestored(f"{self.product} broke off: {exc}; {self._last_words()}") from exc
        self._lead()

    def counts(self) -> dict[str, int]:
        """How many there are of each kind that may be listed."""
        counts: dict[str, int] = {}
        for kind, path in self.counted.items():
            listed = self.attempt(path)
            if listed is not None:
                counts[kind] = len(listed) - (OWN_TOKENS if kind == "acl_tokens" else 0)
        return counts

    def attempt(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """What lies there, or None when the server refuses it."""
        try:
            return self.ask("GET", path)
        except urllib.error.HTTPError:
            return None

    def ask(self, method: str, path: str, body: Any = None, *, size: int = -1, timeout: float = 10) -> Any:  # noqa: ANN401 - JSON, and a body as urllib takes it
        """Call the server's API; raises what urllib raises."""
        request = urllib.request.Request(self.url + path, data=body, method=method)  # noqa: S310 - loopback
        request.add_header(self.header, self.token)
        if size >= 0:
            request.add_header("Content-Length", str(size))
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - loopback
            content = answer.read()
        return json.loads(content) if content else None

    def _lead(self) -> None:
        self._until("a leader", lambda: self.ask("GET", "/v1/status/leader"))
        self._until("ACLs", self.take_over)

    def _until(self, what: str, holds: Callable[[], object]) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if holds():
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.2)
        raise NotRestored(f"no {what} on the throw-away {self.product}: {self._last_words()}")

    def _last_words(self) -> str:
        return " ".join(self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:])[:300]

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def words(exc: urllib.error.HTTPError) -> str:
    """The error's text; an answer can be read once only."""
    if not hasattr(exc, "words"):
        exc.words = exc.read(400).decode("utf-8", "replace").strip()  # type: ignore[attr-defined]
    return exc.words  # type: ignore[attr-defined]
