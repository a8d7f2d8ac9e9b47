"""The `SnapshotSource` port over Consul's HTTP API (https://developer.hashicorp.com/consul/api-docs/snapshot).

Consul's archives are Nomad's in form, but it announces no digest: the sums inside, the gzip end and the members are the only proof.
Saving needs a management token (`acl = "write"`), whatever the version.
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast

from keeper.core.snapshots import BadSnapshot, Product, Reason
from keeper.errors import Forbidden, Gone, KeeperError, Permanent, Throttled, Unreachable
from keeper.settings import SnapshotSettings
from keeper.snapshot_ports import Arriving, Observed

if TYPE_CHECKING:
    import requests

MANAGEMENT = 'management token (acl = "write")'
READ_SECONDS = 60
"""Consul writes the whole archive to a temporary file before its first byte."""
PIECE = 256 * 1024
MOST_TEXT = 200

COUNTED = {
    "nodes": "/v1/catalog/nodes",
    "services": "/v1/catalog/services",
    "keys": "/v1/kv/?keys",
    "acl_tokens": "/v1/acl/tokens",
    "acl_policies": "/v1/acl/policies",
    "acl_roles": "/v1/acl/roles",
    "auth_methods": "/v1/acl/auth-methods",
}
"""Auth methods among them: a restore once lost them in silence (hashicorp/consul#9784)."""


class ConsulSnapshots:
    """The `SnapshotSource` port. `token` and `ca` (a PEM bundle) are asked for at each snapshot: both are rotated."""

    product = Product.CONSUL

    def __init__(self, settings: SnapshotSettings, *, token: Callable[[], str], ca: Callable[[], str]) -> None:
        self._settings = settings
        self._token = token
        self._ca = ca

    def observe(self) -> Observed:
        """See the port."""
        with self.session() as session:
            leader = str(json_of(self.get(session, "/v1/status/leader")) or "")
            if not leader:
                raise BadSnapshot(Reason.NO_LEADER, "no Consul server leads")
            version, datacenter = self._server(session, leader)
            counts: dict[str, int] = {}
            index = 0
            for kind, path in COUNTED.items():
                found = self._count(session, path)
                if found is not None:
                    counts[kind], seen = found
                    index = max(index, seen)
        return Observed(version, datacenter, leader, index, MANAGEMENT, counts)

    @contextmanager
    def archive(self) -> Generator[Arriving]:
        """See the port. The request is not `?stale`: the leader answers, or nobody."""
        with self.session() as session:
            try:
                answer = self.get(session, "/v1/snapshot")
            except Forbidden as exc:
                secret = self._settings.consul_token_secret
                raise BadSnapshot(
                    Reason.RIGHT_MISSING, f"Consul refused a snapshot to the token in {secret}: it needs a {MANAGEMENT}"
                ) from exc
            with answer:
                yield Arriving(_pieces(answer), None)

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
        try:
            answer = self.get(session, path)
        except (Forbidden, Gone) as exc:  # no keys at all are 404, too
            return (0, 0) if isinstance(exc, Gone) and path == COUNTED["keys"] else None
        index = int(answer.headers.get("X-Consul-Index", "0"))
        return len(json_of(answer)), index

    @property
    def address(self) -> str:
        """Base URL of the servers."""
        return self._settings.consul_address.rstrip("/")

    @contextmanager
    def session(self) -> "Generator[requests.Session]":
        """A session with the token and CAs of this moment."""
        import requests  # noqa: PLC0415 -- loaded when first used

        from keeper.trust import TokenHeader, VerifiedTransport  # noqa: PLC0415 -- goes with it

        with requests.Session() as session:
            session.trust_env = False
            session.auth = TokenHeader(self._token(), "X-Consul-Token")
            session.headers["Accept-Encoding"] = "identity"
            transport = VerifiedTransport(self._ca(), self._settings.consul_name, "Consul")
            session.mount(self.address, transport)
            yield session

    def get(self, session: "requests.Session", path: str) -> "requests.Response":
        """One successful answer, its body not read yet; anything else is raised in the keeper's words."""
        import requests  # noqa: PLC0415 -- loaded when first used

        from keeper.trust import CONNECT_SECONDS  # noqa: PLC0415 -- goes with it

        try:
            answer = session.get(
                self.address + path,
                timeout=(CONNECT_SECONDS, READ_SECONDS),
                stream=True,
                allow_redirects=False,
            )
            if answer.status_code != HTTPStatus.OK:
                with answer:
                    raise refusal(path, answer)
        except requests.RequestException as exc:
            raise Unreachable(f"no answer from Consul for {path}: {type(exc).__name__} {exc}"[: 2 * MOST_TEXT]) from exc
        return answer


MEANINGS: Mapping[int, type[KeeperError]] = {
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.UNAUTHORIZED: Forbidden,
    HTTPStatus.NOT_FOUND: Gone,
    HTTPStatus.TOO_MANY_REQUESTS: Throttled,
    HTTPStatus.INTERNAL_SERVER_ERROR: Unreachable,  # "No cluster leader" and RPC errors
    HTTPStatus.SERVICE_UNAVAILABLE: Unreachable,
    HTTPStatus.BAD_GATEWAY: Unreachable,
}


def refusal(path: str, answer: "requests.Response") -> KeeperError:
    """Translate an answer that is no success."""
    text = answer.text.strip()[:MOST_TEXT]
    return MEANINGS.get(answer.status_code, Permanent)(f"Consul refused {path}: {answer.status_code} {text}")


def _pieces(answer: "requests.Response") -> Iterator[bytes]:
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 -- loaded when first used

    try:
        yield from answer.raw.stream(PIECE, decode_content=False)
    except (HTTPError, OSError) as exc:
        raise BadSnapshot(
            Reason.CUT_SHORT, f"the archive broke off on its way: {type(exc).__name__} {exc}"[:300]
        ) from exc


def json_of(answer: "requests.Response") -> Any:  # noqa: ANN401 -- JSON
    """The decoded body; closes the answer."""
    import requests  # noqa: PLC0415 -- loaded when first used

    with answer:
        try:
            return json.loads(answer.content)
        except (ValueError, requests.RequestException) as exc:
            raise Unreachable(f"no whole answer from Consul: {type(exc).__name__} {exc}"[:300]) from exc
