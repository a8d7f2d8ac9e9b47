"""Consul's part in the disaster: what is in it, how it is lost, and how one sees that all is back."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import requests

from lab.ca import Authority
from lab.clock import wall_clock
from lab.consul.processes import ConsulProcess, binary
from lab.consul.server import ConsulLab

if TYPE_CHECKING:
    from collections.abc import Generator
    from pathlib import Path

    from lab.deployment import Deployment

KEYS = 40
SERVICE_SECRET = "5f0c2b1e-6d7a-4c39-8e51-2a9d4b7c6e10"
RULES = 'key_prefix "app/" { policy = "read" }'
COUNTED = {"keys": "kv/?keys", "tokens": "acl/tokens", "policies": "acl/policies", "sessions": "session/list"}


class ConsulPart:
    """One Consul, the stand-in or a real process, and what a service keeps there."""

    def __init__(self, server: ConsulLab | ConsulProcess) -> None:
        self.server = server
        self.kind = "real" if isinstance(server, ConsulProcess) else "stand-in"

    def settings(self) -> dict[str, str]:
        """The app settings that name it."""
        return {"CONSUL_ADDRESS": self.server.url}

    def prepare(self, lab: Deployment) -> None:
        """The secrets that the keeper reads."""
        lab.vault.set_secret("consul-snapshot-token", self.server.management)
        lab.vault.set_secret("consul-ca-bundle", self.server.ca.read_text())

    def program(self, folder: Path) -> Path:
        """What a drill starts as `consul`."""
        if isinstance(self.server, ConsulProcess):
            return self.server.consul
        from lab.nomad.drills import ROOT  # noqa: PLC0415 -- only the stand-in needs to be found

        agent = folder / "stand-in-consul"
        agent.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m lab.consul.agent "$@"\n')
        agent.chmod(0o755)
        return agent

    def furnish(self) -> None:
        """Keys, a service's policy and token, a lock."""
        for n in range(KEYS):
            self.ask("PUT", f"kv/app/{n}", data=f"value {n}")
        self.ask("PUT", "acl/policy", json={"Name": "service", "Rules": RULES})
        self.ask("PUT", "acl/token", json={"SecretID": SERVICE_SECRET, "Policies": [{"Name": "service"}]})
        self.ask("PUT", "session/create", json={"Name": "leader", "TTL": "3600s"})

    def counts(self) -> dict[str, int]:
        """What there is."""
        return {kind: len(self.ask("GET", path).json()) for kind, path in COUNTED.items()}

    def read(self, number: int) -> str:
        """A value as the service reads it, with its own token; what it is answered when it may not."""
        return self.ask("GET", f"kv/app/{number}?raw", SERVICE_SECRET).text

    def has_canary(self) -> bool:
        """Whether the keeper laid its key."""
        return self.ask("GET", "kv/keeper/canary?raw").ok

    def ask(self, method: str, path: str, token: str = "", **how: Any) -> requests.Response:  # noqa: ANN401 -- passed on
        """Call its API, as a manager unless told otherwise."""
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                method,
                f"{self.server.url}/v1/{path}",
                headers={"X-Consul-Token": token or self.server.management},
                verify=str(self.server.ca),
                timeout=10,
                **how,
            )


@contextmanager
def consul_part(folder: Path) -> Generator[ConsulPart]:
    """A real Consul where there is a binary, else the stand-in."""
    found = binary()
    server = ConsulProcess(found) if found else ConsulLab(Authority.create(folder, wall_clock()))
    with server:
        yield ConsulPart(server)
