"""The `DataKeys` port over a key of Azure Key Vault."""

from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from keeper.azure.answers import in_our_words
from keeper.azure.sealing import OpenKey, fresh
from keeper.azure.vault_clients import VaultClients
from keeper.core.snapshots import BadSnapshot, Reason, WrappedKey
from keeper.errors import Permanent

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from keeper.azure.arm import Transport

ALGORITHM = "RSA-OAEP-256"


class VaultDataKeys:
    """The `DataKeys` port. `vault` is the vault's URL, `key` the name of its RSA key with wrapKey and unwrapKey."""

    def __init__(
        self, vault: str, key: str, *, credential: "TokenCredential", transport: "Transport | None" = None
    ) -> None:
        self._key = key
        self._vault = VaultClients(vault, credential, transport)

    def new(self) -> OpenKey:
        """See the port. Wraps with the newest version's public part and lets Key Vault open it again.

        So a version that is disabled or expired, or a right that is missing, shows before a snapshot depends on it. Three
        calls the first time, two later.
        """
        secret = fresh()
        with self._words(f"wrap a data key with {self._key}"):
            key = self._vault.keys.get_key(self._key)
            with self._vault.using(key) as client:
                result = client.wrap_key(_algorithm(), secret)
        whole = result.key_id or ""
        wrapped = WrappedKey(whole.rpartition("/")[0], whole.rpartition("/")[2], ALGORITHM, result.encrypted_key)
        if self._unwrap(wrapped) != secret:
            raise BadSnapshot(Reason.KEY_UNUSABLE, f"the key {whole} does not open what it wrapped")
        return OpenKey(wrapped, secret)

    def unwrap(self, wrapped: WrappedKey) -> OpenKey:
        """See the port."""
        return OpenKey(wrapped, self._unwrap(wrapped))

    def _unwrap(self, wrapped: WrappedKey) -> bytes:
        whole = f"{wrapped.key}/{wrapped.version}"
        with self._words(f"unwrap a data key with {whole}"), self._vault.using(whole) as client:
            return client.unwrap_key(_algorithm(wrapped.algorithm), wrapped.wrapped).key

    @contextmanager
    def _words(self, doing: str) -> Generator[None]:
        """What will not mend by itself is the key's fault; a busy or silent vault stays `Transient`."""
        try:
            with in_our_words(doing):
                yield
        except (Permanent, ValueError, NotImplementedError) as exc:  # the SDK checks times and kinds itself
            raise BadSnapshot(Reason.KEY_UNUSABLE, f"cannot {doing}: {exc}"[:600]) from exc


def _algorithm(name: str = ALGORITHM) -> Any:  # noqa: ANN401 -- an enum of the SDK
    from azure.keyvault.keys.crypto import KeyWrapAlgorithm  # noqa: PLC0415 -- an SDK, loaded when first used

    return KeyWrapAlgorithm(name)
