"""One agent from nothing to a running member, and its certificates ever after."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode import vaulted
from keepernode.agents import fingerprint, gossip_file, gossip_secret, tokens_of
from keepernode.base import is_active
from keepernode.machine import File, ensure_all, must
from keepernode.outcome import Outcome
from keepernode.places import STARTED
from keepernode.problems import NodeError, Waiting
from keepernode.rootkeys import configure_keystore, fetch_root_keys
from keepernode.tls import in_use, split_pem, stage, take_over
from keepernode.turns import is_well, why_not_now

if TYPE_CHECKING:
    from keepernode.agents import Agent
    from keepernode.here import Here
    from keepernode.knobs import Told
    from keepernode.machine import Machine

HEALTH_TRIES = 30
HEALTH_PAUSE = 2.0


def join(machine: Machine, told: Told, here: Here, agent: Agent) -> Outcome:
    """Have the agent run with its configuration; Waiting while a secret is missing or the cluster is not there yet."""
    outcome = Outcome()
    if machine.real_path(in_use(agent.service)) is None:
        outcome.add(renew(machine, told, here, agent))
    outcome.changed += _configure(machine, told, agent)
    if agent.service.name == "nomad":
        outcome.changed += configure_keystore(machine, told, here, agent)
        if machine.read(_started(agent)) is None:
            outcome.changed += fetch_root_keys(machine, told, here, agent)
    outcome.add(_start(machine, told, here, agent))
    return outcome


def renew(machine: Machine, told: Told, here: Here, agent: Agent) -> Outcome:
    """Take over the certificate and the CA bundle that Key Vault holds now, one server at a time; nothing when the same.

    The others are judged by the new CAs: a machine that was away while the CA changed knows no other way to believe them. An
    agent that is not believed itself, as all are whose certificates ended while the cluster was off, waits for nobody.
    """
    vault_url = told.knobs.vault_url
    bundle = vaulted.read_secret(machine, vault_url, vaulted.CA_BUNDLE)
    trio = split_pem(vaulted.read_secret(machine, vault_url, agent.certificate).text, bundle.text)
    used = machine.real_path(in_use(agent.service))
    if used is not None and used.endswith(f"/{trio.digest()}"):
        return Outcome()
    folder = stage(machine, agent.service, trio)
    if is_active(machine, agent.unit) and is_well(machine, agent, "127.0.0.1"):
        why = why_not_now(machine, agent, here.name, folder)
        if why is not None:
            return Outcome(pending=[f"the new certificate of {agent.service.name} waits for {why}"])
    take_over(machine, agent.service, trio, folder)
    return Outcome(changed=[f"certificate of {agent.service.name}"])


def fetch_token(machine: Machine, told: Told, agent: Agent) -> list[str]:
    """Write the agent's tokens once they have been made; until then the agent works without."""
    changed: list[str] = []
    for name, file in tokens_of(agent, told).items():
        secret = vaulted.find_secret(machine, told.knobs.vault_url, name)
        changed += ensure_all(machine, [file(secret.text)]) if secret else []
    return changed


def _configure(machine: Machine, told: Told, agent: Agent) -> list[str]:
    """Write the configuration and remove parts of it that are no longer wanted."""
    changed = ensure_all(machine, agent.files)
    name = gossip_secret(agent, told)
    if name is not None and machine.real_path(gossip_file(agent, "").path) is None:
        key = vaulted.read_secret(machine, told.knobs.vault_url, name)
        changed += ensure_all(machine, [gossip_file(agent, key.text)])
    if machine.read(_started(agent)) is None:
        changed += fetch_token(machine, told, agent)
    wanted = {file.path for file in agent.files} | {file("").path for file in tokens_of(agent, told).values()}
    wanted |= {gossip_file(agent, "").path} if name is not None else set()
    for part in machine.names_in(agent.folder):
        path = f"{agent.folder}/{part}"
        if path not in wanted and part.endswith((".hcl", ".json")):
            machine.remove(path)
            changed.append(f"removed {path}")
    return changed


def _start(machine: Machine, told: Told, here: Here, agent: Agent) -> Outcome:
    """Start, or restart in its turn when it runs with something older; remember what it was started with."""
    wanted = fingerprint(agent, told, _tokens(machine, told, agent))
    before = machine.read(_started(agent))
    active = is_active(machine, agent.unit)
    if active and before is not None and before.decode().strip() == wanted:
        return Outcome()
    if active:
        why = why_not_now(machine, agent, here.name)
        if why is not None:
            return Outcome(pending=[f"the restart of {agent.service.name} waits for {why}"])
        _restart(machine, agent)
    else:
        must(machine, ["systemctl", "enable", "--now", agent.unit], f"look at `journalctl -u {agent.unit}`")
    machine.ensure(File(_started(agent), wanted + "\n"))
    return Outcome(changed=[f"{'restart' if active else 'start'} {agent.unit}"])


def _restart(machine: Machine, agent: Agent) -> None:
    """Restart; a client is not stopped for it, or it would drain: its tasks go on while systemd starts it anew."""
    if agent.restarts_in_place:
        argv = ["systemctl", "kill", "--kill-who=main", "--signal=SIGTERM", agent.unit]
    else:
        argv = ["systemctl", "restart", agent.unit]
    must(machine, argv, f"look at `journalctl -u {agent.unit}`")


def _tokens(machine: Machine, told: Told, agent: Agent) -> list[File]:
    held = (machine.read(file("").path) for file in tokens_of(agent, told).values())
    return [File("token", each.decode()) for each in held if each is not None]


def _started(agent: Agent) -> str:
    return f"{STARTED}/{agent.service.name}"


def prove_health(machine: Machine, agent: Agent) -> None:
    """Return when the agent says that it serves; Waiting when it does not within a minute, with what that means."""
    for _ in range(HEALTH_TRIES):
        if is_well(machine, agent, "127.0.0.1"):
            return
        machine.pause(HEALTH_PAUSE)
    if not is_active(machine, agent.unit):
        raise NodeError(f"{agent.unit} does not stay up; look at `journalctl -u {agent.unit}`")
    if agent.peers:
        raise Waiting(
            f"{agent.service.name} to have a leader: {len(agent.peers) // 2 + 1} of {len(agent.peers)} servers must run"
        )
    raise Waiting(f"{agent.service.name} to reach its servers; look at `journalctl -u {agent.unit}` if it stays so")
