"""Writes tests/recordings/consul-1.19 anew, from the real Consul in CONSUL_BIN or on PATH:

python -m tests.contract.consul.record
"""

import json
import sys

from lab.consul.processes import ConsulProcess, binary
from tests.contract.consul.playing import RECORDED, Player
from tests.contract.consul.script import SCRIPTS


def main():
    found = binary()
    if found is None:
        sys.exit("no Consul binary: set CONSUL_BIN, or put consul on PATH")
    for name in SCRIPTS:
        with ConsulProcess(found) as side:
            player = Player(side)
            archive = player.furnish()
            write(name, player.play(name))
    (RECORDED / "snapshot.snap").write_bytes(archive)
    with ConsulProcess(found, expected=2) as side:
        write("no-leader", Player(side).play("no-leader"))


def write(name, steps):
    (RECORDED / f"{name}.json").write_text(json.dumps(steps, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
