"""The twin boots real machines from the templates' data: ten minutes, as root, so only when it is asked for (`TWIN=1`)."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.twin.needs import missing

ROOT = Path(__file__).parents[2]


@pytest.mark.e2e
def test_machines_booted_from_the_templates_become_members_and_stay_so():
    if os.environ.get("TWIN") != "1":
        pytest.skip("not asked for: `make twin`, or TWIN=1, as root")
    lacks = missing()
    if lacks and os.environ.get("CI") == "true":
        pytest.fail(f"the twin was asked for and needs {'; '.join(lacks)}")
    if lacks:
        pytest.skip(f"the twin needs {'; '.join(lacks)}")

    done = subprocess.run([sys.executable, "-m", "lab.twin"], cwd=ROOT, timeout=900, check=False)

    report = json.loads((ROOT / "build" / "twin.json").read_text())
    assert report["failed"] == []
    assert done.returncode == 0
    assert report["seconds"] < 600
