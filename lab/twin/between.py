"""What must hold between machines: names, leaders, deposits, and who may talk to whom; lines of the report, as in `proofs.py`."""

from __future__ import annotations

import json
import socket
import ssl
from ipaddress import ip_network
from typing import TYPE_CHECKING

from lab.twin import matrix
from lab.twin.blueprint import LARGE, site
from lab.twin.network import inside
from lab.twin.rules import BALANCER, nftables
from lab.twin.shell import wait_until

if TYPE_CHECKING:
    from lab.twin.machine import Machine
    from lab.twin.report import Report
    from lab.twin.world import World

DEPOSIT_SECONDS = 150.0


def serves_its_name(world: World, report: Report, near: Machine, far: Machine, *, port: int, name: str) -> None:
    """Seen from another machine, the port serves a certificate of the cluster's CA for just that name."""
    trust = ssl.create_default_context(cadata=world.authorities)
    address = far.blueprint.address
    with inside(near.namespace):
        names = _served(trust, address, port, name)
        wrong = _served(trust, address, port, "somebody.else")
    seen = f"{address}:{port} from {near.blueprint.short}: {', '.join(names)}"
    report.check(f"{far.blueprint.short} serves TLS as {name}", seen, holds=name in names)
    report.check(f"{far.blueprint.short}:{port} is believed under no other name", holds=not wrong)


def _served(trust: ssl.SSLContext, address: str, port: int, name: str) -> list[str]:
    try:
        with socket.create_connection((address, port), 5) as raw, trust.wrap_socket(raw, server_hostname=name) as line:
            return [str(name[1]) for name in (line.getpeercert() or {}).get("subjectAltName", ()) if name[0] == "DNS"]
    except OSError:
        return []


def elects_a_leader(world: World, report: Report, client: Machine, servers: list[Machine]) -> None:
    """Real servers find each other by the names that the templates write, and agree on one leader."""
    said: dict[str, str] = {}
    with inside(client.namespace):
        for server in servers:
            said[server.blueprint.short] = _asked(world, server.blueprint.address, "/v1/status/leader")
        peers = json.loads(_asked(world, servers[0].blueprint.address, "/v1/status/peers") or "[]")
    leaders = set(said.values())
    report.check("every server names the same leader", f"{leaders}", holds=len(leaders) == 1 and "" not in leaders)
    wanted = sorted(f"{server.blueprint.address}:4647" for server in servers)
    report.check("all servers are peers in Raft", ", ".join(sorted(peers)), holds=sorted(peers) == wanted)


def takes_work(world: World, report: Report, client: Machine) -> None:
    """A client that drained at its power-off is eligible again: asked with its own secret, from itself."""
    ident, secret = (client.read(f"/data/nomad/client/{name}").strip() for name in ("client-id", "secret-id"))
    with inside(client.namespace):
        node = json.loads(
            _asked(world, client.blueprint.address, f"/v1/node/{ident}", "client.global.nomad", secret) or "{}"
        )
    drained = ((node.get("LastDrain") or {}).get("Meta") or {}).get("message")
    seen = f"{node.get('SchedulingEligibility')}, last drain: {drained}"
    holds = node.get("SchedulingEligibility") == "eligible" and drained == "shutting down"
    report.check(f"{client.blueprint.short} drained at its power-off and takes work again", seen, holds=holds)


def _asked(world: World, address: str, path: str, name: str = "server.global.nomad", token: str = "") -> str:
    trust = ssl.create_default_context(cadata=world.authorities)
    try:
        with socket.create_connection((address, 4646), 5) as raw, trust.wrap_socket(raw, server_hostname=name) as line:
            line.sendall(f"GET {path} HTTP/1.0\r\nHost: {name}\r\nX-Nomad-Token: {token}\r\n\r\n".encode())
            answer = b"".join(iter(lambda: line.recv(65536), b""))
    except OSError:
        return ""
    head, _, body = answer.decode().partition("\r\n\r\n")
    return body.strip() if " 200 " in head.splitlines()[0] else ""


def deposits_root_keys(world: World, report: Report, servers: list[Machine]) -> None:
    """Before Nomad 1.9: each root key lies sealed beside the snapshots, and every server has noted that it has it."""
    deposits = world.services.deposits
    if deposits is None:
        report.note(f"Nomad {world.nomad_version} has its root keys in its snapshots: nobody deposits any")
        return
    notes = {f"nomad/servers/{server.blueprint.name}.json" for server in servers}
    keys: set[str] = set()

    def noted() -> bool:
        nonlocal keys
        keys = {name.rpartition("/")[2].removesuffix(".json") for name in deposits.blobs if name.count("/") == 1}
        held = [json.loads(deposits.blobs[name])["keys"] for name in notes & set(deposits.blobs)]
        return len(held) == len(servers) and bool(keys) and all(set(each) == keys for each in held)

    done = wait_until(noted, DEPOSIT_SECONDS, 1)
    seen = f"{len(keys)} key, notes of {len(notes & set(deposits.blobs))} of {len(servers)} servers"
    report.check("the servers deposit their root keys by the timer, and note what they have", seen, holds=done)
    plain = [name for name in keys if b'"KEK"' in deposits.blobs[f"nomad/{name}.json"]]
    report.check("no deposit holds a key in clear text", ", ".join(plain), holds=not plain)


def lets_through_what_the_architecture_says(world: World, report: Report) -> None:
    """Every pair of subnets and every port of interest, TCP and UDP, against a table written by hand."""
    sources: dict[str, str] = {}
    targets: dict[str, str] = {}
    network = world.network
    for name, prefix in world.site.subnets.items():
        sources[name] = network.attach(f"from-{name.lower()}", str(ip_network(prefix)[50]), prefix)
        if name in matrix.TARGETS:
            targets[name] = str(ip_network(prefix)[51])
            network.attach(f"to-{name.lower()}", targets[name], prefix)
    sources[matrix.BALANCER] = network.attach("from-balancer", BALANCER, f"{BALANCER}/24".replace(".16/", ".0/"))
    sources["internet"] = network.attach("from-internet", "203.0.113.50", "203.0.113.0/24")
    sources[matrix.FEDERATED] = network.attach("from-federated", "10.50.10.50", "10.50.10.0/24")
    network.filter("")
    count, passed, _ = matrix.differences(sources, targets, ())
    report.check(
        "without rules every try gets an answer, so silence means a rule", f"{passed} of {count}", holds=passed == count
    )
    large = site(LARGE)
    deployments = {"small": (world.site, matrix.SMALL_DEPLOYMENT), "large": (large, matrix.LARGE_DEPLOYMENT)}
    for name, (rendered, architecture) in deployments.items():
        network.filter(nftables(rendered))
        count, passed, wrong = matrix.differences(sources, targets, architecture)
        seen = "; ".join(wrong[:5]) or f"{count} tries, {passed} let through"
        what = f"the network of the {name} deployment lets the allowed matrix through and nothing else"
        report.check(what, seen, holds=not wrong)
    network.filter(nftables(world.site))
