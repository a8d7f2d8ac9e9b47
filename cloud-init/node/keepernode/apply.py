"""From userData to a member of the cluster, and from changed userData to a changed member. A second run changes nothing."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keepernode import vaulted
from keepernode.agents import agents_of, names_of, nomad_name
from keepernode.base import prepare, run_unit
from keepernode.here import find_here
from keepernode.joining import fetch_token, join, prove_health, renew
from keepernode.journal import tell
from keepernode.knobs import Role
from keepernode.machine import File
from keepernode.nomad_config import NOMAD_TLS
from keepernode.outcome import Outcome
from keepernode.places import READY, STATUS, WATCHER_CONFIG, WATCHER_TOKEN
from keepernode.problems import NodeError, Unreachable, Waiting
from keepernode.returning import take_work_again
from keepernode.shapes import as_list
from keepernode.shares import mount_share
from keepernode.status import Phase, Status, parse_status, write_status
from keepernode.tls import life
from keepernode.units import keeps_keystore
from keepernode.wire import Trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepernode.here import Here
    from keepernode.knobs import Told
    from keepernode.machine import Machine

WATCH_UNIT = "keeper-watch.service"
KEYSTORE_UNIT = "keeper-keystore.timer"


def apply(machine: Machine, told: Told) -> Outcome:
    """Make the machine what it is told to be, prove it, and leave the ready marker; raises with what is in the way."""
    here = find_here(machine)
    agents = agents_of(told, here)
    outcome = Outcome(prepare(machine, told, here, agents))
    outcome.add(mount_share(machine, told))
    for agent in agents:
        outcome.add(join(machine, told, here, agent))
    for agent in agents:
        prove_health(machine, agent)
    if told.role is Role.CLIENT:
        outcome.add(take_work_again(machine, agents[-1]))
    if told.role is Role.SERVER:
        outcome.changed += _watch(machine, told, here)
        outcome.pending += _unjoined(machine, told)
        if keeps_keystore(told):
            outcome.changed += run_unit(machine, KEYSTORE_UNIT)
    marker = {"role": told.role.value, **{agent.product.name: agent.product.version for agent in agents}}
    if machine.ensure(File(READY, json.dumps(marker) + "\n")):
        outcome.changed.append(READY)
    return outcome


def _unjoined(machine: Machine, told: Told) -> list[str]:
    """Say when the region that owns ACL policies is not one of this cluster's: its servers are tried at Nomad's start."""
    region = told.knobs.authoritative_region
    if region in {None, told.knobs.region}:
        return []
    trust = Trust(f"{NOMAD_TLS}/ca.pem", nomad_name(told))
    try:
        known = machine.ask("GET", f"https://127.0.0.1:{told.knobs.ports.nomad_http}/v1/regions", trust=trust).json()
    except Unreachable:
        return []
    if region in as_list(known):
        return []
    return [f"region {region} is not joined: check federatedServers and the way there, then restart nomad here"]


def refresh(machine: Machine, told: Told) -> Outcome:
    """Take over whatever Key Vault has newer: certificates, the CA bundle, tokens; nothing on a machine not yet started."""
    if machine.read(READY) is None:
        return Outcome()
    try:
        return _renewed(machine, told)
    finally:
        tell_of_old(machine, names_of(told))


def _renewed(machine: Machine, told: Told) -> Outcome:
    here = find_here(machine)
    outcome = Outcome()
    for agent in agents_of(told, here):
        outcome.add(renew(machine, told, here, agent))
        outcome.changed += fetch_token(machine, told, agent)
    if told.role is Role.SERVER:
        outcome.changed += _watcher_token(machine, told)
    return outcome


def tell_of_old(machine: Machine, names: list[str]) -> None:
    """Say which certificates should have been renewed by now, whatever kept them from it: an alert rule reads these."""
    for name in names:
        held = life(machine, name)
        if held is not None and held.is_old(machine.now()):
            left = int((held.end - machine.now()).total_seconds())
            tell("certificate.old", agent=name, remaining_seconds=left)


def reported(machine: Machine, step: Callable[[], Outcome], event: str) -> Outcome:
    """Run a step so that its end shows: in the status file, and as one line in the journal.

    A machine that has been a member stays one whatever a later run meets: its agents' own health decides.
    """
    if parse_status(machine.read(STATUS)).phase is Phase.LEAVING:
        return Outcome(pending=["this machine is leaving: nothing is started or changed"])
    member = machine.read(READY) is not None
    try:
        outcome = step()
    except Waiting as problem:
        write_status(machine, Status(Phase.READY if member else Phase.WAITING, f"waiting for {problem}"))
        raise
    except NodeError as problem:
        write_status(machine, Status(Phase.READY if member else Phase.FAILED, str(problem)))
        raise
    ready = machine.read(READY) is not None
    write_status(machine, Status(Phase.READY if ready else Phase.JOINING, "; ".join(outcome.pending)))
    if outcome.changed or outcome.pending:
        tell(event, changed=outcome.changed, pending=outcome.pending)
    return outcome


def watcher_config(told: Told, here: Here) -> File:
    """Return the watcher's configuration on this server."""
    knobs = told.knobs
    config = {
        "nomad_address": f"https://127.0.0.1:{knobs.ports.nomad_http}",
        "nomad_ca_file": f"{NOMAD_TLS}/ca.pem",
        "nomad_server_name": nomad_name(told),
        "nomad_token_file": WATCHER_TOKEN,
        "nomad_rpc_address": f"{here.address}:{knobs.ports.nomad_rpc}",
        "queue_url": knobs.queue_url,
        "identity_client_id": knobs.identity_client_id,
        "node_name": here.name,
    }
    return File(WATCHER_CONFIG, json.dumps(config, indent=2) + "\n")


def _watch(machine: Machine, told: Told, here: Here) -> list[str]:
    """Have the watcher run as soon as the keeper has made its token; a server without it is a member all the same."""
    changed = [WATCHER_CONFIG] if machine.ensure(watcher_config(told, here)) else []
    if machine.read(WATCHER_TOKEN) is None:
        changed += _watcher_token(machine, told)
    if machine.read(WATCHER_TOKEN) is None:
        return changed
    return changed + run_unit(machine, WATCH_UNIT, anew=WATCHER_CONFIG in changed)


def _watcher_token(machine: Machine, told: Told) -> list[str]:
    secret = vaulted.find_secret(machine, told.knobs.vault_url, vaulted.WATCHER_TOKEN)
    written = secret is not None and machine.ensure(File(WATCHER_TOKEN, secret.text + "\n", 0o600, "nomad"))
    return [WATCHER_TOKEN] if written else []
