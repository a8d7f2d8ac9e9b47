"""Access tokens of the machine's managed identity.

On a virtual machine the instance metadata service gives them; where IDENTITY_ENDPOINT and IDENTITY_HEADER are set, the
App Service endpoint does, exactly as the Azure SDKs decide. Shapes: tests/recordings/azure/identity.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from keepernode.problems import Misconfigured, Unreachable
from keepernode.shapes import as_object, text_of
from keepernode.wire import Line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

IMDS: Final = "http://169.254.169.254"
STORAGE: Final = "https://storage.azure.com/"
KEY_VAULT: Final = "https://vault.azure.net"
FRESH_SECONDS: Final = 300.0
"""A token is replaced when it has less than this left; Azure's live for an hour at least."""


@dataclass(frozen=True, slots=True)
class IdentityEndpoint:
    """Where tokens come from. `header` is the App Service secret; None means the instance metadata service."""

    url: str = f"{IMDS}/metadata/identity/oauth2/token"
    header: str | None = field(default=None, repr=False)
    client_id: str | None = None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str], client_id: str | None) -> IdentityEndpoint:
        """Choose as the Azure SDKs do: both IDENTITY_ variables mean App Service, neither means a virtual machine."""
        url, header = environment.get("IDENTITY_ENDPOINT"), environment.get("IDENTITY_HEADER")
        if url and header:
            return cls(url, header, client_id)
        if url or header:
            raise Misconfigured(
                "only one of IDENTITY_ENDPOINT and IDENTITY_HEADER is set; set both, or neither on a VM"
            )
        return cls(client_id=client_id)

    def question(self, resource: str) -> tuple[str, dict[str, str]]:
        """Return the path with its query, and the headers, that ask for a token for `resource`."""
        version = "2018-02-01" if self.header is None else "2019-08-01"
        query = {"api-version": version, "resource": resource}
        if self.client_id:
            query["client_id"] = self.client_id
        headers = {"Metadata": "true"} if self.header is None else {"X-IDENTITY-HEADER": self.header}
        return f"{urlsplit(self.url).path or '/'}?{urlencode(query)}", headers


@dataclass(frozen=True, slots=True)
class _Token:
    secret: str
    until: float


@dataclass(slots=True)
class Identity:
    """The machine's identity: one token per resource, kept until it is nearly over. For use by one thread."""

    endpoint: IdentityEndpoint
    now: Callable[[], datetime]
    _kept: dict[str, _Token] = field(default_factory=dict[str, _Token], repr=False)

    def bearer(self, resource: str) -> str:
        """Return the value of an Authorization header for `resource`; Unreachable when no token can be had."""
        kept = self._kept.get(resource)
        moment = self.now().timestamp()
        if kept is None or kept.until - moment < FRESH_SECONDS:
            try:
                kept = self._kept[resource] = self._fetch(resource)
            except Unreachable:
                if kept is None or kept.until <= moment:
                    raise
        return f"Bearer {kept.secret}"

    def forget(self, resource: str) -> None:
        """Drop the token: the service refused it, so the next `bearer` asks anew."""
        self._kept.pop(resource, None)

    def _fetch(self, resource: str) -> _Token:
        path, headers = self.endpoint.question(resource)
        line = Line(self.endpoint.url)
        try:
            answer = line.ask("GET", path, headers=headers)
        finally:
            line.close()
        if answer.status != 200:  # noqa: PLR2004 - HTTP's "OK"
            msg = (
                f"no token for {resource}: the identity endpoint says HTTP {answer.status} {answer.text()};"
                " check that the machine has its user-assigned identity and that client_id names it"
            )
            raise Unreachable(msg, status=answer.status)
        said = as_object(answer.json(), "the identity endpoint's answer")
        return _Token(text_of(said, "access_token"), float(text_of(said, "expires_on")))
