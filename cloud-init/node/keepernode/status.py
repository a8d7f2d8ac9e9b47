"""How far the machine has come, for the health shim, the metrics and a person: one small file in /run."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

from keepernode.machine import File
from keepernode.places import RUN, STATUS
from keepernode.problems import NodeError
from keepernode.shapes import parse_object, text_or

if TYPE_CHECKING:
    from keepernode.machine import Machine


class Phase(str, Enum):
    """Where a machine stands."""

    JOINING = "joining"
    WAITING = "waiting"
    READY = "ready"
    LEAVING = "leaving"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Status:
    """The phase, and in one sentence what it waits for, does or failed at."""

    phase: Phase
    what: str = ""


def write_status(machine: Machine, status: Status) -> None:
    """Say where the machine stands."""
    machine.ensure_folder(RUN)
    machine.ensure(File(STATUS, json.dumps({"phase": status.phase.value, "what": status.what}) + "\n"))


def parse_status(text: bytes | None) -> Status:
    """Read the file; a machine that has not written it yet is joining."""
    if text is None:
        return Status(Phase.JOINING, "the node program has not run yet")
    try:
        given = parse_object(text, STATUS)
        return Status(Phase(text_or(given, "phase")), text_or(given, "what"))
    except (NodeError, ValueError):
        return Status(Phase.FAILED, f"{STATUS} cannot be read; run keeper-load.service")
