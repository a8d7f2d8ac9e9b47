"""Runs of whole recordings against a subject, each done once per session and kept."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from tests.contract.nomad import staged
from tests.contract.nomad.player import Player, Result
from tests.contract.nomad.real import RealNomad, binary
from tests.contract.nomad.recorded import Step, steps
from tests.contract.nomad.script import MAIN
from tests.contract.nomad.standin import StandIn

if TYPE_CHECKING:
    from tests.contract.nomad.subjects import Subject

STAND_IN, REAL = "stand-in", "real"


def subjects() -> list[str]:
    """The subjects there are: the real one only where a binary is."""
    return [STAND_IN, REAL] if binary() else [STAND_IN]


def main_steps() -> list[Step]:
    """All steps of the main run, in the order in which they are played."""
    return [step for file, first, last in MAIN for step in steps(file) if first <= step.number <= last]


@cache
def main_run(kind: str) -> dict[tuple[str, int], Result]:
    """Play the main run against a subject; answer the results by step."""
    subject = make(kind)
    player = Player(subject)
    try:
        player.play(main_steps())
    finally:
        subject.close()
    return player.results


def make(kind: str) -> Subject:
    """Make a subject with the recorded addresses, nothing of it started."""
    if kind == STAND_IN:
        return StandIn()
    found = binary()
    if found is None:
        raise LookupError("no nomad binary")
    return RealNomad(found)


__all__ = ["main_run", "main_steps", "make", "staged", "subjects"]
