"""One way to Consul's servers, as the token in one Key Vault secret, and their refusals in the keeper's words.

Statuses and texts as recorded in `tests/recordings/consul-1.19`. What is refused to a token is 403 and names the right; what a token
may not see is left out of a list in silence but for a header, so a list without it is whole (`X-Consul-Results-Filtered-By-ACLs`,
https://developer.hashicorp.com/consul/api-docs/features/filtering).
"""

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from keeper.errors import Forbidden, Gone, KeeperError, Permanent, Throttled, Unreachable
from keeper.restore_ports import Sized
from keeper.settings import SnapshotSettings
from keeper.telemetry import Event, event

if TYPE_CHECKING:
    import requests

READ_SECONDS = 60
"""Consul writes a whole archive to a temporary file before its first byte, and holds a request for seconds while nobody leads."""
MOST_TEXT = 200
HEADER = "X-Consul-Token"
OWN_TOKEN = "/v1/acl/token/self"  # noqa: S105 -- a path
NO_LEADER = "No cluster leader"
UNKNOWN_TOKEN = "ACL not found"  # noqa: S105 -- what Consul answers
ACLS_OFF = "ACL support disabled"


class NoLeader(Unreachable):
    """Nobody leads, so nobody answers."""


class UnknownToken(Forbidden):
    """The servers have no such token."""


class ConsulServers:
    """`token` and `ca` (a PEM bundle) are asked for anew each time: both are rotated. `secret` names where the token comes from.

    A restored state knows the tokens of its own time only: when the servers do not know the newest one, the first of `former`, the
    newest first, that they know is used instead, which is said. A token that they know and that lacks a right is never replaced so.
    """

    def __init__(
        self,
        settings: SnapshotSettings,
        *,
        token: Callable[[], str],
        ca: Callable[[], str],
        secret: str = "",
        former: Callable[[], Iterator[str]] = lambda: iter(()),
    ) -> None:
        self._settings = settings
        self._token = token
        self._ca = ca
        self._former = former
        self.secret = secret or settings.consul_token_secret

    @contextmanager
    def session(self) -> "Generator[requests.Session]":
        """A session with the token and CAs of this moment."""
        import requests  # noqa: PLC0415 -- loaded when first used

        from keeper.trust import TokenHeader, VerifiedTransport  # noqa: PLC0415 -- goes with it

        with requests.Session() as session:
            session.trust_env = False
            session.auth = TokenHeader(self._token(), HEADER)
            session.headers["Accept-Encoding"] = "identity"
            transport = VerifiedTransport(self._ca(), self._settings.consul_name, "Consul")
            session.mount(self._address, transport)
            yield session

    def get(self, session: "requests.Session", path: str) -> "requests.Response":
        """One successful answer, its body not read yet; anything else is raised in the keeper's words."""
        return self._known(session, lambda: self._send(session, "GET", path))

    def put(self, session: "requests.Session", path: str, body: Sized | str, seconds: float = READ_SECONDS) -> None:
        """Send a body, once; the same errors. What is made as it is sent cannot be sent anew with another token: see `settle`."""
        if isinstance(body, Sized):
            self.settle(session)
        self._known(session, lambda: self._send(session, "PUT", path, body, seconds)).close()

    def settle(self, session: "requests.Session") -> None:
        """Have the session carry a token that the servers know, unless they ask for none."""
        try:
            self.get(session, OWN_TOKEN).close()
        except Forbidden as exc:
            if ACLS_OFF not in str(exc):
                raise

    def _known(self, session: "requests.Session", ask: "Callable[[], requests.Response]") -> "requests.Response":
        """Ask; once more with a former token when the servers do not know this one."""
        try:
            return ask()
        except UnknownToken as exc:
            self._use_former(session, exc)
        return ask()

    def _use_former(self, session: "requests.Session", unknown: UnknownToken) -> None:
        from keeper.trust import TokenHeader  # noqa: PLC0415 -- as in `session`

        tried = 0
        for token in self._former():
            session.auth = TokenHeader(token, HEADER)
            try:
                self._send(session, "GET", OWN_TOKEN).close()
            except UnknownToken:
                tried += 1
                continue
            event(Event.TOKEN_FORMER_USED, secret=self.secret)
            return
        if tried == 0:
            raise unknown
        raise Forbidden(
            f"{unknown}, nor any of its {tried} former enabled versions: put a token of its there"
        ) from unknown

    def _send(
        self,
        session: "requests.Session",
        method: str,
        path: str,
        body: Sized | str | None = None,
        seconds: float = READ_SECONDS,
    ) -> "requests.Response":
        import requests  # noqa: PLC0415 -- loaded when first used

        from keeper.trust import CONNECT_SECONDS  # noqa: PLC0415 -- goes with it

        try:
            answer = session.request(
                method,
                self._address + path,
                data=body,
                timeout=(CONNECT_SECONDS, seconds),
                stream=True,
                allow_redirects=False,
            )
            if answer.status_code != HTTPStatus.OK:
                with answer:
                    raise self._refusal(path, answer)
        except requests.RequestException as exc:
            raise Unreachable(f"no answer from Consul for {path}: {type(exc).__name__} {exc}"[: 2 * MOST_TEXT]) from exc
        return answer

    @property
    def _address(self) -> str:
        return self._settings.consul_address.rstrip("/")

    def _refusal(self, path: str, answer: "requests.Response") -> KeeperError:
        text = " ".join(answer.text.split())[:MOST_TEXT]
        if UNKNOWN_TOKEN in text:
            return UnknownToken(f"Consul does not know the token in {self.secret} ({path}: {text})")
        kind = MEANINGS.get(answer.status_code, Permanent)
        if kind is Forbidden:
            return Forbidden(f"Consul refused {path} to the token in {self.secret}: {text}")
        if kind is Unreachable and NO_LEADER in text:
            kind = NoLeader
        return kind(f"Consul refused {path}: {answer.status_code} {text}")


MEANINGS: Mapping[int, type[KeeperError]] = {
    HTTPStatus.FORBIDDEN: Forbidden,
    HTTPStatus.UNAUTHORIZED: Forbidden,  # ACLs are off
    HTTPStatus.NOT_FOUND: Gone,
    HTTPStatus.TOO_MANY_REQUESTS: Throttled,
    HTTPStatus.INTERNAL_SERVER_ERROR: Unreachable,  # no leader, a leader that is lost, RPC errors
    HTTPStatus.SERVICE_UNAVAILABLE: Unreachable,
    HTTPStatus.BAD_GATEWAY: Unreachable,
}


def json_of(answer: "requests.Response") -> Any:  # noqa: ANN401 -- JSON
    """The decoded body; closes the answer."""
    import requests  # noqa: PLC0415 -- loaded when first used

    with answer:
        try:
            return json.loads(answer.content)
        except (ValueError, requests.RequestException) as exc:
            raise Unreachable(f"no whole answer from Consul: {type(exc).__name__} {exc}"[:300]) from exc
