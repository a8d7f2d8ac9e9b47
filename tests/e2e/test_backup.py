"""The disaster that `make demo-backup` plays: it must end well, on whatever Nomad is there."""

import json
from pathlib import Path

import pytest

from lab.nomad.drills import can_isolate
from lab.scenarios import backup

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.xdist_group("lab"),
    pytest.mark.skipif(not can_isolate(), reason="the drill needs root for a network namespace"),
]


def test_everything_comes_back_after_all_servers_are_lost(tmp_path: Path) -> None:
    path = tmp_path / "demo-backup.json"

    assert backup.play(path) == 0
    told = json.loads(path.read_text())
    assert (told["failed"], [promise for promise in told["promises"] if not promise["ok"]]) == ("", [])
