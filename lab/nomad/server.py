"""A Nomad region of the lab over the network: servers with TLS and ACLs on, a model behind them, a clock that drives it.

    lab = NomadLab(management_token=secret, tls=files)
    lab.start()
    ...  # lab.url, lab.urls, lab.cluster, lab.region
    lab.stop()

Nothing is global: several may run in one process, each on addresses and ports of its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from lab.clock import wall_clock
from lab.nomad.http.feed import Ticker
from lab.nomad.http.router import Router
from lab.nomad.http.serve import AgentServer
from lab.nomad.model.cluster import Cluster
from lab.nomad.model.ids import Identifiers
from lab.nomad.region import Region
from lab.nomad.servers import ClientFace, Server, ServerFace, Servers

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime
    from types import TracebackType

    from lab.nomad.http.tls import TlsFiles

DEFAULT_SERVERS = {"nomad-server-0": "127.0.0.1"}
LAB_TOKEN = "9b5c1f5e-6c0e-4c5b-9d7a-3f1f0a2b4c6d"
"""The management token of a lab that nobody gave another one."""


@dataclass(slots=True)
class NomadLab:
    """A region and its listeners. With a fake clock nothing ticks by itself: call `advance` after moving the clock.

    `servers` names the servers with their addresses; the first one leads. `port` 0 gives each a free one.
    """

    clock: Callable[[], datetime] = wall_clock
    servers: Mapping[str, str] = field(default_factory=lambda: dict(DEFAULT_SERVERS))
    port: int = 0
    tls: TlsFiles | None = None
    management_token: str = LAB_TOKEN
    acl_enabled: bool = True
    seed: int = 1
    cluster: Cluster = field(init=False)
    region: Region = field(init=False)
    _agents: dict[str, AgentServer] = field(default_factory=dict)
    _ticker: Ticker | None = None
    _unsubscribe: Callable[[], None] | None = None

    def __post_init__(self) -> None:
        """Make the model and bind no address yet."""
        self.cluster = Cluster(self.clock, seed=self.seed)
        fresh = Identifiers(self.seed + 1_000_003).fresh
        members = [Server(name, address, fresh()) for name, address in self.servers.items()]
        for number, member in enumerate(members):
            # Servers of one address are told apart by their ports.
            shared = [other.address for other in members].count(member.address) > 1
            member.rpc_port, member.serf_port = (4647 + 10 * number, 4648 + 10 * number) if shared else (4647, 4648)
        self.region = Region(self.cluster, fresh, Servers(members, self.clock), acl_enabled=self.acl_enabled)
        self.region.start()
        if self.acl_enabled and self.management_token:
            self.region.acl.bootstrap(self.management_token)

    def start(self) -> Self:
        """Listen on every server's address and, on the wall clock, begin to tick."""
        for member in self.region.servers.members:
            self._listen(member.name, ServerFace(member), member.address)
        if self.clock is wall_clock:
            ticker = Ticker(self.advance, self.cluster.next_due, self.clock)
            self._unsubscribe = self.region.store.subscribe(lambda *_: ticker.wake())
            self._ticker = ticker
            ticker.start()
        return self

    def _listen(self, name: str, face: ServerFace | ClientFace, address: str) -> AgentServer:
        agent = AgentServer(Router(self.region, face), address, self.port, self.tls)
        if isinstance(face, ServerFace):
            face.server.http_port = agent.port
        self._agents[name] = agent
        agent.start()
        return agent

    def advance(self) -> None:
        """Let the model do what is due by the clock."""
        with self.region.store.lock:
            self.cluster.advance()

    @property
    def url(self) -> str:
        """The base URL of the first server that runs."""
        return next(iter(self.urls.values()))

    @property
    def urls(self) -> dict[str, str]:
        """The base URL of every agent that runs, by name."""
        return {name: agent.url for name, agent in self._agents.items()}

    def requests_answered(self) -> int:
        """How many requests all agents have answered."""
        return sum(agent.router.answered for agent in self._agents.values())

    def router(self, name: str = "") -> Router:
        """Answer the router of a server, for use without sockets; the first server's without a name."""
        members = self.region.servers.members
        member = self.region.servers.named(name) if name else members[0]
        return Router(self.region, ServerFace(member))

    def add_client(self, node_name: str, address: str, node_id: Callable[[], str]) -> str:
        """Serve the agent of a node at an address of its own; answer its base URL."""
        return self._listen(node_name, ClientFace(node_name, address, node_id), address).url

    def remove_client(self, node_name: str) -> None:
        """End the agent of a node: its address refuses connections from now on."""
        agent = self._agents.pop(node_name, None)
        if agent is not None:
            agent.stop()

    def kill_server(self, name: str) -> None:
        """End a server as SIGKILL does: its address refuses connections; a leader's death starts an election."""
        with self.region.store.lock:
            self.region.servers.kill(name)
        self._agents.pop(name).stop()

    def start_server(self, name: str) -> None:
        """Start a killed server again on its old data and port."""
        with self.region.store.lock:
            member = self.region.servers.start(name)
        agent = AgentServer(Router(self.region, ServerFace(member)), member.address, member.http_port, self.tls)
        self._agents[name] = agent
        agent.start()

    def reload_certificates(self) -> None:
        """Have every agent read its certificate files anew, as SIGHUP does."""
        for agent in self._agents.values():
            agent.reload()

    def stop(self) -> None:
        """End the clock, the listeners and all connections. Harmless when nothing runs."""
        if self._unsubscribe is not None:
            self._unsubscribe()
            self._unsubscribe = None
        if self._ticker is not None:
            self._ticker.stop()
            self._ticker = None
        for agent in self._agents.values():
            agent.stop()
        self._agents.clear()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """Stop."""
        self.stop()
