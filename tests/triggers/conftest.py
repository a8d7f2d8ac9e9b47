"""A doorway for each test."""

from collections.abc import Iterator

import pytest

from keeper import wiring
from keeper.settings import load
from lab.pools import LabPool, settings_of
from tests.triggers.doorway import SUBSCRIPTION, Doorway


@pytest.fixture
def doorway(monkeypatch: pytest.MonkeyPatch) -> Iterator[Doorway]:
    settings = load(settings_of([LabPool("general", 1, 4), LabPool("spot", 0, 3, spot=True)], SUBSCRIPTION))
    made = Doorway(settings)
    monkeypatch.setattr(wiring, "doors", lambda: made.doors)
    monkeypatch.setattr(wiring, "settings", lambda: made.doors.settings)
    return made
