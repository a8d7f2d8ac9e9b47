"""What the program says is written down where an operator looks for it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[3]
README = (ROOT / "cloud-init" / "README.md").read_text()


def test_every_event_that_a_machine_tells_is_listed_and_no_other():
    sources = [*(ROOT / "cloud-init" / "node").rglob("*.py"), ROOT / "cloud-init" / "loader.yaml"]
    event = r"(?:node|watcher|certificate|keystore)\.[a-z_]+"
    told = {name for file in sources for name in re.findall(f'"({event})"', file.read_text())}

    listed = set(re.findall(f"`({event})`", README.partition("## What a machine says")[2]))
    assert told == listed
