"""Secrets of the machine's role, read from its own Key Vault; the keeper writes them, a machine only ever reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from keepernode.identity import KEY_VAULT
from keepernode.problems import Unreachable, Waiting
from keepernode.shapes import as_object, text_of

if TYPE_CHECKING:
    from keepernode.machine import Machine

API_VERSION: Final = "7.4"
OK, UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 200, 401, 403, 404

CA_BUNDLE = "nomad-ca-bundle"
NOMAD_CERTIFICATE = "nomad-agent-tls"
NOMAD_GOSSIP = "nomad-gossip-key"
WATCHER_TOKEN = "nomad-watcher-token"  # noqa: S105 - the secret's name
CONSUL_CERTIFICATE = "consul-agent-tls"
CONSUL_GOSSIP = "consul-gossip-key"
CONSUL_AGENT_TOKEN = "consul-agent-token"  # noqa: S105 - the secret's name
NOMAD_CONSUL_TOKEN = "nomad-consul-token"  # noqa: S105 - the secret's name
NOMAD_REPLICATION_TOKEN = "nomad-replication-token"  # noqa: S105 - the secret's name
NOMAD_VAULT_TOKEN = "nomad-vault-token"  # noqa: S105 - the secret's name
VAULT_CERTIFICATE = "vault-server-tls"


@dataclass(frozen=True, slots=True)
class Secret:
    """One secret; its text never appears in a log line or in `repr`."""

    name: str
    text: str = field(repr=False)


def read_secret(machine: Machine, vault_url: str, name: str) -> Secret:
    """Read the current version; Waiting when it is not there yet or may not be read yet, saying which."""
    answer = machine.ask(
        "GET",
        f"{vault_url}/secrets/{name}?api-version={API_VERSION}",
        headers={"Authorization": machine.bearer(KEY_VAULT)},
    )
    if answer.status == OK:
        return Secret(name, text_of(as_object(answer.json(), f"secret {name}"), "value"))
    if answer.status == NOT_FOUND:
        raise Waiting(
            f"secret {name} in {vault_url}: the keeper writes it; look at its certificates controller if it does not"
        )
    if answer.status in {UNAUTHORIZED, FORBIDDEN}:
        raise Waiting(
            f"the right to read secret {name} in {vault_url} (HTTP {answer.status}): a new role assignment takes up to an"
            " hour; after that give this machine's identity Key Vault Secrets User there"
        )
    msg = f"{vault_url} answers HTTP {answer.status} for secret {name}; asking again in a minute"
    raise Unreachable(msg, status=answer.status)


def find_secret(machine: Machine, vault_url: str, name: str) -> Secret | None:
    """Read a secret that the machine can do without for now; None when it is not there yet."""
    try:
        return read_secret(machine, vault_url, name)
    except Waiting:
        return None
