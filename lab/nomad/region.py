"""A region of the stand-in: the model, the book of ACLs, the variables, the servers. Pure: no socket, no thread, no waiting."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.nomad.acl.book import AclBook
from lab.nomad.events import EventBroker
from lab.nomad.keyrings import GossipKeyring, RootKeyring
from lab.nomad.operators import AUTOPILOT, autopilot_default
from lab.nomad.persistence import dump, load
from lab.nomad.servers import Server, Servers
from lab.nomad.variables import Variables

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lab.nomad.model.cluster import Cluster
    from lab.nomad.model.store import Store

VERSION = "1.6.5"


@dataclass(slots=True)
class Region:
    """Everything that the API answers from. `fresh` gives identifiers that look like UUIDs."""

    cluster: Cluster
    fresh: Callable[[], str]
    servers: Servers
    acl_enabled: bool = True
    name: str = "global"
    datacenter: str = "dc1"
    acl: AclBook = field(init=False)
    variables: Variables = field(init=False)
    keyring: RootKeyring = field(init=False)
    gossip: GossipKeyring = field(init=False)
    events: EventBroker = field(init=False)
    dynamic_meta: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Metadata set over the API by node ID; None takes a static value away."""
    static_meta: dict[str, dict[str, str]] = field(default_factory=dict)
    """Metadata of the nodes' configuration, kept when the first dynamic value is set."""

    def __post_init__(self) -> None:
        """Make the parts that live in the store."""
        self.acl = AclBook(self.store, self.fresh, enabled=self.acl_enabled)
        self.keyring = RootKeyring(self.store, self.fresh)
        self.variables = Variables(self.store, self.keyring)
        self.gossip = GossipKeyring()
        self.events = EventBroker(self.store)

    def start(self) -> None:
        """Write what the first leader of a new region writes: autopilot's configuration and the first root key."""
        if self.store.get(AUTOPILOT, "config") is None:
            self.store.put(AUTOPILOT, "config", autopilot_default())
        self.keyring.initialize()

    def dump(self) -> dict[str, Any]:
        """Answer the state as a snapshot holds it: without the root keys, which are files on each server."""
        return dump(self.store)

    def load(self, state: dict[str, Any]) -> None:
        """Replace the state by that of a snapshot. Servers, gossip and the root keys on disk stay what they are; the leader leads anew."""
        load(self.store, state)
        self.cluster.lead_anew()

    @property
    def store(self) -> Store:
        """The tables of the model."""
        return self.cluster.store

    @property
    def now(self) -> Callable[[], datetime]:
        """The clock that was handed in."""
        return self.store.now


def one_server(now: Callable[[], datetime], address: str = "127.0.0.1", port: int = 4646) -> Servers:
    """Answer a region's servers when there is only one, at an address of the caller's choice."""
    server = Server("nomad-server-0", address, "11111111-aaaa-4bbb-8ccc-000000000000", http_port=port)
    return Servers([server], now)
