"""The health extension's answer and the scrape endpoint.

Application Health 1.0 reads the HTTP status, 2.0 the body `{"ApplicationHealthState": ...}`; both are served at once,
because with 2.0 a body of any other shape counts as unknown and gets the machine repaired in a loop. A machine that
waits for somebody else, or that is leaving, is healthy: replacing it would help nobody.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

from keepernode.clock import ticking, utc_now
from keepernode.places import READY, STATUS
from keepernode.status import Phase, Status, parse_status
from keepernode.tls import life
from keepernode.turns import is_well

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from keepernode.agents import Agent
    from keepernode.machine import Machine

PATIENCE = 60.0
"""Seconds for which agents may not answer before the machine says so: a restart or a new leader takes less."""

FRESH = 2.0
"""Seconds for which one answer of the agents serves all who ask."""

TEXT, JSON = "text/plain; version=0.0.4; charset=utf-8", "application/json"


@dataclass(frozen=True, slots=True)
class Page:
    """One answer."""

    status: int
    kind: str
    body: str


def judge(status: Status, *, unwell_for: float) -> Page:
    """Say what the extension should believe. `unwell_for` is how long the agents have not answered, 0 when they do. Pure."""
    healthy = status.phase is not Phase.FAILED and (status.phase is not Phase.READY or unwell_for < PATIENCE)
    what = status.what
    if status.phase is Phase.READY and unwell_for:
        what = f"the agents have not answered for {unwell_for:.0f} s" + (f"; {what}" if what else "")
    state = "Healthy" if healthy else "Unhealthy"
    body = {"ApplicationHealthState": state, "phase": status.phase.value, "what": what}
    return Page(200 if healthy else 503, JSON, json.dumps(body) + "\n")


def metrics(status: Status, *, unwell_for: float, expiries: dict[str, datetime], now: datetime) -> Page:
    """Return the machine's own gauges in Prometheus' text format. Pure."""
    lines = [
        "# HELP keeper_node_phase Where the machine stands; 1 for the phase it is in.",
        "# TYPE keeper_node_phase gauge",
    ]
    lines += [f'keeper_node_phase{{phase="{phase.value}"}} {int(phase is status.phase)}' for phase in Phase]
    lines += [
        "# HELP keeper_node_agents_unwell_seconds How long an agent of this machine has not answered; 0 when all do.",
        "# TYPE keeper_node_agents_unwell_seconds gauge",
        f"keeper_node_agents_unwell_seconds {unwell_for:.0f}",
        "# HELP keeper_node_certificate_remaining_seconds Life left in the certificate that an agent serves.",
        "# TYPE keeper_node_certificate_remaining_seconds gauge",
    ]
    lines += [
        f'keeper_node_certificate_remaining_seconds{{agent="{agent}"}} {(end - now).total_seconds():.0f}'
        for agent, end in sorted(expiries.items())
    ]
    return Page(200, TEXT, "\n".join(lines) + "\n")


class Pulse:
    """Asks the agents at most every two seconds, and knows since when they have not answered."""

    def __init__(self, machine: Machine, agents: list[Agent]) -> None:
        self._machine, self._agents = machine, agents
        self._asked, self._unwell_since = float("-inf"), None

    _unwell_since: float | None

    def health(self) -> Page:
        """Answer `/health`."""
        return judge(self._status(), unwell_for=self._unwell_for())

    def metrics(self) -> Page:
        """Answer `/metrics`."""
        lives = {agent.service.name: life(self._machine, agent.service.name) for agent in self._agents}
        known = {name: life.end for name, life in lives.items() if life is not None}
        return metrics(self._status(), unwell_for=self._unwell_for(), expiries=known, now=utc_now())

    def _status(self) -> Status:
        """After a reboot the status file is gone while the ready marker stands: such a machine is judged by its agents."""
        text = self._machine.read(STATUS)
        if text is None and self._machine.read(READY) is not None:
            return Status(Phase.READY)
        return parse_status(text)

    def _unwell_for(self) -> float:
        now = ticking()
        if now - self._asked > FRESH:
            well = all(is_well(self._machine, agent, "127.0.0.1") for agent in self._agents)
            self._unwell_since = None if well else self._unwell_since if self._unwell_since is not None else now
            self._asked = now
        return 0.0 if self._unwell_since is None else now - self._unwell_since


def serve(address: str, port: int, pages: dict[str, Callable[[], Page]]) -> ThreadingHTTPServer:
    """Listen and return the server, not yet serving; any other path than those of `pages` is 404."""

    class Handler(BaseHTTPRequestHandler):
        timeout = 10

        def do_GET(self) -> None:
            make = pages.get(self.path.partition("?")[0])
            page = make() if make is not None else Page(404, "text/plain", "not here\n")
            body = page.body.encode()
            self.send_response(page.status)
            self.send_header("Content-Type", page.kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
            """Probes come every few seconds: their requests are no news."""

    server = ThreadingHTTPServer((address, port), Handler)
    server.daemon_threads = True
    return server
