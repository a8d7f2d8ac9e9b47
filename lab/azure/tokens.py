"""Tokens of a tenant: JSON Web Tokens signed with a key of the lab, with the claims that Azure's services look at."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from collections.abc import Callable

LIFETIME = timedelta(hours=24)
"""What managed identities get; azure-identity renews when half of it is over."""


class InvalidTokenError(Exception):
    """A token that is malformed, not ours, not for this audience, or too old; `problem` says which."""

    def __init__(self, problem: str, claims: dict[str, Any] | None = None) -> None:
        super().__init__(problem)
        self.problem = problem
        self.claims = claims or {}


@dataclass(frozen=True, slots=True)
class Principal:
    """An identity of the tenant: `client_id` is its application, `object_id` what roles are given to."""

    client_id: str
    object_id: str
    name: str = ""


class Tenant:
    """Issues and checks the tokens of one directory."""

    def __init__(self, tenant_id: str, now: Callable[[], datetime]) -> None:
        self.tenant_id = tenant_id
        self._now = now
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._checked: dict[str, dict[str, Any]] = {}

    @property
    def issuer(self) -> str:
        """The `iss` claim."""
        return f"https://sts.windows.net/{self.tenant_id}/"

    def issue(self, principal: Principal, audience: str, lifetime: timedelta = LIFETIME) -> tuple[str, datetime]:
        """Issue an access token for an audience, which is kept exactly as asked for; return it and when it ends."""
        now = self._now()
        expires = now + lifetime
        claims = {
            "aud": audience,
            "iss": self.issuer,
            "iat": _epoch(now),
            "nbf": _epoch(now),
            "exp": _epoch(expires),
            "appid": principal.client_id,
            "appidacr": "2",
            "idp": self.issuer,
            "idtyp": "app",
            "oid": principal.object_id,
            "sub": principal.object_id,
            "tid": self.tenant_id,
            "ver": "1.0",
        }
        signed = f"{_encode({'typ': 'JWT', 'alg': 'RS256', 'kid': 'lab'})}.{_encode(claims)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_base64(signature)}", expires

    def check(self, token: str, audiences: frozenset[str]) -> dict[str, Any]:
        """Return the claims of a token that this tenant issued for one of the audiences and that is still good."""
        claims = self._checked.get(token) or self._verified(token)
        if claims["aud"] not in audiences:
            raise InvalidTokenError("audience", claims)
        if claims["exp"] <= _epoch(self._now()):
            raise InvalidTokenError("expired", claims)
        return claims

    def _verified(self, token: str) -> dict[str, Any]:
        try:
            signed, _, signature = token.rpartition(".")
            self._key.public_key().verify(_unbase64(signature), signed.encode(), padding.PKCS1v15(), hashes.SHA256())
            claims: dict[str, Any] = json.loads(_unbase64(signed.partition(".")[2]))
        except (InvalidSignature, ValueError) as exc:
            raise InvalidTokenError("invalid") from exc
        self._checked[token] = claims
        return claims


def _epoch(moment: datetime) -> int:
    return int(moment.astimezone(UTC).timestamp())


def _encode(document: dict[str, Any]) -> str:
    return _base64(json.dumps(document, separators=(",", ":")).encode())


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _unbase64(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
