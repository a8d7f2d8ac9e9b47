"""Servers restart one at a time: each has its own minutes, and uses them only while all the others are well.

Time slots need no lock and no right: every server works out the same plan from the same list. The slot says who may,
the others' health says whether.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.problems import Misconfigured, NodeError
from keepernode.tls import in_use
from keepernode.wire import Trust

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from keepernode.agents import Agent
    from keepernode.knobs import Peer
    from keepernode.machine import Machine

SLOT = 180
"""Seconds each server has in turn."""
LAST_START = 90
"""Seconds into the slot after which it is too late to begin: the restart must be over before the next one's turn."""
OK = 200


def seconds_to_turn(now: datetime, index: int, count: int) -> int:
    """Return how long until server `index` of `count` may begin a restart; 0 when it may now. Pure."""
    if count == 1:
        return 0
    into = int(now.timestamp()) % (SLOT * count) - index * SLOT
    return 0 if 0 <= into < LAST_START else -into % (SLOT * count)


def own_index(peers: Sequence[Peer], name: str) -> int:
    """Return this machine's place among the servers; Misconfigured when the knobs do not name it."""
    for index, peer in enumerate(peers):
        if peer.name == name:
            return index
    raise Misconfigured(f"servers does not name this machine, {name}; correct the parameters and deploy again")


def why_not_now(machine: Machine, agent: Agent, name: str, folder: str = "") -> str | None:
    """Return what forbids disturbing this agent now, None when nothing does.

    `folder` holds the CAs that the others are believed by; without one it is what this machine uses.
    """
    if not agent.peers:
        return None
    index = own_index(agent.peers, name)
    wait = seconds_to_turn(machine.now(), index, len(agent.peers))
    if wait:
        return f"its turn in {wait} s (servers take turns)"
    for peer in agent.peers:
        if peer.name != name and not is_well(machine, agent, peer.address, folder):
            return f"{agent.service.name} on {peer.name} to be well first"
    return None


def is_well(machine: Machine, agent: Agent, address: str, folder: str = "") -> bool:
    """Tell whether the agent at `address` says that it serves; `folder` as in `why_not_now`."""
    trust = Trust(f"{folder or in_use(agent.service)}/ca.pem", agent.service.expected_name)
    return answers(machine, health_url(agent, address), trust)


def health_url(agent: Agent, address: str) -> str:
    """Return where the agent at `address` says that it serves."""
    return f"https://{address}:{agent.service.port}{agent.health}"


def answers(machine: Machine, url: str, trust: Trust) -> bool:
    """Tell whether there is an answer that means yes; Consul without a leader names an empty one."""
    try:
        answer = machine.ask("GET", url, trust=trust, timeout=5.0)
    except NodeError:
        return False
    return answer.status == OK and answer.body.strip() != b'""'
