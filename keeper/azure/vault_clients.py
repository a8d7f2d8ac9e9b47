"""The SDK's clients of one Key Vault, each loaded and made when first used."""

from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Generator

    from azure.core.credentials import TokenCredential
    from azure.keyvault.certificates import CertificateClient
    from azure.keyvault.keys import KeyClient
    from azure.keyvault.keys.crypto import CryptographyClient
    from azure.keyvault.secrets import SecretClient

    from keeper.azure.arm import Transport


class VaultClients:
    """Clients of the vault at `url`. A busy vault is not waited out: the next tick is the retry."""

    def __init__(self, url: str, credential: "TokenCredential", transport: "Transport | None" = None) -> None:
        self._url = url
        self._credential = credential
        self._transport = transport

    @cached_property
    def secrets(self) -> "SecretClient":
        """Reads and writes secrets."""
        from azure.keyvault.secrets import SecretClient  # noqa: PLC0415 -- an SDK, loaded when first used

        return SecretClient(self._url, self._credential, **self._options())

    @cached_property
    def certificates(self) -> "CertificateClient":
        """Has the vault make certificates, and merges what was signed elsewhere."""
        from azure.keyvault.certificates import CertificateClient  # noqa: PLC0415 -- an SDK, loaded when first used

        return CertificateClient(self._url, self._credential, **self._options())

    @cached_property
    def keys(self) -> "KeyClient":
        """Reads the public parts of keys, and rotates them."""
        from azure.keyvault.keys import KeyClient  # noqa: PLC0415 -- an SDK, loaded when first used

        return KeyClient(self._url, self._credential, **self._options())

    @contextmanager
    def using(self, key: Any) -> "Generator[CryptographyClient]":  # noqa: ANN401 -- a key or its id, as the SDK takes them
        """What signs, wraps and unwraps with one version of a key; its connections are closed, but for a given transport's."""
        from azure.keyvault.keys.crypto import CryptographyClient  # noqa: PLC0415 -- an SDK, loaded when first used

        client = CryptographyClient(key, self._credential, **self._options())
        try:
            yield client
        finally:
            if not self._transport:
                client.close()

    def _options(self) -> dict[str, Any]:
        from keeper.azure.arm import within_patience  # noqa: PLC0415 -- goes with the SDKs

        given = {"transport": self._transport} if self._transport else {}
        return {"retry_total": 1, "retry_status": 0, "raw_request_hook": within_patience, **given}
