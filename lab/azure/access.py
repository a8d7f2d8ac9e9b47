"""Who may call ARM: the token's audience first, then, if a role table is given, the action and its scope."""

from __future__ import annotations

from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from lab.azure.model.failures import ArmError
from lab.azure.tokens import InvalidTokenError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.azure.tokens import Tenant

AUDIENCES = frozenset(
    {
        "https://management.azure.com",
        "https://management.azure.com/",
        "https://management.core.windows.net",
        "https://management.core.windows.net/",
    },
)
_ALLOWED = (
    "'https://management.core.windows.net/','https://management.core.windows.net',"
    "'https://management.azure.com/','https://management.azure.com'"
)


@dataclass(frozen=True, slots=True)
class Grant:
    """What a role assignment allows: patterns over actions, at a scope and everything below it."""

    actions: tuple[str, ...]
    scope: str = "/"

    def allows(self, action: str, path: str) -> bool:
        """Whether this grant covers an action on a path; both are compared without case."""
        below = path.lower().startswith(self.scope.lower().rstrip("/"))
        return below and any(fnmatchcase(action.lower(), pattern.lower()) for pattern in self.actions)


@dataclass(frozen=True, slots=True)
class Access:
    """Checks callers. Without a tenant everyone may do everything; without `grants` every good token may."""

    tenant: Tenant | None = None
    grants: Mapping[str, tuple[Grant, ...]] | None = field(default=None)

    def check(self, authorization: str, action: str, path: str) -> None:
        """Raise the 401 or 403 that ARM would answer."""
        if self.tenant is None:
            return
        claims = self._claims(self.tenant, authorization)
        if self.grants is None:
            return
        if not any(grant.allows(action, path) for grant in self.grants.get(claims["oid"], ())):
            raise ArmError(
                403,
                "AuthorizationFailed",
                f"The client '{claims['appid']}' with object id '{claims['oid']}' does not have authorization to perform "
                f"action '{action}' over scope '{path}' or the scope is invalid. If access was recently granted, please "
                "refresh your credentials.",
                headers={"x-ms-failure-cause": "gateway"},
            )

    @staticmethod
    def _claims(tenant: Tenant, authorization: str) -> dict[str, Any]:
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise _unauthorized(
                tenant,
                "AuthenticationFailed",
                "Authentication failed. The 'Authorization' header is missing.",
            )
        try:
            return tenant.check(token.strip(), AUDIENCES)
        except InvalidTokenError as exc:
            raise _rejected(tenant, exc) from exc


def _rejected(tenant: Tenant, problem: InvalidTokenError) -> ArmError:
    if problem.problem == "audience":
        return _unauthorized(
            tenant,
            "InvalidAuthenticationTokenAudience",
            f"The access token has been obtained for wrong audience or resource '{problem.claims['aud']}'. It should "
            f"exactly match with one of the allowed audiences {_ALLOWED}.",
        )
    if problem.problem == "expired":
        return _unauthorized(
            tenant, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier than current UTC time."
        )
    return _unauthorized(tenant, "InvalidAuthenticationToken", "The access token is invalid.")


def _unauthorized(tenant: Tenant, code: str, message: str) -> ArmError:
    challenge = (
        f'Bearer authorization_uri="https://login.windows.net/{tenant.tenant_id}", error="invalid_token", '
        f'error_description="{message}"'
    )
    return ArmError(401, code, message, headers={"WWW-Authenticate": challenge, "x-ms-failure-cause": "gateway"})
