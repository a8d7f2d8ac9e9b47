"""The secrets of the keeper's Key Vault."""

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from keeper.azure.adapter import SdkAdapter
from keeper.azure.answers import in_our_words
from keeper.azure.vault_clients import VaultClients
from keeper.errors import Gone

if TYPE_CHECKING:
    from azure.keyvault.secrets import SecretClient

MOST_FORMER = 5
"""How many rotations back a restored state may lie."""


class VaultSecrets(SdkAdapter):
    """Reads secrets. Nothing is kept: who asks knows how long an answer is good for, and rotated secrets are asked for anew."""

    @cached_property
    def _client(self) -> "SecretClient":
        return VaultClients(self._settings.vault, self._credential, self._transport).secrets

    def former(self, name: str) -> Iterator[str]:
        """The values of the enabled versions before the newest, the newest of them first. One call, and one for each value."""
        with in_our_words(f"list the versions of the secret {name}"):
            versions = list(self._client.list_properties_of_secret_versions(name))
        former = [each for each in sorted(versions, key=_made, reverse=True)[1:] if each.enabled]
        for each in former[:MOST_FORMER]:
            with in_our_words(f"read a former version of the secret {name}"):
                value = self._client.get_secret(name, each.version).value
            if value is not None:
                yield value

    def read(self, name: str) -> str:
        """The secret's newest value. One call, two the first time. Raises `Gone`, `Forbidden`, `Unreachable`, `Throttled`."""
        with in_our_words(f"read the secret {name}"):
            value = self._client.get_secret(name).value
        if value is None:
            raise Gone(f"the secret {name} has no value")
        return value


def _made(version: Any) -> Any:  # noqa: ANN401 -- the SDK's properties of a version, and a time
    return version.created_on
