"""The virtual network as network namespaces: one router that knows every address, one link per machine.

Each machine has a link of its own to the router, which answers for its neighbours (proxy ARP), so that every packet,
also between two machines of one subnet, passes the router's filter: as on Azure, where the rules sit at each interface.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import TYPE_CHECKING, Self

from lab.twin.shell import sh, succeeds

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PREFIX = "twin-"
ROUTER = f"{PREFIX}router"
NAMED = "/run/netns"


@contextlib.contextmanager
def inside(namespace: str) -> Iterator[None]:
    """Make what this thread opens meanwhile (sockets, processes) belong to the namespace."""
    here = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    there = os.open(f"{NAMED}/{namespace}", os.O_RDONLY)
    try:
        os.setns(there, os.CLONE_NEWNET)
        yield
    finally:
        os.setns(here, os.CLONE_NEWNET)
        os.close(here)
        os.close(there)


@dataclass(slots=True)
class Network:
    """The router and what hangs on it; a context manager that removes every namespace it made."""

    made: list[str] = field(default_factory=list)
    gateways: set[str] = field(default_factory=set)

    def __enter__(self) -> Self:
        try:
            self._add(ROUTER)
            kernel(
                ROUTER, "ip_forward=1", "conf.all.rp_filter=0", "conf.default.rp_filter=0", "conf.default.proxy_arp=1"
            )
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for namespace in reversed(self.made):
            succeeds("ip", "netns", "del", namespace)

    def attach(self, name: str, address: str, subnet: str, more: Sequence[str] = ()) -> str:
        """Make a namespace with `address` in `subnet` (and more addresses), routed; return the namespace's name."""
        namespace, link = f"{PREFIX}{name}", f"v{len(self.made)}"
        network = ip_network(subnet)
        gateway = str(network.network_address + 1)
        self._add(namespace)
        sh("ip", "link", "add", "eth0", "netns", namespace, "type", "veth", "peer", "name", link, "netns", ROUTER)
        sh("ip", "-n", namespace, "address", "add", f"{address}/{network.prefixlen}", "dev", "eth0")
        sh("ip", "-n", namespace, "link", "set", "eth0", "up")
        if gateway not in self.gateways:
            self.gateways.add(gateway)
            sh("ip", "-n", ROUTER, "address", "add", f"{gateway}/32", "dev", "lo")
        sh("ip", "-n", ROUTER, "link", "set", link, "up")
        kernel(ROUTER, f"neigh.{link}.proxy_delay=0")
        sh("ip", "-n", namespace, "route", "add", "default", "via", gateway)
        for each in (address, *more):
            sh("ip", "-n", ROUTER, "route", "add", f"{each}/32", "dev", link)
        for each in more:
            sh("ip", "-n", namespace, "address", "add", f"{each}/32", "dev", "lo")
        return namespace

    def filter(self, rules: str) -> None:
        """Have the router filter by these nftables rules, replacing what it had."""
        sh("ip", "netns", "exec", ROUTER, "nft", "-f", "-", given=f"flush ruleset\n{rules}")

    def _add(self, namespace: str) -> None:
        sh("ip", "netns", "add", namespace)
        self.made.append(namespace)
        sh("ip", "-n", namespace, "link", "set", "lo", "up")
        # A refused UDP packet is an answer to the matrix: each must be sent, however many there are in a second.
        kernel(namespace, "icmp_ratelimit=0", "icmp_msgs_per_sec=1000000", "icmp_msgs_burst=100000")


def kernel(namespace: str, *settings: str) -> None:
    """Set the namespace's own IPv4 settings."""
    sh("ip", "netns", "exec", namespace, "sysctl", "-qw", *(f"net.ipv4.{each}" for each in settings))


def remove_namespaces() -> list[str]:
    """Remove every namespace that bears a twin's name; return them."""
    names = [line.split()[0] for line in sh("ip", "netns", "list").splitlines()]
    ours = [name for name in names if name.startswith(PREFIX)]
    for name in ours:
        succeeds("ip", "netns", "del", name)
    return ours
