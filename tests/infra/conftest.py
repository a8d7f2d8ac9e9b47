"""Predictions of the parameter files, made once for all tests of a run (and kept in build/infra between runs)."""

from collections.abc import Callable

import pytest

from tools.infra_bicep import parameter_files
from tools.infra_prediction import Prediction, prediction

NAMES = [file.stem for file in parameter_files()]


@pytest.fixture(scope="session")
def predicted() -> Callable[[str], Prediction]:
    """What a parameter file would create, by its name. Shared: change only what `planted()` returns."""
    made: dict[str, Prediction] = {}

    def of(name: str) -> Prediction:
        if name not in made:
            made[name] = prediction(next(file for file in parameter_files() if file.stem == name))
        return made[name]

    return of
