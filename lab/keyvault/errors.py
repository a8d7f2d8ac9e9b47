"""Everything that the vault refuses, with the codes and texts that Key Vault uses (recordings/azure, keyvault/error_*)."""

from __future__ import annotations

from typing import Any

from lab.http import Response


class VaultError(Exception):
    """An answer other than success."""

    def __init__(
        self, status: int, code: str, message: str, inner: str | None = None, headers: dict[str, str] | None = None
    ) -> None:
        super().__init__(f"{status} {code}: {message}")
        self.status = status
        self.error: dict[str, Any] = {"code": code, "message": message}
        if inner:
            self.error["innererror"] = {"code": inner}
        self.headers = headers or {}

    def response(self) -> Response:
        """Render as Key Vault does."""
        return Response.of_json(self.status, {"error": self.error}, self.headers)


def bad_parameter(message: str) -> VaultError:
    """The request does not make sense."""
    return VaultError(400, "BadParameter", message)


def not_found(kind: str, what: str) -> VaultError:
    """No such secret, key or certificate, or no such version of it."""
    return VaultError(
        404,
        f"{kind}NotFound",
        f"A {kind.lower()} with (name/id) {what} was not found in this key vault. If you recently deleted this "
        f"{kind.lower()} you may be able to recover it using the correct recovery command. For help resolving this issue, "
        "please see https://go.microsoft.com/fwlink/?linkid=2125182",
    )


def disabled(kind: str, doing: str) -> VaultError:
    """What is disabled can be looked at in lists only."""
    message = f"Operation {doing} is not allowed on a disabled {kind.lower()}."
    return VaultError(403, "Forbidden", message, f"{kind}Disabled")


def deleted_but_recoverable(kind: str, name: str) -> VaultError:
    """The name of a deleted thing stays taken until it is purged."""
    return VaultError(
        409,
        "Conflict",
        f"{kind} {name} is currently in a deleted but recoverable state, and its name cannot be reused; in this state, "
        f"the {kind.lower()} can only be recovered or purged.",
        "ObjectIsDeletedButRecoverable",
    )


def not_deleted(kind: str, name: str) -> VaultError:
    """Only deleted things are recovered."""
    message = f"{kind} exists already: {name}"
    return VaultError(400, "MethodNotAllowed", message, "RequestNotAllowedOnNonDeletedObject")


def not_allowed(claims: dict[str, Any], action: str, resource: str, vault: str) -> VaultError:
    """The caller has no role that allows this."""
    return VaultError(
        403,
        "Forbidden",
        "Caller is not authorized to perform action on resource.\r\nIf role assignments, deny assignments or role "
        "definitions were changed recently, please observe propagation time.\r\n"
        f"Caller: appid={claims['appid']};oid={claims['oid']};iss={claims['iss']}\r\nAction: '{action}'\r\n"
        f"Resource: '{resource}'\r\nAssignment: (not found)\r\nDenyAssignmentId: null\r\n"
        f"DecisionReason: 'DeniedWithNoValidRBAC' \r\nVault: {vault};location=westeurope\r\n",
        "ForbiddenByRbac",
    )


def throttled(seconds: int) -> VaultError:
    """Too many requests; the shape is documented, no recording has it."""
    return VaultError(
        429,
        "Throttled",
        "Request was not processed because too many requests were received. Reason: VaultRequestTypeLimitReached",
        headers={"Retry-After": str(seconds)},
    )
