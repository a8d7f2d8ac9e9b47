"""The watcher's configuration: one JSON object, every problem told at once."""

from __future__ import annotations

from dataclasses import MISSING, dataclass, fields
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keepernode.problems import Misconfigured
from keepernode.shapes import Json, parse_object

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchConfig:
    """What the watcher must know. Only the first three have no default."""

    nomad_address: str
    """This server's own Nomad agent, such as `https://127.0.0.1:4646`."""

    queue_url: str
    """The keeper's queue, such as `https://account.queue.core.windows.net/keeper`."""

    node_name: str
    """Who speaks: the `source` of every message is `watcher/<node_name>`."""

    nomad_ca_file: str | None = None
    """PEM bundle that signs Nomad's certificate; the machine's own store when absent."""

    nomad_server_name: str | None = None
    """The name to expect in Nomad's certificate, such as `server.global.nomad`; the address's host when absent."""

    nomad_token_file: str | None = None
    """File with an ACL token that may read nodes, jobs of all namespaces and the agent; read again at each connection."""

    nomad_rpc_address: str | None = None
    """This server's advertised RPC address (`10.0.10.4:4647`): it leads when `/v1/status/leader` says just that.

    When absent, `/v1/agent/self` tells, which needs `agent { policy = "read" }`.
    """

    queue_ca_file: str | None = None
    """PEM bundle for the queue's certificate; the machine's own store when absent, as in Azure."""

    identity_client_id: str | None = None
    """Client id of the user-assigned identity, when the machine has several."""

    interval_seconds: float = 1.0
    """After one nudge, the least time until the next; what happens in between is told in that next one."""

    takeover_seconds: float = 15.0
    """How long a follower keeps what it saw, untold, in case it becomes the leader."""

    backoff_limit_seconds: float = 30.0
    """The longest pause between two tries at Nomad or at the queue; the first is half a second."""

    @classmethod
    def read(cls, path: Path) -> WatchConfig:
        """Read the file; Misconfigured lists everything that is wrong with it."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as exc:
            raise Misconfigured(f"cannot read the watcher's configuration {path}: {exc.strerror}") from exc
        return cls.parse(parse_object(text, str(path)))

    @classmethod
    def parse(cls, given: Json) -> WatchConfig:
        """Check every field; Misconfigured lists all problems at once."""
        problems = [*_unknown(given), *_wrong(given)]
        if problems:
            raise Misconfigured("the watcher's configuration is wrong: " + "; ".join(problems))
        return cls(**{name: value for name, value in given.items() if value is not None})  # pyright: ignore[reportArgumentType] - each value was checked against its field just above


def _unknown(given: Json) -> Iterator[str]:
    known = {field.name for field in fields(WatchConfig)}
    for name in sorted(set(given) - known):
        yield f"{name} is not a field (known: {', '.join(sorted(known))})"


def _wrong(given: Json) -> Iterator[str]:
    for field in fields(WatchConfig):
        value = given.get(field.name)
        if value is None:
            if field.default is MISSING:
                yield f"{field.name} is missing"
        elif field.name.endswith("_seconds"):
            if not isinstance(value, (int, float)) or isinstance(value, bool) or value <= 0:
                yield f"{field.name} must be a number of seconds above 0, not {value!r}"
        elif not isinstance(value, str) or not value:
            yield f"{field.name} must be text, not {value!r}"
        elif field.name in {"nomad_address", "queue_url"} and not _is_address(value):
            yield f"{field.name} must be an http or https address, not {value!r}"


def _is_address(text: str) -> bool:
    parts = urlsplit(text)
    return parts.scheme in {"http", "https"} and bool(parts.hostname)
