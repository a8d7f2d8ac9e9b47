"""The `RestoreTarget` and `Canaries` ports over Consul's HTTP API: `PUT /v1/snapshot`, into servers of the same version.

The servers' own ACLs must be bootstrapped before; afterwards the snapshot's tokens hold, and the former ones do not
(https://developer.hashicorp.com/consul/api-docs/snapshot#restore-snapshot).
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, cast

from keeper.consul.connection import ConsulServers, NoLeader, json_of
from keeper.consul.snapshots import NEEDED, ConsulSnapshots
from keeper.core import canaries
from keeper.core.canaries import Canary
from keeper.core.restoring import Found
from keeper.core.snapshots import BadSnapshot, Reason
from keeper.errors import Forbidden, Gone, Permanent, Unreachable
from keeper.restore_ports import Sized

if TYPE_CHECKING:
    import requests

PATIENCE_SECONDS = 1200
"""A restore of 3.8 GB that a client gave up on was lost (hashicorp/consul#3326)."""

DAMAGED = re.compile(
    r"failed to (decompress|read) snapshot|unexpected EOF|gzip: |flate: |unread uncompressed bytes|Raft error when restoring"
)
"""What Consul says of archives; they are 500, as a lost leader is (`tests/recordings/consul-1.19/restore.json`)."""
KEY = f"/v1/kv/{canaries.KEY}"


class ConsulRestore(ConsulSnapshots):
    """The `RestoreTarget` port; give it the secret of a token that may restore."""

    @property
    def source(self) -> ConsulSnapshots:
        """See the port."""
        return self

    def servers(self) -> int:
        """See the port."""
        with self.session() as session:
            return len(json_of(self.get(session, "/v1/status/peers")))

    def restore(self, archive: Callable[[], Iterator[bytes]], size: int) -> None:
        """See the port."""
        with self.session() as session:
            try:
                self.put(session, "/v1/snapshot", Sized(archive(), size), PATIENCE_SECONDS)
            except NoLeader:
                raise
            except Forbidden as exc:
                raise Forbidden(f"{exc}; {NEEDED}") from exc
            except Unreachable as exc:
                if DAMAGED.search(str(exc)) and "leader" not in str(exc):
                    raise Permanent(f"Consul refused the archive: {exc}") from exc
                raise

    def found(self) -> Found:
        """See the port."""
        try:
            seen = self.observe()
            items, trouble = self._canary()
        except BadSnapshot as exc:
            if exc.reason is not Reason.NO_LEADER:
                raise
            return Found({}, "", trouble=exc.what)
        return Found(seen.counts, seen.leader, canary=items, trouble=trouble)

    def _canary(self) -> tuple[Mapping[str, str] | None, str]:
        with self.session() as session:
            try:
                return read_key(self, session), ""
            except Forbidden as exc:
                return None, str(exc)


class ConsulCanaries(ConsulServers):
    """The `Canaries` port: a key."""

    def read(self) -> Mapping[str, str] | None:
        """See the port."""
        with self.session() as session:
            return self._keeping(lambda: read_key(self, session))

    def write(self, canary: Canary) -> None:
        """See the port."""
        with self.session() as session:
            self._keeping(lambda: self.put(session, KEY, json.dumps(canary.items())))

    def _keeping[T](self, call: Callable[[], T]) -> T:
        try:
            return call()
        except Forbidden as exc:
            raise Forbidden(f"{exc}; keeping the canary key needs {canaries.KEY_RULES}") from exc


def read_key(servers: ConsulServers, session: "requests.Session") -> Mapping[str, str] | None:
    """The canary's items, or None when there is no such key or something else in it."""
    try:
        answer = servers.get(session, f"{KEY}?raw")
    except Gone:
        return None
    with answer:
        try:
            parsed: object = json.loads(answer.content)
        except ValueError:
            return None
    return cast("dict[str, str]", parsed) if isinstance(parsed, dict) else None
