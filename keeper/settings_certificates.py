"""The settings of certificates and secrets: a section of `keeper.settings`, read by the same mechanism."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from keeper.core.rules import Setting

VAULT_URL = r"(https://[^/]+/?)?"


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificateSettings:
    """Whom certificates and secrets are made for, and how long they live."""

    schedule: Annotated[str, Setting("CERTIFICATES_SCHEDULE", pattern=r"\S+( \S+){5}")] = "0 */5 * * * *"
    """When the certificates timer runs: six fields, seconds first (NCRONTAB), UTC."""

    servers_vault: Annotated[str, Setting("SERVERS_VAULT_URL", pattern=VAULT_URL)] = ""
    """Key Vault that the Nomad servers read; empty: the keeper makes no certificates and no secrets."""

    clients_vault: Annotated[str, Setting("CLIENTS_VAULT_URL", pattern=VAULT_URL)] = ""
    """Key Vault that the Nomad clients read; empty: none is served."""

    consul_vault: Annotated[str, Setting("CONSUL_VAULT_URL", pattern=VAULT_URL)] = ""
    """Key Vault that the machines of a dedicated Consul read; empty: Consul's servers, if any, are the Nomad servers."""

    with_vault: Annotated[bool, Setting("CERTIFICATES_FOR_VAULT")] = False
    """Whether HashiCorp Vault runs on the servers and needs a certificate."""

    domain: Annotated[str, Setting("CLUSTER_DOMAIN", pattern=r"([a-z0-9-]+\.)*[a-z0-9-]*")] = ""
    """Private DNS domain of the servers: their certificates are for every name in it, too; empty: for the products' names only."""

    key: Annotated[str, Setting("CA_KEY", pattern=r"[0-9A-Za-z-]{1,127}")] = "nomad-ca"
    """Name of the Key Vault key (EC, sign) that signs every certificate. It never leaves the vault."""

    life: Annotated[timedelta, Setting("CERTIFICATE_LIFE_SECONDS", at_least=86_400)] = timedelta(days=90)
    """How long a machine's certificate lives; it is renewed when a third of that is left."""

    ca_life: Annotated[timedelta, Setting("CA_LIFE_SECONDS", at_least=604_800)] = timedelta(days=730)
    """How long a CA lives; the next one is distributed when a third of that is left."""

    overlap: Annotated[timedelta, Setting("CA_OVERLAP_SECONDS", at_least=0)] = timedelta(days=1)
    """A new CA is in every bundle for this long before it signs, and an old one for this long after its last certificate."""
