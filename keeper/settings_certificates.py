"""The settings of certificates and secrets: a section of `keeper.settings`, read by the same mechanism."""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from keeper.core.rules import Setting

VAULT_URL = r"(https://[^/]+/?)?"
TOKENS = ("NOMAD_TOKEN_SECRET", "SNAPSHOT_NOMAD_TOKEN_SECRET", "RESTORE_NOMAD_TOKEN_SECRET")
"""Where Nomad's tokens are in the keeper's vault. Consul's two may be one: a management token."""


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

    def contradictions(self, keepers_vault: str, tokens: tuple[str, str, str]) -> Iterator[str]:
        """What is wrong between settings that are each right alone. `tokens`: the secrets' names, in the order of `TOKENS`.

        Who shares a vault, or a secret's name, would have its values overwritten by the other's at every look.
        """
        if not self.servers_vault:
            if self.clients_vault or self.consul_vault:
                yield "SERVERS_VAULT_URL: expected a URL because another vault of machines is set, got nothing"
            return
        vaults = {
            "KEY_VAULT_URL": keepers_vault,
            "SERVERS_VAULT_URL": self.servers_vault,
            "CLIENTS_VAULT_URL": self.clients_vault,
            "CONSUL_VAULT_URL": self.consul_vault,
        }
        yield from _shared("a vault of its own", {name: url.rstrip("/").lower() for name, url in vaults.items()})
        yield from _shared(
            "a secret of its own", {name: secret.lower() for name, secret in zip(TOKENS, tokens, strict=True)}
        )
        if self.overlap >= self.life * 2 / 3:
            yield (
                f"CA_OVERLAP_SECONDS: expected less than two thirds of CERTIFICATE_LIFE_SECONDS, after which certificates are "
                f"renewed ({self.life.total_seconds() * 2 / 3:g}), or no CA ever leaves, got {self.overlap.total_seconds():g}"
            )
        if self.overlap >= self.ca_life / 3:
            yield (
                f"CA_OVERLAP_SECONDS: expected less than a third of CA_LIFE_SECONDS ({self.ca_life.total_seconds() / 3:g}), or a CA "
                f"ends before the next one signs, got {self.overlap.total_seconds():g}"
            )


def _shared(expected: str, values: Mapping[str, str]) -> Iterator[str]:
    """A problem for each of the settings whose value another one has, too."""
    times = Counter(value for value in values.values() if value)
    for name, value in values.items():
        if times[value] > 1:
            others = ", ".join(each for each in values if each != name and values[each] == value)
            yield f"{name}: expected {expected}, got that of {others}"
