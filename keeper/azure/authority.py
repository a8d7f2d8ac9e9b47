"""The `Authorities` port over a key of Azure Key Vault: the CA key signs there and never leaves."""

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from keeper.azure.answers import in_our_words
from keeper.azure.vault_clients import VaultClients
from keeper.core.certificates import Authority
from keeper.errors import Changed, Permanent

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.keyvault.keys import KeyVaultKey

    from keeper.azure.arm import Transport


class VaultAuthorities:
    """The `Authorities` port. `vault` is the keeper's own vault, `key` the name of its EC key with `sign`."""

    def __init__(
        self, vault: str, key: str, *, credential: "TokenCredential", transport: "Transport | None" = None
    ) -> None:
        self._url = vault
        self._key = key
        self._vault = VaultClients(vault, credential, transport)

    def newest(self) -> str:
        """See the port."""
        from keeper.azure import certifying, signing  # noqa: PLC0415 -- loads cryptography when first used

        with self._words("read"):
            return certifying.identify(signing.public_key(self._vault.keys.get_key(self._key)))

    def made(self) -> frozenset[str]:
        """See the port."""
        from keeper.azure import certifying, signing  # noqa: PLC0415 -- as above

        with self._words("read the versions of"):
            return frozenset(certifying.identify(signing.public_key(key)) for key in self._versions())

    def rotate(self) -> None:
        """See the port."""
        with self._words("make a new version of"):
            self._vault.keys.rotate_key(self._key)

    def found(self, now: datetime, life: timedelta) -> Authority:
        """See the port."""
        from keeper.azure import certifying  # noqa: PLC0415 -- as above

        with self._words("sign with"):
            key = self._vault.keys.get_key(self._key)
            ends = _no_later(now + life, key)
            with self._signing(key) as signer:
                return certifying.make_authority(signer, now, ends)

    def read(self, bundle: str) -> tuple[Authority, ...]:
        """See the port."""
        from keeper.azure import certifying  # noqa: PLC0415 -- as above

        return certifying.read_authorities(bundle)

    def sign(
        self, request: bytes, names: frozenset[str], issuer: Authority, now: datetime, life: timedelta
    ) -> Sequence[bytes]:
        """See the port."""
        from keeper.azure import certifying  # noqa: PLC0415 -- as above

        with self._words("sign with"), self._signing(self._version_of(issuer)) as signer:
            return certifying.make_leaf(signer, request, names, issuer=issuer, now=now, ends=now + life)

    def _version_of(self, issuer: Authority) -> "KeyVaultKey":
        """The version of the key that an authority was made with, the newest asked first."""
        from keeper.azure import certifying, signing  # noqa: PLC0415 -- as above

        for key in self._versions():
            if certifying.identify(signing.public_key(key)) == issuer.id:
                return key
        raise Permanent(f"no version of the key {self._key} in {self._url} made the CA {issuer.id}")

    def _versions(self) -> "Generator[KeyVaultKey]":
        """Every version of the key, the newest first."""
        listed = list(self._vault.keys.list_properties_of_key_versions(self._key))
        for each in sorted(
            listed, key=lambda known: known.created_on or datetime.min.replace(tzinfo=UTC), reverse=True
        ):
            yield self._vault.keys.get_key(self._key, each.version)

    @contextmanager
    def _signing(self, key: "KeyVaultKey") -> Generator[Any]:
        """A key that signs in the vault."""
        from keeper.azure.signing import RemoteKey  # noqa: PLC0415 -- as above

        with self._vault.using(key) as client:
            yield RemoteKey(key, client)

    @contextmanager
    def _words(self, doing: str) -> Generator[None]:
        try:
            with in_our_words(f"{doing} the CA key {self._key}"):
                yield
        except Changed:
            raise
        except (ValueError, NotImplementedError, TypeError) as exc:  # the SDK checks times and kinds itself
            raise Permanent(f"cannot {doing} the CA key {self._key}: {exc}"[:600]) from exc


def _no_later(ends: datetime, key: "KeyVaultKey") -> datetime:
    """A CA ends with its key: Key Vault refuses to sign with one that has expired."""
    expires = key.properties.expires_on
    return ends if expires is None else min(ends, expires)
