"""The agents a machine runs, each with what it is made of. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from keepernode import consul_config, nomad_config, vault_config, vaulted
from keepernode.knobs import Role
from keepernode.places import CONSUL_CONFIG, NOMAD_CONFIG, UNITS, VAULT_CONFIG
from keepernode.releases import Product
from keepernode.tls import Service
from keepernode.units import unit_files

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from keepernode.here import Here
    from keepernode.knobs import Peer, Told
    from keepernode.machine import File


@dataclass(frozen=True, slots=True)
class Agent:
    """One of Nomad, Consul and Vault on this machine."""

    service: Service
    product: Product
    certificate: str
    folder: str
    files: tuple[File, ...]
    peers: tuple[Peer, ...]
    """The servers that take turns with this one, itself included; empty when it may restart at any time."""
    health: str
    """Path that answers 200 when the agent serves; https, on loopback and on its peers."""
    restarts_in_place: bool = False
    """Whether a restart must not be a stop, because a stop hands all work over."""

    @property
    def unit(self) -> str:
        """The unit's name."""
        return f"{self.service.name}.service"


def names_of(told: Told) -> list[str]:
    """Return which agents run on the machine, in the order in which they start."""
    runs = {
        "consul": consul_config.runs_consul(told),
        "vault": vault_config.runs_vault(told),
        "nomad": told.role is not Role.CONSUL,
    }
    return [name for name, here in runs.items() if here]


def agents_of(told: Told, here: Here) -> list[Agent]:
    """Return the agents in the order in which they start."""
    made = {"consul": _consul, "vault": _vault, "nomad": _nomad}
    return [made[name](told, here) for name in names_of(told)]


def nomad_name(told: Told) -> str:
    """Return the name that this machine's Nomad certificate carries."""
    return f"{told.role.value}.{told.knobs.region}.nomad"


def _nomad(told: Told, here: Here) -> Agent:
    knobs, serves = told.knobs, told.role is Role.SERVER
    return Agent(
        service=Service("nomad", nomad_config.owner_of(told.role), nomad_name(told), knobs.ports.nomad_http),
        product=Product("nomad", knobs.nomad_version),
        certificate=vaulted.NOMAD_CERTIFICATE,
        folder=NOMAD_CONFIG,
        files=tuple(nomad_config.nomad_files(told, here)),
        peers=knobs.servers if serves else (),
        health=f"/v1/agent/health?type={told.role.value}",
        restarts_in_place=not serves,
    )


def _consul(told: Told, here: Here) -> Agent:
    knobs, serves = told.knobs, consul_config.is_consul_server(told)
    name = f"{'server' if serves else 'client'}.{knobs.consul_datacenter}.consul"
    return Agent(
        service=Service("consul", consul_config.OWNER, name, knobs.ports.consul_https),
        product=Product("consul", knobs.consul_version),
        certificate=vaulted.CONSUL_CERTIFICATE,
        folder=CONSUL_CONFIG,
        files=tuple(consul_config.consul_files(told, here)),
        peers=consul_config.consul_servers(knobs) if serves else (),
        health="/v1/status/leader",
        restarts_in_place=False,
    )


def _vault(told: Told, here: Here) -> Agent:
    knobs = told.knobs
    return Agent(
        service=Service("vault", vault_config.OWNER, nomad_config.VAULT_NAME, knobs.ports.vault_api),
        product=Product("vault", knobs.vault_version),
        certificate=vaulted.VAULT_CERTIFICATE,
        folder=VAULT_CONFIG,
        files=tuple(vault_config.vault_files(told, here)),
        peers=knobs.servers,
        health="/v1/sys/health?standbyok=true&uninitcode=200&sealedcode=503",
    )


def fingerprint(agent: Agent, told: Told, token_files: Sequence[File]) -> str:
    """Name everything that a running agent has read at its start: another name means that a restart is due.

    The gossip key is not part of it: an agent keeps its own key ring from the first start on and ignores the file.
    """
    unit = next(file for file in unit_files(told) if file.path == f"{UNITS}/{agent.unit}")
    parts = [unit.text, agent.product.version, *(file.text for file in (*agent.files, *token_files))]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def gossip_secret(agent: Agent, told: Told) -> str | None:
    """Return the name of the secret with the agent's gossip key; Nomad's clients and Vault gossip with nobody."""
    if agent.service.name == "consul":
        return vaulted.CONSUL_GOSSIP
    return vaulted.NOMAD_GOSSIP if agent.service.name == "nomad" and told.role is Role.SERVER else None


def gossip_file(agent: Agent, key: str) -> File:
    """Return where the gossip key of this agent goes."""
    return consul_config.gossip_file(key) if agent.service.name == "consul" else nomad_config.gossip_file(key)


def tokens_of(agent: Agent, told: Told) -> dict[str, Callable[[str], File]]:
    """Return the tokens that the agent works better with once they are there: secret's name → the file that it goes into."""
    if agent.service.name == "consul":
        return {vaulted.CONSUL_AGENT_TOKEN: partial(consul_config.token_file, told)}
    if agent.service.name == "nomad":
        return {name: partial(file, told) for name, file in nomad_config.wanted_tokens(told)}
    return {}
