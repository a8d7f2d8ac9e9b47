"""The subject that is the stand-in: the model behind its router, on a clock that jumps instead of sleeping."""

from __future__ import annotations

import heapq
import itertools
import json
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlencode

from lab.clock import FakeClock
from lab.nomad.http.call import Call
from lab.nomad.http.message import Request
from lab.nomad.http.router import Router
from lab.nomad.model.cluster import Cluster
from lab.nomad.model.ids import Identifiers
from lab.nomad.region import Region
from lab.nomad.servers import ClientFace, Server, ServerFace, Servers
from tests.contract.nomad.subjects import ClientSpec, Observed

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.events import Subscription
    from lab.nomad.http.message import Response

STEP = 0.05
"""Seconds that the clock moves at a time while something is waited for."""


class StandIn:
    """The recorded cluster as the stand-in plays it."""

    real = False
    title = "the stand-in"

    def __init__(self, single: dict[str, str] | None = None, seed: int = 7) -> None:
        """Make the recorded cluster, its servers still to be started; or one server that runs, by name and address."""
        self._now = FakeClock()
        grace, ttl = timedelta(seconds=2), timedelta(seconds=5)
        self.cluster = Cluster(self._now, heartbeat_grace=grace, min_heartbeat_ttl=ttl, seed=seed)
        fresh = Identifiers(seed + 92).fresh
        named = single or {f"nomad-server-{n}": f"127.0.1.{n + 1}" for n in range(3)}
        members = [Server(name, address, fresh(), alive=bool(single)) for name, address in named.items()]
        self.region = Region(self.cluster, fresh, Servers(members, self._now))
        self.region.start()
        self._faces: dict[str, ServerFace | ClientFace] = {f"{m.address}:4646": ServerFace(m) for m in members}
        self._nodes: dict[str, str] = {}
        self._timers: list[tuple[float, int, Callable[[], None]]] = []
        self._numbers = itertools.count()
        self._start = self._now()

    def clock(self) -> float:
        return (self._now() - self._start).total_seconds()

    def version(self) -> object:
        return self.region.store.index

    def rest(self, seconds: float) -> None:
        """Move the clock on, from one due thing to the next."""
        end = self.clock() + seconds
        while self.clock() < end - 1e-9:
            due = self.cluster.next_due()
            ahead = [end] if due is None else [end, (due - self._start).total_seconds()]
            if self._timers:
                ahead.append(self._timers[0][0])
            self._move(max(min(ahead) - self.clock(), 0.000_001))

    def _move(self, seconds: float) -> None:
        self._now.advance(seconds)
        self.cluster.advance()
        while self._timers and self._timers[0][0] <= self.clock():
            heapq.heappop(self._timers)[2]()

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        heapq.heappush(self._timers, (self.clock() + seconds, next(self._numbers), act))

    def send(  # noqa: PLR0917 - a request has these parts
        self, method: str, path: str, query: dict[str, Any], headers: dict[str, str], body: bytes, agent: str
    ) -> Observed:
        self.rest(0.001)
        face = self._faces[agent]
        if isinstance(face, ServerFace) and not face.server.alive:
            raise ConnectionError(f"{agent} refuses connections")
        router = Router(self.region, face)
        request = Request.of(method, f"{path}?{urlencode(query, doseq=True)}", headers, body)
        response = self._answer(router, request)
        if response.stream is not None:
            return Observed(200, response.headers, self._lines(cast("Subscription", response.stream)))
        return Observed(response.status, response.headers, response.body)

    def _lines(self, wanted: Subscription) -> bytes:
        """What a stream says at once: an empty object, then what the buffer holds."""
        events = self.region.events
        batches, _ = events.since(events.start(wanted.index))
        lines = [{}, *(line for batch in batches if (line := wanted.wanted(batch)))]
        return b"\n".join(json.dumps(line).encode() for line in lines)

    def _answer(self, router: Router, request: Request) -> Response:
        """As a server does, with the clock jumping: wait for a change, or for a leader."""
        response = router.handle(request)
        for _ in range(100):
            if not response.needs_leader:
                break
            self.rest(STEP)
            response = router.handle(request)
        if not response.tables or request.method != "GET":
            return response
        index, seconds = Call(self.region, router.face, request).wait
        end = self.clock() + (seconds or 300) * 1.02
        while index and response.index <= index and self.clock() < end:
            self.rest(STEP)
            response = router.handle(request)
        return response

    def start_server(self, number: int) -> None:
        self.region.servers.start(f"nomad-server-{number}")

    def kill_server(self, number: int) -> None:
        self.region.servers.kill(f"nomad-server-{number}")

    @property
    def alive(self) -> str:
        return next(f"{m.address}:4646" for m in self.region.servers.members if m.alive)

    def start_client(self, spec: ClientSpec, *, fresh: bool = False) -> None:
        known = self._nodes.get(spec.name)
        self.rest(0.1)
        if known is not None and not fresh:
            self.cluster.restart_client(known)
            return
        self._nodes[spec.name] = spec.ident
        self.cluster.register_node(
            node_id=spec.ident,
            name=spec.name,
            address=spec.address,
            node_class=spec.node_class,
            node_pool=spec.node_pool,
            datacenter=spec.datacenter,
            cpu=spec.cpu,
            memory=spec.memory,
            cores=2,
            meta=spec.meta,
            reserved_ports="22",
        )
        face = ClientFace(spec.name, spec.address, lambda: self._nodes[spec.name])
        self._faces[f"{spec.address}:4646"] = face

    def kill_client(self, name: str, *, politely: bool = False) -> None:
        del politely
        self.cluster.stop_client(self._nodes[name], kill=False)

    def reset_file(self, content: str) -> None:
        self.region.acl.reset_index = int(content)

    def close(self) -> None:
        self._timers.clear()
