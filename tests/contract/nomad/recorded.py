"""The recordings as steps, and what a step says about how its answer may be compared."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECORDINGS = Path(__file__).parents[2] / "recordings" / "nomad-1.6.5"
UUID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a recording: a request with its answer, or an observation (`request` is empty then)."""

    file: str
    number: int
    at: float
    what: str
    request: dict[str, Any] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)
    observed: dict[str, Any] = field(default_factory=dict)

    @property
    def key(self) -> tuple[str, int]:
        return (self.file, self.number)

    @property
    def label(self) -> str:
        """A readable test id."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", self.what).strip("-")
        return f"{self.file}-{self.number:03d}-{words[:60]}"

    @property
    def trimmed(self) -> str:
        return str(self.response.get("trimmed") or "")


def steps(file: str) -> list[Step]:
    """Read one recording by the beginning of its name."""
    path = next(RECORDINGS.glob(f"{file}.json"), None) or next(RECORDINGS.glob(f"{file}-*.json"))
    return [_step(file, entry) for entry in json.loads(path.read_text(encoding="utf-8"))]


def _step(file: str, entry: dict[str, Any]) -> Step:
    known = {"step", "at_s", "what", "request", "response"}
    return Step(
        file,
        entry["step"],
        float(entry.get("at_s") or 0),
        entry["what"],
        entry.get("request") or {},
        entry.get("response") or {},
        {name: value for name, value in entry.items() if name not in known},
    )


FILES = (
    "01-nodes",
    "02-demand",
    "03-capacity-arrives",
    "04-drain",
    "05-node-lifecycle",
    "06-acl-bootstrap",
    "06-acl",
    "07-snapshot",
    "08-agent",
    "08-tls-reload",
    "09-metrics",
    "10-events",
    "11-variables",
    "12-blocking-leader",
)
"""Every recording that is an array of steps; 13-events-blocked.json has a shape and a test of its own."""

NODE_IDS = {
    "vmss-clients_0": "76672d36-d6e6-464c-0c2f-ead4037346eb",
    "vmss-clients_1": "897410d3-9bd0-96a9-2467-0e57381fc887",
    "vmss-clients_2": "1557c670-278e-5758-8af6-270d4619b0c9",
    "vmss-clients_3": "ecf9a82f-ad3e-bc7c-d591-e1324a8dd024",
    "vmss-clients_4": "b5f4ba3f-932d-6647-96e4-555c3981c292",
    "vmss-clients_5": "82cfb110-a840-5929-70a4-e83adcecaa5c",
    "vmss-clients_6": "a155c249-5e93-383a-7ccd-40cfb0961b73",
}
REIMAGED = "af1d05c2-486e-189d-7063-20d282626f07"
"""The ID of vmss-clients_1 after it was started with an empty data_dir."""
