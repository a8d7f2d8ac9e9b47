"""Who may talk to whom: written by hand from the architecture, tried packet by packet against what the templates predict.

A try is a TCP connection or a UDP packet from one namespace to another. An answer of any kind, a refusal too, means that
the network let it through; silence means that it was dropped.
"""

from __future__ import annotations

import errno
import selectors
import socket
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.clock import wall_clock
from lab.twin.network import inside

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

SILENCE = 1.5
"""Seconds after which no answer counts as dropped; an answer here takes a millisecond."""

MEMBERS = ("servers", "clients")
CALLERS = ("servers", "clients", "management")

type Allowed = dict[tuple[str, str], frozenset[tuple[str, int]]]


@dataclass(frozen=True, slots=True)
class Rule:
    """Sources that may reach a subnet on ports of these protocols; the bounds of a range count as its ports."""

    to: str
    sources: tuple[str, ...]
    ports: tuple[int, ...]
    protocols: tuple[str, ...] = ("tcp",)


BOTH = ("tcp", "udp")
FEDERATED = "federated"
NOMAD = (
    Rule("servers", (*CALLERS, "functions"), (4646,)),
    Rule("servers", MEMBERS, (4647,)),
    Rule("servers", ("servers",), (4648,), BOTH),
    Rule("servers", ("clients",), (4691,)),
    Rule("clients", CALLERS, (4646, 4647)),
    Rule("clients", MEMBERS, (4648, 20000, 26000, 32000), BOTH),
    Rule("clients", ("clients",), (4691,)),
    Rule("data", (*CALLERS, "data", "functions"), (443,)),
    Rule("servers", ("AzureBastionSubnet",), (22,)),
    Rule("clients", ("AzureBastionSubnet",), (22,)),
    Rule("management", ("AzureBastionSubnet",), (22, 443)),
)
"""What holds in every deployment with Bastion."""


def consul_in(home: str, machines: tuple[str, ...]) -> tuple[Rule, ...]:
    """Consul's servers in the subnet `home`, an agent on each of `machines`."""
    return (
        Rule(home, machines, (8300,)),
        Rule(home, (home,), (8302,), BOTH),
        Rule(home, (*dict.fromkeys((*machines, *CALLERS)), "functions"), (8500, 8501, 8502)),
        Rule(home, machines, (8600,), BOTH),
        *(Rule(machine, machines, (8301,), BOTH) for machine in machines),
    )


SMALL_DEPLOYMENT = (*NOMAD, *consul_in("servers", MEMBERS))
LARGE_DEPLOYMENT = (
    *NOMAD,
    *consul_in("data", (*MEMBERS, "data")),
    # Machines of Consul are scraped and visited like the others.
    Rule("data", ("clients",), (4691,)),
    Rule("data", ("AzureBastionSubnet",), (22,)),
    # HashiCorp Vault on the servers: tasks and people call it, its servers each other.
    Rule("servers", CALLERS, (8200,)),
    Rule("servers", ("servers",), (8201,)),
    # Azure Files, workloads' own ports, and servers of another region.
    Rule("data", ("clients",), (2049,)),
    Rule("clients", MEMBERS, (8080, 9000, 9050, 9100)),
    Rule("servers", (FEDERATED,), (4647,)),
    Rule("servers", (FEDERATED,), (4648,), BOTH),
    Rule("data", (FEDERATED,), (8302,), BOTH),
)
PORTS = (
    *(
        22,
        80,
        443,
        2049,
        2375,
        4645,
        4646,
        4647,
        4648,
        4649,
        4690,
        4691,
        8080,
        8200,
        8201,
        8299,
        8300,
        8301,
        8302,
        8303,
    ),
    *(8499, 8500, 8501, 8502, 8503, 8600, 8999, 9000, 9050, 9100, 9101, 19999, 20000, 26000, 32000, 32001, 65000),
)
TARGETS = ("servers", "clients", "data", "management")
BALANCER = "balancer"
"""Azure's own probe address, which every group lets in."""


def expected(sources: Iterable[str], architecture: Iterable[Rule]) -> dict[tuple[str, str, str, int], bool]:
    """Return for each (source, target, protocol, port) whether it must get through."""
    allowed = {
        (source, rule.to, protocol, port)
        for rule in architecture
        for source in rule.sources
        for port in rule.ports
        for protocol in rule.protocols
    }
    return {
        key: key in allowed or source == BALANCER
        for source in sources
        for target in TARGETS
        for protocol in BOTH
        for port in PORTS
        for key in [(source, target, protocol, port)]
    }


def tried(namespace: str, tries: Iterable[tuple[str, str, int]]) -> dict[tuple[str, str, int], bool]:
    """Try each (address, protocol, port) from the namespace, all at once; tell which got an answer."""
    answered: dict[tuple[str, str, int], bool] = {}
    with inside(namespace), selectors.DefaultSelector() as waiting:
        for each in tries:
            answered[each] = False
            _begin(waiting, each, answered)
        last = wall_clock()
        while waiting.get_map() and (wall_clock() - last).total_seconds() < SILENCE:
            for key, _ in waiting.select(0.1):
                last = wall_clock()
                answered[key.data] = _is_answer(key.fileobj)
                waiting.unregister(key.fileobj)
                _close(key.fileobj)
        for key in list(waiting.get_map().values()):
            _close(key.fileobj)
    return answered


def _begin(
    waiting: selectors.BaseSelector, each: tuple[str, str, int], answered: dict[tuple[str, str, int], bool]
) -> None:
    address, protocol, port = each
    line = socket.socket(socket.AF_INET, socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM)
    line.setblocking(False)
    code = line.connect_ex((address, port))
    if code not in {0, errno.EINPROGRESS}:
        answered[each] = code == errno.ECONNREFUSED
        line.close()
        return
    if protocol == "udp":
        line.send(b"?")
    waiting.register(line, selectors.EVENT_WRITE if protocol == "tcp" else selectors.EVENT_READ, each)


def _is_answer(line: object) -> bool:
    """An open port or a refusal: anything else was not said by the machine that was asked."""
    said = line.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) if isinstance(line, socket.socket) else -1
    return said in {0, errno.ECONNREFUSED}


def _close(line: object) -> None:
    if isinstance(line, socket.socket):
        line.close()


def differences(
    sources: Mapping[str, str], targets: Mapping[str, str], architecture: Iterable[Rule]
) -> tuple[int, int, list[str]]:
    """Try every pair. `sources` are namespaces, `targets` addresses, by subnet; return tries, passes and what differs."""
    wanted = expected(sources, architecture)
    wrong: list[str] = []
    passed = 0
    for source, namespace in sources.items():
        mine = [(targets[to], protocol, port) for (start, to, protocol, port) in wanted if start == source]
        got = tried(namespace, mine)
        for (start, to, protocol, port), may in wanted.items():
            if start == source:
                does = got[targets[to], protocol, port]
                passed += does
                if does != may:
                    wrong.append(f"{source} → {to} {protocol}/{port} {'passes' if does else 'is dropped'}")
    return len(wanted), passed, wrong
