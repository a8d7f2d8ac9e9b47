"""The stand-in as a program that is started like `nomad agent -config FILE`: one server without TLS, in memory.

It reads of the JSON configuration what a throw-away server needs, takes root keys from `data_dir/server/keystore` when it starts, and
the reset file of ACLs whenever there is one.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from lab.nomad.keyfiles import read_keys, write_keys
from lab.nomad.server import NomadLab

LOOK_SECONDS = 0.1


def main() -> None:
    """Serve until a signal says otherwise."""
    parser = argparse.ArgumentParser(prog="agent")
    parser.add_argument("command", choices=["agent"])
    parser.add_argument("-config", type=Path, required=True)
    config = json.loads(parser.parse_args().config.read_text())
    server = Path(config["data_dir"]) / "server"
    server.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stop.set())
    lab = NomadLab(servers={config["name"]: config["bind_addr"]}, port=4646, management_token="", seed=97)
    lab.region.name = config["region"]
    read_keys(lab.region.keyring, server / "keystore")
    write_keys(lab.region.keyring, server / "keystore")
    with lab:
        while not stop.wait(LOOK_SECONDS):
            _look_for_reset(lab, server / "acl-bootstrap-reset")


def _look_for_reset(lab: NomadLab, path: Path) -> None:
    """Take the file over; the bootstrap that it allows uses it up."""
    if path.exists():
        lab.region.acl.reset_index = int(path.read_text())
        path.unlink()


if __name__ == "__main__":
    main()
