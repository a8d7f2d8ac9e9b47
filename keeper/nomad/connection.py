"""One hardened HTTP session to Nomad, and python-nomad's endpoints on top of it.

python-nomad verifies no certificate unless told, reads NOMAD_TOKEN and NOMAD_ADDR from the environment in its `Nomad`
class and cannot send a drain's meta; its endpoint classes do none of this, so they are used with a session of our own.
"""

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import requests
from nomad import api
from nomad.api.exceptions import BaseNomadException
from requests.adapters import BaseAdapter

from keeper.errors import Forbidden, Gone, Unreachable
from keeper.nomad.endpoints import Endpoint
from keeper.nomad.failures import Call, Untrusted, no_answer, refusal
from keeper.settings import NomadSettings
from keeper.trust import CONNECT_SECONDS, TokenHeader, VerifiedTransport

ENDPOINTS: dict[Endpoint, type[api.Requester]] = {
    Endpoint.NODES: api.Nodes,
    Endpoint.NODE: api.Node,
    Endpoint.ALLOCATIONS: api.Allocations,
    Endpoint.JOBS: api.Jobs,
    Endpoint.JOB: api.Job,
    Endpoint.EVALUATIONS: api.Evaluations,
    Endpoint.DEPLOYMENTS: api.Deployments,
}


class Connection:
    """A session for one token and one CA bundle."""

    def __init__(self, settings: NomadSettings, *, token: str, ca: str, transport: BaseAdapter | None) -> None:
        self.token = token
        self.ca = ca
        address = settings.address.rstrip("/")
        session = requests.Session()
        session.trust_env = False  # no proxy, no .netrc: the way to the servers is private
        session.auth = TokenHeader(token)
        session.headers["Accept-Encoding"] = "identity"  # within a network, zipping costs the leader more than it saves
        session.mount(address, transport or VerifiedTransport(ca, f"server.{settings.region}.nomad"))
        timeout = (CONNECT_SECONDS, settings.timeout.total_seconds())
        self._address, self._session, self._timeout = address, session, timeout
        self._endpoints = {
            name: endpoint(address=address, session=session, timeout=timeout, verify=True)
            for name, endpoint in ENDPOINTS.items()
        }

    def download(
        self, call: Call, path: str, query: Mapping[str, str], patience: float | None = None
    ) -> requests.Response:
        """GET what python-nomad has no endpoint for; `patience` is how many seconds it may stay silent. The body is not read yet: close the answer, or read it to its end."""
        timeout = (CONNECT_SECONDS, patience or self._timeout[1])
        with _in_our_words(call):
            answer = self._session.get(
                self._address + path, params=dict(query), timeout=timeout, stream=True, allow_redirects=False
            )
            if answer.status_code != HTTPStatus.OK:
                with answer:
                    raise refusal(call, answer)
        return answer

    def send(
        self,
        call: Call,
        method: str,
        path: str,
        *,
        query: Mapping[str, str],
        body: Any = None,  # noqa: ANN401 -- as requests takes it
        json: object = None,
        patience: timedelta | None = None,
    ) -> requests.Response:
        """One request that python-nomad has no endpoint for, and its successful answer. Sent once.

        `patience` is how long the answer may take instead of the settings' timeout.
        """
        timeout = self._timeout if patience is None else (CONNECT_SECONDS, patience.total_seconds())
        with _in_our_words(call):
            answer = self._session.request(
                method,
                self._address + path,
                params=dict(query),
                data=body,
                json=json,
                timeout=timeout,
                allow_redirects=False,
            )
        if not answer.ok:
            raise refusal(call, answer)
        return answer

    def is_known(self) -> bool:
        """Whether the servers' state holds this token. Nomad refuses a token that it does not know as one that lacks a right."""
        try:
            with self.download(Call("look at its own token", "nothing"), "/v1/acl/token/self", {}):
                return True
        except (Forbidden, Gone):  # Nomad 1.6.5 answers 404 here, and 403 to all other calls
            return False

    def exchange(self, call: Call, endpoint: Endpoint, path: tuple[str, ...], **how: Any) -> requests.Response:  # noqa: ANN401 -- passed on
        """One request and its successful answer; anything else is raised in the keeper's words."""
        try:
            return self._endpoints[endpoint].request(*path, **how)
        except BaseNomadException as exc:
            cause = exc.nomad_resp
            if isinstance(cause, requests.Response):
                raise refusal(call, cause) from exc
            raise _silence(call, cause) from exc


@contextmanager
def _in_our_words(call: Call) -> Generator[None]:
    """Translate what requests raises when no answer comes."""
    try:
        yield
    except requests.RequestException as exc:
        raise _silence(call, exc) from exc


def _silence(call: Call, why: Exception) -> Unreachable:
    """Tell servers whose certificate does not verify from those that do not answer."""
    said = no_answer(call, why)
    return Untrusted(str(said)) if isinstance(why, requests.exceptions.SSLError) else said
