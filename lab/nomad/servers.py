"""The servers of a region: who leads, who is gone, what gossip and autopilot say; and the faces that agents show.

Times after the loss of a leader and texts are those of ../../tests/recordings/nomad-1.6.5/12-blocking-leader.json.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOTICED = timedelta(seconds=1.5)
"""From the leader's death until the followers call for an election: until then they still send requests to it."""
ELECTED = timedelta(seconds=2.7)
"""From the leader's death until a new one is known."""
SERVING = timedelta(seconds=3.7)
"""From the leader's death until the new one answers."""
STARTED = timedelta(seconds=0.6)
"""From the start of the server that completes the quorum until there is a leader."""
RETURN_VISIBLE = timedelta(seconds=42)
"""From the start of a server that was removed until it is in the Raft configuration again, as a non-voter."""
STABILIZED = timedelta(seconds=10)
"""From then until autopilot makes it a voter (ServerStabilizationTime)."""


class Serf(StrEnum):
    """What gossip says of a member."""

    ALIVE = "alive"
    LEAVING = "leaving"
    LEFT = "left"
    FAILED = "failed"


class NoLeader(Refusal):
    """There is no leader to ask. A server waits up to five seconds for one before it says so."""

    def __init__(self) -> None:
        super().__init__(500, "No cluster leader")


@dataclass(slots=True)
class Server:
    """One server process. `peer` tells whether it is in the Raft configuration, `voter` whether it votes there."""

    name: str
    address: str
    ident: str
    http_port: int = 4646
    rpc_port: int = 4647
    serf_port: int = 4648
    alive: bool = True
    peer: bool = True
    voter: bool = True
    serf: Serf = Serf.ALIVE
    stable_since: datetime | None = None
    rejoins_at: datetime | None = None

    @property
    def rpc(self) -> str:
        """The address that other servers and `/v1/status/leader` use."""
        return f"{self.address}:{self.rpc_port}"


@dataclass(frozen=True, slots=True)
class ServerFace:
    """The API as one server serves it."""

    server: Server


@dataclass(frozen=True, slots=True)
class ClientFace:
    """The API as the agent of one node serves it."""

    node_name: str
    address: str
    node_id: Callable[[], str]
    """The node's ID now: a re-imaged machine has another."""


type Face = ServerFace | ClientFace


@dataclass(slots=True)
class Servers:
    """All servers of the region. The first of them leads at the beginning, if enough are alive for a quorum."""

    members: list[Server]
    now: Callable[[], datetime]
    region: str = "global"
    expected: int = 0
    term: int = 2
    _leader: Server | None = None
    _lost_at: datetime | None = None
    _next: tuple[Server, datetime, datetime] | None = None
    removed: set[str] = field(default_factory=set)
    """Names of servers taken out of the Raft configuration that autopilot still lists."""

    def __post_init__(self) -> None:
        """Elect the first leader."""
        self.expected = self.expected or len(self.members)
        for member in self.members:
            member.stable_since = self.now()
        if self.quorum:
            self._leader = next(member for member in self.members if member.alive)

    @property
    def quorum(self) -> bool:
        """Whether a majority of the voters is alive."""
        voters = [member for member in self.members if member.peer and member.voter]
        return 2 * sum(member.alive for member in voters) > max(len(voters), self.expected if not self._led else 0)

    @property
    def _led(self) -> bool:
        return self._leader is not None or self._lost_at is not None

    @property
    def leader(self) -> Server | None:
        """The leader that is known now, None while there is none."""
        self._settle()
        return self._leader if self._leader and self._leader.alive else None

    @property
    def contact(self) -> tuple[bool, int]:
        """What a stale answer says: whether a leader is known, and milliseconds since it was heard of."""
        leader, lost = self.leader, self._lost_at
        if leader is not None or lost is None:
            return leader is not None, 0
        passed = self.now() - lost
        return passed < NOTICED, int(passed.total_seconds() * 1000) if passed >= NOTICED else 0

    def check(self) -> None:
        """Raise what a request that needs the leader is answered when there is none."""
        self._settle()
        dead = self._leader if self._leader and not self._leader.alive else None
        if dead is not None and self._lost_at is not None and self.now() < self._lost_at + NOTICED:
            raise Refusal(500, f"rpc error: failed to get conn: dial tcp {dead.rpc}: connect: connection refused")
        if self._leader is None or dead is not None or self._not_serving():
            raise NoLeader

    def _not_serving(self) -> bool:
        return self._next is not None and self.now() < self._next[2]

    def kill(self, name: str) -> Server:
        """End a server process as SIGKILL does: gossip does not notice soon; a leader's death starts an election."""
        self._settle()
        member = self.named(name)
        member.alive = False
        if member is self._leader or not self.quorum:
            self._lost_at = self._lost_at or self.now()
        self._elect(ELECTED, SERVING)
        return member

    def start(self, name: str) -> Server:
        """Start a server process on its old data. One that was removed comes back as a non-voter, later as a voter."""
        self._settle()
        member = self.named(name)
        member.alive = True
        if not member.peer:
            member.voter = False
            member.rejoins_at = self.now() + RETURN_VISIBLE
        self._elect(STARTED, STARTED)
        return member

    def _elect(self, known: timedelta, serving: timedelta) -> None:
        led = self._leader is not None and self._leader.alive and self.quorum
        if led or not self.quorum:
            self._next = self._next if led else None
            if not self.quorum and self._leader is not None and self._leader.alive:
                self._leader = None
            return
        candidate = next(member for member in self.members if member.alive and member.peer and member.voter)
        self._next = (candidate, self.now() + known, self.now() + serving)

    def _settle(self) -> None:
        now = self.now()
        if self._next is not None and now >= self._next[1]:
            leader, _, serving = self._next
            if leader is not self._leader:
                self.term += 2
            self._leader, self._lost_at = leader, None
            if now >= serving:
                self._next = None
        if self._leader is not None and not self._leader.alive and self._lost_at and now >= self._lost_at + NOTICED:
            self._leader = None
        for member in self.members:
            self._settle_return(member, now)

    def _settle_return(self, member: Server, now: datetime) -> None:
        if member.rejoins_at is None or now < member.rejoins_at:
            return
        if not member.peer:
            member.peer, member.serf, member.stable_since = True, Serf.ALIVE, member.rejoins_at
            self.removed.discard(member.name)
        if now >= member.rejoins_at + STABILIZED:
            member.voter, member.rejoins_at = True, None

    def remove(self, member: Server) -> None:
        """Take a server out of the Raft configuration. Gossip and, while it is there, autopilot still list it."""
        member.peer = False
        self.removed.add(member.name)

    def force_leave(self, name: str) -> None:
        """Mark a member as leaving; a name that is unknown changes nothing."""
        for member in self.members:
            if f"{member.name}.{self.region}" == name and not member.alive:
                member.serf = Serf.LEAVING
                self.removed.discard(member.name)

    def named(self, name: str) -> Server:
        """Answer the server of a name (without the region)."""
        return next(member for member in self.members if member.name == name)

    def peers(self) -> Sequence[Server]:
        """Answer the servers in the Raft configuration."""
        self._settle()
        return [member for member in self.members if member.peer]
