"""The stand-in as a program that is started like `consul agent -config-file FILE`: one server without TLS, in memory.

It reads of the JSON configuration what a throw-away server needs, and tidies up each minute, as a leader does.
"""

from __future__ import annotations

import argparse
import json
import signal
import threading
from pathlib import Path

from lab.consul.server import ConsulLab

TIDY_SECONDS = 60


def main() -> None:
    """Serve until a signal says otherwise."""
    parser = argparse.ArgumentParser(prog="agent")
    parser.add_argument("command", choices=["agent"])
    parser.add_argument("-config-file", type=Path, required=True)
    config = json.loads(parser.parse_args().config_file.read_text())
    stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stop.set())
    with ConsulLab(
        name=config["node_name"],
        datacenter=config["datacenter"],
        address=config["bind_addr"],
        port=config["ports"]["http"],
        management=config["acl"]["tokens"]["initial_management"],
    ) as lab:
        while not stop.wait(TIDY_SECONDS):
            lab.tidy()


if __name__ == "__main__":
    main()
