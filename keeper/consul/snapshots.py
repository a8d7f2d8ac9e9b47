"""The `SnapshotSource` port over Consul's HTTP API (https://developer.hashicorp.com/consul/api-docs/snapshot).

Consul's archives are Nomad's in form, but it announces no digest: the sums inside, the gzip end and the members are the only proof.
Saving and restoring need `acl = "write"`, whatever the version; a token that has it can make itself a management token, so there is no
lesser one to ask for.
"""

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, cast

from keeper.consul.connection import ConsulServers, NoLeader, json_of
from keeper.core.snapshots import BadSnapshot, Product, Reason
from keeper.errors import Forbidden, Gone
from keeper.snapshot_ports import Arriving, Observed

if TYPE_CHECKING:
    import requests

RIGHT = 'acl = "write"'
NEEDED = f"it needs {RIGHT} and to read all else, as a management token does"
PIECE = 256 * 1024

COUNTED = {
    "nodes": "/v1/catalog/nodes",
    "services": "/v1/catalog/services",
    "sessions": "/v1/session/list",
    "keys": "/v1/kv/?keys",
    "acl_tokens": "/v1/acl/tokens",
    "acl_policies": "/v1/acl/policies",
    "acl_roles": "/v1/acl/roles",
    "auth_methods": "/v1/acl/auth-methods",
}
"""Auth methods among them: a restore once lost them in silence (hashicorp/consul#9784)."""


class ConsulSnapshots(ConsulServers):
    """The `SnapshotSource` port."""

    product = Product.CONSUL

    def observe(self) -> Observed:
        """See the port."""
        with self.session() as session:
            leader = str(json_of(self.get(session, "/v1/status/leader")) or "")
            if not leader:
                raise BadSnapshot(Reason.NO_LEADER, "no Consul server leads")
            with self.allowed():
                version, datacenter = self._server(session, leader)
            counts: dict[str, int] = {}
            index = 0
            for kind, path in COUNTED.items():
                found = self._count(session, path)
                if found is not None:
                    counts[kind], seen = found
                    index = max(index, seen)
        return Observed(version, datacenter, leader, index, RIGHT, counts)

    @contextmanager
    def archive(self) -> Generator[Arriving]:
        """See the port. The request is not `?stale`: the leader answers, or nobody."""
        with self.session() as session:
            try:
                with self.allowed():
                    answer = self.get(session, "/v1/snapshot")
            except NoLeader as exc:
                raise BadSnapshot(Reason.NO_LEADER, str(exc)) from exc
            with answer:
                yield Arriving(_pieces(answer), None)

    @contextmanager
    def allowed(self) -> Generator[None]:
        """Say which right a token lacks that a snapshot needs."""
        try:
            yield
        except Forbidden as exc:
            raise BadSnapshot(Reason.RIGHT_MISSING, f"{exc}; {NEEDED}") from exc

    def _server(self, session: "requests.Session", leader: str) -> tuple[str, str]:
        """Version and datacenter of the leader; when it is not among the members, of the server that answers."""
        members = cast("list[dict[str, Any]]", json_of(self.get(session, "/v1/agent/members")) or [])
        for member in members:
            tags = cast("dict[str, str]", member.get("Tags") or {})
            if f"{member.get('Addr')}:{tags.get('port')}" == leader:
                return tags.get("build", "").partition(":")[0], tags.get("dc", "")
        own = cast("dict[str, dict[str, str]]", json_of(self.get(session, "/v1/agent/self")))
        return own["Config"]["Version"], own["Config"]["Datacenter"]

    def _count(self, session: "requests.Session", path: str) -> tuple[int, int] | None:
        """How many there are, and the index of that; None when not all of them may be seen."""
        try:
            answer = self.get(session, path)
        except Gone:
            return (0, 0) if path == COUNTED["keys"] else None  # no keys at all are 404 in some versions
        except Forbidden:
            return None
        index = int(answer.headers.get("X-Consul-Index", "0"))
        filtered = answer.headers.get("X-Consul-Results-Filtered-By-ACLs") == "true"
        found = len(json_of(answer))
        return None if filtered else (found, index)


def _pieces(answer: "requests.Response") -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 -- loaded when first used

    try:
        yield from answer.raw.stream(PIECE, decode_content=False)
    except (HTTPError, OSError) as exc:
        raise BadSnapshot(
            Reason.CUT_SHORT, f"the archive broke off on its way: {type(exc).__name__} {exc}"[:300]
        ) from exc
