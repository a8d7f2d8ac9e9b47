"""A vault as a function: `Vault.handle` turns a request into a response. No sockets, no waiting, one lock.

The order of checks is Key Vault's: token (a request without one is told where to get it), path, role, then the handler.
"""

from __future__ import annotations

import re
import threading
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.azure.tokens import InvalidTokenError
from lab.http import Response
from lab.keyvault.call import Call, Route
from lab.keyvault.certificate_store import CertificateStore
from lab.keyvault.errors import VaultError, bad_parameter, not_allowed, throttled
from lab.keyvault.key_store import KeyStore
from lab.keyvault.secret_store import SecretStore

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from lab.azure.access import Grant
    from lab.azure.tokens import Tenant
    from lab.http import Request

API_VERSIONS = re.compile(r"7\.\d(-preview\.\d)?|20\d\d-\d\d-\d\d(-preview)?|2025-\d\d-\d\d")
PROVIDER = "Microsoft.KeyVault/"


class Vault:
    """One vault. Thread-safe. Without `grants` every good token may do everything; they name roles by object id.

    `fail` is consulted before each call and may raise `VaultError`: how a scenario makes a bad day.
    """

    def __init__(
        self,
        tenant: Tenant,
        now: Callable[[], datetime],
        *,
        name: str = "lab",
        grants: Mapping[str, Sequence[Grant]] | None = None,
    ) -> None:
        self.tenant = tenant
        self.name = name
        self.grants = grants
        self.secrets = SecretStore(now)
        self.keys = KeyStore(now)
        self.certificates = CertificateStore(now, self.keys, self.secrets)
        self.calls: list[tuple[str, str, int]] = []
        self.fail: Callable[[Request], None] = lambda _: None
        self.lock = threading.RLock()
        routes = [*self.secrets.routes(), *self.keys.routes(), *self.certificates.routes()]
        self._routes = [(route, re.compile(route.pattern + "/?")) for route in routes]

    def set_secret(self, name: str, value: str) -> None:
        """Put a secret, as a deployment does."""
        with self.lock:
            self.secrets.set(name, value)

    def throttle(self, times: int, seconds: int = 10) -> None:
        """Answer the next `times` calls 429."""
        left = [times]

        def refuse(_: Request) -> None:
            if left[0]:
                left[0] -= 1
                raise throttled(seconds)

        self.fail = refuse

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        with self.lock:
            try:
                response = self._answer(request)
            except VaultError as error:
                response = error.response()
            self.calls.append((request.method, request.path, response.status))
            return Response(response.status, {**response.headers, **_PLATFORM}, response.body)

    def _answer(self, request: Request) -> Response:
        claims = self._claims(request)
        self.fail(request)
        if not API_VERSIONS.fullmatch(request.query.get("api-version", "")):
            raise bad_parameter("The request did not specify a supported api-version")
        route, call = self._match(request)
        self._check_role(claims, route, call)
        return route.handler(call)

    def _match(self, request: Request) -> tuple[Route, Call]:
        for route, pattern in self._routes:
            found = pattern.fullmatch(request.path) if route.method == request.method else None
            if found:
                named = {key: value or "" for key, value in found.groupdict().items()}
                return route, Call(request, **named)
        raise VaultError(404, "NotFound", f"No route matches {request.method} {request.path}")

    def _claims(self, request: Request) -> dict[str, Any]:
        """Check the token; its audience must be the parent domain of the vault's host, as the challenge says."""
        audience = resource_of(request.url)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise self._challenge(audience, "AKV10000: Request is missing a Bearer or PoP token.")
        try:
            return self.tenant.check(token, frozenset({audience, f"{audience}/"}))
        except InvalidTokenError as exc:
            found = exc.claims.get("aud", "")
            texts = {"audience": f"AKV10022: Invalid audience. Expected {audience}, found: {found}."}
            text = texts.get(exc.problem, f"AKV10046: Unable to resolve the key used for signature validation: {exc}.")
            raise self._challenge(audience, text) from exc

    def _challenge(self, resource: str, message: str) -> VaultError:
        authority = f"https://login.microsoftonline.com/{self.tenant.tenant_id}"
        header = f'Bearer authorization="{authority}", resource="{resource}"'
        return VaultError(401, "Unauthorized", message, headers={"WWW-Authenticate": header})

    def _check_role(self, claims: dict[str, Any], route: Route, call: Call) -> None:
        if self.grants is None:
            return
        action = PROVIDER + route.action
        kind = route.action.split("/")[1]
        resource = f"/vaults/{self.name}" + (f"/{kind}/{call.name}" if call.name else "")
        if not any(grant.allows(action, resource) for grant in self.grants.get(claims["oid"], ())):
            raise not_allowed(claims, action, resource, self.name)


def resource_of(url: str) -> str:
    """Return the audience of a vault's tokens: the parent domain of its host, as `vault.azure.net` is of a real vault's.

    The SDK refuses to send a token to a host that is not below the challenge's resource. On loopback the parent of
    `127.0.0.1:8443` is `0.0.1:8443`: odd to read, but the same rule, and no name has to resolve.
    """
    return f"https://{urlsplit(url).netloc.partition('.')[2]}"


_PLATFORM = {
    "x-ms-keyvault-region": "westeurope",
    "x-ms-keyvault-service-version": "1.9.1988.1",
    "x-ms-keyvault-network-info": "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;",
}
