"""The keeper's own identity in Azure."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential


def managed_identity(client_id: str) -> "TokenCredential":
    """The user-assigned managed identity of that client id. Share one: tokens are kept per credential.

    Where tokens come from is the platform's matter: `IDENTITY_ENDPOINT` in a function app, IMDS on a machine.
    """
    from azure.identity import ManagedIdentityCredential  # noqa: PLC0415 -- an SDK, loaded when first used

    return ManagedIdentityCredential(client_id=client_id)
