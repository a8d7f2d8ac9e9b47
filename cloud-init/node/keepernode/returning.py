"""A client takes work again after it handed its work over and came back.

A client that is stopped drains itself (`drain_on_shutdown`), and Nomad leaves it ineligible for ever after (seen on 1.6.5):
after a reboot it would stand idle. So the program ends that drain, and only that one: what a person or the keeper has set
since, or drained themselves, stays. A client may do so for itself with its own secret, which no token needs to be made for.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keepernode.machine import File
from keepernode.nomad_config import NOMAD_TLS
from keepernode.outcome import Outcome
from keepernode.places import DATA, RETURNED
from keepernode.problems import NodeError
from keepernode.shapes import as_object, child, text_or
from keepernode.wire import Trust

if TYPE_CHECKING:
    from keepernode.agents import Agent
    from keepernode.machine import Machine
    from keepernode.shapes import Json

OWN_DRAIN = "shutting down"
"""What Nomad's client notes as the reason of the drain that it begins itself."""
OK = 200
ADVICE = "run `nomad node eligibility -enable -self` here, or jobs will not come"


def take_work_again(machine: Machine, nomad: Agent) -> Outcome:
    """End the drain that this client began when it was stopped; once for each."""
    ident, secret = (_kept(machine, name) for name in ("client-id", "secret-id"))
    if not ident or not secret:
        return Outcome()
    try:
        return _return(machine, f"https://127.0.0.1:{nomad.service.port}/v1/node/{ident}", secret, nomad)
    except NodeError as problem:
        return Outcome(pending=[f"whether this client may take work is not known ({problem})"])


def _return(machine: Machine, url: str, secret: str, nomad: Agent) -> Outcome:
    trust, headers = Trust(f"{NOMAD_TLS}/ca.pem", nomad.service.expected_name), {"X-Nomad-Token": secret}
    answer = machine.ask("GET", url, headers=headers, trust=trust)
    if answer.status != OK:
        return Outcome()  # not registered yet, or no right to look: nothing is known to be wrong
    drain = own_drain(as_object(answer.json(), "the node"))
    if drain is None or drain == (machine.read(RETURNED) or b"").decode().strip():
        return Outcome()
    body = json.dumps({"DrainSpec": None, "MarkEligible": True}).encode()
    answer = machine.ask("PUT", f"{url}/drain", headers=headers, body=body, trust=trust)
    if answer.status != OK:
        return Outcome(
            pending=[f"this client drained when it was stopped and stays out of use ({answer.text()}): {ADVICE}"]
        )
    machine.ensure(File(RETURNED, drain + "\n"))
    return Outcome(changed=["takes work again after its own drain"])


def own_drain(node: Json) -> str | None:
    """Return when the drain began that keeps this node from taking work, if the node itself began it. Pure."""
    drain = child(node, "LastDrain")
    held = text_or(node, "SchedulingEligibility") == "ineligible" and not child(node, "DrainStrategy")
    if not held or text_or(child(drain, "Meta"), "message") != OWN_DRAIN:
        return None
    return text_or(drain, "StartedAt")


def _kept(machine: Machine, name: str) -> str:
    return (machine.read(f"{DATA}/nomad/client/{name}") or b"").decode("utf-8", "replace").strip()
