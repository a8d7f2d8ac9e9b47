"""The twin put together: network, Azure, releases and machines, from the templates' prediction."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from keeper.core.certificates import Audience
from lab.ca import Authority
from lab.certificates import NOBODY_SERVED, VaultRoom, with_vault
from lab.clock import wall_clock
from lab.twin import azure
from lab.twin.blueprint import SMALL, Site, site
from lab.twin.image import BUILD, image
from lab.twin.machine import Machine
from lab.twin.network import Network
from lab.twin.releases import ReleaseServer, Signer
from lab.twin.shell import sh

if TYPE_CHECKING:
    from lab.twin.blueprint import Blueprint

PROGRAM = Path(__file__).parent / "agent_program.py"
CONSUL, FORGED = "1.21.4", "1.21.5"
STAND_IN_NOMAD = "1.10.5"
AUDIENCES = {"server": Audience.SERVERS, "client": Audience.CLIENTS, "consul": Audience.CONSUL}
FIRST_CLASS, SECOND_CLASS = "general", "changed"


def real_nomad() -> Path | None:
    """Return a real Nomad's path: what NOMAD_BIN names, else what PATH has."""
    named = os.environ.get("NOMAD_BIN") or shutil.which("nomad")  # noqa: TID251 - a person's choice for this run, as for `make conformance`
    return Path(named) if named and Path(named).exists() else None


class World:
    """Everything that runs; leaving the context ends and removes all of it. With `nomad`, machines run that program."""

    def __init__(self, nomad: Path | None) -> None:
        self.nomad = nomad
        self.stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as stack:
            self.image = image()
            self.folder = Path(tempfile.mkdtemp(prefix="run-", dir=BUILD))
            stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
            self.authority = Authority.create(self.folder / "ca", wall_clock(), "the twin's own CA")
            self.releases = ReleaseServer(stack.enter_context(Signer(self.folder / "gpg")))
            self._release()
            self.site = self.render()
            self.network = stack.enter_context(Network())
            self._start_azure(stack)
            self.stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        # The run is over either way: a second Ctrl-C must not leave a machine or a mount behind.
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        self.stack.close()

    @property
    def nomad_version(self) -> str:
        """The release of Nomad that the machines are told to run."""
        if self.nomad is None:
            return STAND_IN_NOMAD
        return re.findall(r"v(\d+\.\d+\.\d+)", sh(str(self.nomad), "version"))[0]

    def render(self, *, node_class: str = FIRST_CLASS, consul: str = CONSUL) -> Site:
        """Render the templates, with another node class of the pool or release of Consul when given."""
        given = {"nomad": self.nomad_version, "consul": consul, "mirror": self.mirror, "node_class": node_class}
        return site(SMALL.format(**given))

    def machine(self, blueprint: Blueprint) -> Machine:
        """Furnish a machine, not yet booted."""
        self.services.metadata.add(blueprint)
        namespace = self.network.attach(blueprint.short, blueprint.address, blueprint.subnet)
        made = Machine(
            blueprint=blueprint,
            namespace=namespace,
            home=self.folder / blueprint.short,
            image=self.image,
            certificates=self.authority.certificate.read_text(encoding="utf-8"),
            hosts={**self.site.names, **self.hosts},
        )
        return self.stack.enter_context(made)

    def write_secrets(self, blueprint: Blueprint) -> None:
        """Have the keeper's own controller make what the machines of that audience wait for; the others go on waiting."""
        audience = AUDIENCES[str(blueprint.told()["role"])]
        url = f"https://{azure.vault_host(blueprint)}"
        self.room.vaults[audience] = self.services.vaults[azure.vault_host(blueprint)]
        self.room.settings = with_vault(self.room.settings, audience, url)
        self.room.prepare()
        self.room.tick()

    @property
    def authorities(self) -> str:
        """The CAs that agents' certificates are verified by, PEM."""
        return self.room.value(Audience.KEEPER, "nomad-ca-bundle")

    def forge(self) -> str:
        """Release a Consul that a stranger's key signed; return its version."""
        with Signer(self.folder / "stranger") as stranger:
            self.releases.add("consul", FORGED, b"#!/bin/sh\nexit 1\n", stranger)
        return FORGED

    def _release(self) -> None:
        stand_in = PROGRAM.read_bytes()
        nomad = self.nomad.read_bytes() if self.nomad else stand_in
        self.releases.add("nomad", self.nomad_version, nomad)
        self.releases.add("consul", CONSUL, stand_in)
        self.mirror = self.releases.mirror(self.releases.add_cni())

    def _start_azure(self, stack: contextlib.ExitStack) -> None:
        data = self.site.subnets["data"].rsplit(".", 1)[0]
        members = [*self.site.servers, self.site.client]
        hosts = dict.fromkeys(host for each in members for host in azure.hosts_of(each))
        self.hosts = {host: f"{data}.{10 + index}" for index, host in enumerate(hosts)}
        self.hosts |= {"releases.hashicorp.com": "203.0.113.10", "github.com": "203.0.113.11"}
        first, *others = self.hosts.values()
        namespace = self.network.attach("azure", first, self.site.subnets["data"], [*others, azure.IMDS])
        self.services = azure.start(
            stack,
            namespace,
            authority=self.authority,
            blueprints=members,
            addresses=self.hosts,
            downloads=self.releases.handle,
        )
        tenant = next(iter(self.services.vaults.values())).tenant
        self.room = VaultRoom(tenant, wall_clock, settings=NOBODY_SERVED)
