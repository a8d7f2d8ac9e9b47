"""The `Vault` port over Azure Key Vault: one audience's secrets, and certificates whose keys the vault itself makes."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from keeper.azure.answers import in_our_words
from keeper.azure.vault_clients import VaultClients
from keeper.certificate_ports import Held
from keeper.core.certificates import Leaf
from keeper.errors import Changed, Gone, Permanent

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from keeper.azure.arm import Transport

PEM = "application/x-pem-file"
MONTH = timedelta(days=31)


class AudienceVault:
    """The `Vault` port. `url` is the vault's URL."""

    def __init__(self, url: str, *, credential: "TokenCredential", transport: "Transport | None" = None) -> None:
        self._url = url
        self._clients = VaultClients(url, credential, transport)

    def secret(self, name: str) -> Held | None:
        """See the port."""
        try:
            with in_our_words(f"read the secret {name} in {self._url}"):
                found = self._clients.secrets.get_secret(name)
        except Gone:
            return None
        since = found.properties.created_on or datetime.min.replace(tzinfo=UTC)
        return Held(found.value or "", since)

    def put(self, name: str, value: str, kind: str) -> None:
        """See the port."""
        with in_our_words(f"write the secret {name} in {self._url}"):
            self._clients.secrets.set_secret(name, value, content_type=kind)

    def leaf(self, name: str) -> Leaf | None:
        """See the port. Whoever reads a version that is disabled is refused: it counts as missing."""
        from keeper.azure import certifying  # noqa: PLC0415 -- loads cryptography when first used

        try:
            with in_our_words(f"read the certificate {name} in {self._url}"):
                found = self._clients.certificates.get_certificate(name)
        except Gone:
            return None
        known = found.properties
        is_disabled = known is not None and known.enabled is False
        return certifying.read_leaf(bytes(found.cer)) if found.cer and not is_disabled else None

    def request(self, name: str, common_name: str, life: timedelta) -> bytes:
        """See the port."""
        try:
            asked = self._begin(name, common_name, life)
        except Changed as exc:
            asked = self._begun(name, exc)
        if not asked:
            raise Permanent(f"{self._url} gives no signing request for {name}")
        return bytes(asked)

    def _begin(self, name: str, common_name: str, life: timedelta) -> bytes | None:
        """Begin a certificate that somebody else signs; Key Vault makes a new key and waits for the merge.

        See https://learn.microsoft.com/azure/key-vault/certificates/create-certificate-signing-request.
        """
        from azure.keyvault.certificates import (  # noqa: PLC0415 -- an SDK, loaded when first used
            CertificatePolicy,
            WellKnownIssuerNames,
        )

        policy = CertificatePolicy(
            WellKnownIssuerNames.unknown,
            subject=f"CN={common_name}",
            san_dns_names=[common_name],
            exportable=True,
            key_type="EC",
            key_curve_name="P-256",
            key_usage=["digitalSignature"],
            reuse_key=False,
            content_type=PEM,
            validity_in_months=max(1, round(life / MONTH)),
        )
        with in_our_words(f"begin the certificate {name} in {self._url}"):
            begun: Any = self._clients.certificates.begin_create_certificate(name, policy).result()
        return begun.csr

    def _begun(self, name: str, conflict: Changed) -> bytes | None:
        """The request of a certificate that is under way, begun by a tick that was cut; without one, the conflict is another matter."""
        try:
            with in_our_words(f"read the request of the certificate {name} in {self._url}"):
                return self._clients.certificates.get_certificate_operation(name).csr
        except Gone:
            raise Permanent(str(conflict)) from conflict

    def merge(self, name: str, chain: Sequence[bytes]) -> None:
        """See the port."""
        with in_our_words(f"finish the certificate {name} in {self._url}"):
            self._clients.certificates.merge_certificate(name, list(chain))
