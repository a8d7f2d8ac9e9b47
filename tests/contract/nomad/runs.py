"""Runs of whole recordings against a subject, each done once per session and kept."""

from __future__ import annotations

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


type Results = dict[tuple[str, int], Result]

_played: dict[str, Results] = {}


def main_run(kind: str) -> Results:
    """Play the main run against a subject, once per session; answer the results by step."""
    if kind not in _played:
        subject = make(kind)
        player = Player(subject)
        try:
            player.play(main_steps())
        finally:
            subject.close()
        _played[kind] = player.results
    return _played[kind]


def played(kind: str) -> Results:
    """Answer the results of the main run against a subject if it was played in this session."""
    return _played.get(kind, {})


def make(kind: str) -> Subject:
    """Make a subject with the recorded addresses, nothing of it started."""
    if kind == STAND_IN:
        return StandIn()
    found = binary()
    if found is None:
        raise LookupError("no nomad binary")
    return RealNomad(found)


__all__ = ["main_run", "main_steps", "make", "played", "staged", "subjects"]
