"""A throw-away Nomad server on loopback that an archive is restored into.

It runs where nothing but `lo` exists: restored state acts (it would deploy, evict and talk to its peers), so it must find nobody.
Its ACLs are on, so that tokens can be counted; a reset file, which only who holds the disk can write, opens it afterwards
(https://developer.hashicorp.com/nomad/docs/secure/acl/bootstrap#resetting-acl-bootstrap).
"""

from __future__ import annotations

import json
import re
import subprocess
import time
import urllib.error
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

URL = "http://127.0.0.1:4646"
START_SECONDS, RESTORE_SECONDS, KEYS_SECONDS = 60, 1200, 20
COUNTED = {
    "jobs": "/v1/jobs?namespace=*",
    "nodes": "/v1/nodes",
    "namespaces": "/v1/namespaces",
    "node_pools": "/v1/node/pools",
    "variables": "/v1/vars?namespace=*",
    "acl_tokens": "/v1/acl/tokens",
    "acl_policies": "/v1/acl/policies",
    "acl_roles": "/v1/acl/roles",
}
OWN_TOKENS = 1
"""The management token that the reset made is not the snapshot's."""


class NotRestored(Exception):
    """The server did not start, or did not take the archive."""


class ThrowAwayServer:
    """A context manager: the server runs, with its keystore in place, until the block is left; then its data is gone."""

    def __init__(self, binary: str, directory: Path, region: str, keystore: dict[str, str]) -> None:
        self._binary = binary
        self._data = directory / "data"
        self._log = directory / "nomad.log"
        self._config = directory / "agent.json"
        self._token = ""
        keys = self._data / "server" / "keystore"
        keys.mkdir(parents=True, mode=0o700)
        for name, text in keystore.items():
            (keys / name).write_text(text, encoding="utf-8")
        address = {"http": "127.0.0.1", "rpc": "127.0.0.1", "serf": "127.0.0.1"}
        config = {
            "name": "drill",
            "region": region,
            "data_dir": str(self._data),
            "bind_addr": "127.0.0.1",
            "advertise": address,
            "server": {"enabled": True, "bootstrap_expect": 1},
            "acl": {"enabled": True},
            "disable_update_check": True,
            "disable_anonymous_signature": True,
        }
        self._config.write_text(json.dumps(config), encoding="utf-8")

    def __enter__(self) -> ThrowAwayServer:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603 - the binary that the job names
                [self._binary, "agent", "-config", str(self._config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "AZURE_ENV_URL": "http://127.0.0.1:9/"},
            )
        try:
            self._until("a leader", lambda: self._ask("GET", "/v1/status/leader"), START_SECONDS)
            self._until("ACLs", self._bootstrap, START_SECONDS)
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stop()

    def restore(self, archive: Path) -> None:
        """Restore, and take the restored cluster's ACLs over."""
        with archive.open("rb") as body:
            try:
                self._ask("PUT", "/v1/operator/snapshot", body, size=archive.stat().st_size, timeout=RESTORE_SECONDS)
            except urllib.error.HTTPError as exc:
                raise NotRestored(f"Nomad refused the archive: {exc.code} {_words(exc)}") from exc
        self._until("the restored leader", lambda: self._ask("GET", "/v1/status/leader"), START_SECONDS)
        self._until("the restored ACLs", self._bootstrap, START_SECONDS)

    def found(self) -> dict[str, Any]:
        """What there is: counts and canaries, in the verdict's words. A variable's key is waited for, not for ever."""
        counts: dict[str, int] = {}
        for kind, path in COUNTED.items():
            listed = self._try(path)
            if listed is not None:
                counts[kind] = len(listed) - (OWN_TOKENS if kind == "acl_tokens" else 0)
        job = self._try("/v1/job/keeper-canary?namespace=default")
        items, trouble = self._canary()
        return {
            "counts": counts,
            "leader": self._ask("GET", "/v1/status/leader"),
            "server_version": self._ask("GET", "/v1/agent/self")["config"]["Version"]["Version"],
            "canary_job": None if job is None else str((job.get("Meta") or {}).get("refreshed", "")),
            "canary": items,
            "trouble": trouble,
        }

    def _canary(self) -> tuple[dict[str, str] | None, str]:
        deadline = time.monotonic() + KEYS_SECONDS
        while True:
            try:
                return self._ask("GET", "/v1/var/keeper/canary?namespace=default")["Items"], ""
            except urllib.error.HTTPError as exc:  # noqa: PERF203 - one try every half second
                trouble = f"{exc.code} {_words(exc)}"
                if "no such key" in trouble or time.monotonic() > deadline:
                    return None, trouble
                time.sleep(0.5)

    def _bootstrap(self) -> bool:
        """A management token of this server; after a restore by the reset file, whose index the refusal tells."""
        try:
            self._token = self._ask("PUT", "/v1/acl/bootstrap", b"{}")["SecretID"]
        except urllib.error.HTTPError as exc:
            index = re.search(r"reset index: (\d+)", _words(exc))
            if index is None:
                return False
            (self._data / "server" / "acl-bootstrap-reset").write_text(index[1], encoding="utf-8")
            return False
        return True

    def _try(self, path: str) -> Any:  # noqa: ANN401 - JSON
        try:
            return self._ask("GET", path)
        except urllib.error.HTTPError:
            return None

    def _ask(self, method: str, path: str, body: Any = None, *, size: int = -1, timeout: float = 10) -> Any:  # noqa: ANN401 - JSON, and a body as urllib takes it
        request = urllib.request.Request(URL + path, data=body, method=method)  # noqa: S310 - loopback
        request.add_header("X-Nomad-Token", self._token)
        if size >= 0:
            request.add_header("Content-Length", str(size))
        with urllib.request.urlopen(request, timeout=timeout) as answer:  # noqa: S310 - loopback
            content = answer.read()
        return json.loads(content) if content else None

    def _until(self, what: str, holds: Callable[[], object], seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self._process.poll() is not None:
                break
            try:
                if holds():
                    return
            except (OSError, ValueError):
                pass
            time.sleep(0.2)
        last = self._log.read_text(encoding="utf-8", errors="replace").strip().splitlines()[-1:]
        raise NotRestored(f"no {what} on the throw-away server: {' '.join(last)[:300]}")

    def _stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _words(exc: urllib.error.HTTPError) -> str:
    """The error's text; an answer can be read once only."""
    if not hasattr(exc, "words"):
        exc.words = exc.read(400).decode("utf-8", "replace").strip()  # type: ignore[attr-defined]
    return exc.words  # type: ignore[attr-defined]
