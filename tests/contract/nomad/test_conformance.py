"""The recorded answers of a real Nomad 1.6.5, replayed step by step against the stand-in, and a real one where there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.nomad import differences
from tests.contract.nomad.runs import REAL, STAND_IN, main_run, main_steps, subjects

if TYPE_CHECKING:
    from tests.contract.nomad.recorded import Step

STEPS = main_steps()


def _allowed(kind: str) -> dict[tuple[str, int], str]:
    return differences.STAND_IN if kind == STAND_IN else differences.REAL


@pytest.mark.nomad
@pytest.mark.parametrize("kind", subjects())
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.label)
def test_a_recorded_step_is_answered_as_recorded(step: Step, kind: str):
    result = main_run(kind)[step.key]
    if step.key in _allowed(kind):
        return
    assert not result.differences, "\n".join(result.differences)


def test_the_differences_of_the_stand_in_are_exactly_the_listed_ones():
    found = {key for key, result in main_run(STAND_IN).items() if result.differences}

    assert found == set(differences.STAND_IN)


@pytest.mark.parametrize("table", [differences.STAND_IN, differences.REAL], ids=[STAND_IN, REAL])
def test_every_listed_difference_is_a_recorded_step_with_a_reason(table: dict[tuple[str, int], str]):
    known = {step.key for step in STEPS}

    assert all(key in known and len(reason) > 20 for key, reason in table.items())
