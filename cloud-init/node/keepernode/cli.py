"""The commands of `keeper_node.py`."""

from __future__ import annotations

import argparse
import os
import signal
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from keepernode.identity import IdentityEndpoint
from keepernode.journal import tell
from keepernode.problems import Misconfigured, NodeError
from keepernode.watch.config import WatchConfig
from keepernode.watch.run import Watcher

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType

FAILED, MISCONFIGURED = 1, 2


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 when done, 1 when it failed for now, 2 when a person must change something first."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except Misconfigured as problem:
        tell("node.misconfigured", command=chosen.command, why=str(problem))
        return MISCONFIGURED
    except NodeError as problem:
        tell("node.failed", command=chosen.command, why=str(problem))
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keeper-node", description="Make this machine a member of the cluster and keep it one."
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    watch = commands.add_parser("watch", help="follow Nomad's events and nudge the keeper (servers)")
    watch.add_argument("--config", type=Path, required=True, help="JSON file; fields: keepernode/watch/config.py")
    watch.set_defaults(run=_watch)
    return parser


def _watch(chosen: argparse.Namespace) -> int:
    config = WatchConfig.read(chosen.config)
    endpoint = IdentityEndpoint.from_environment(os.environ, config.identity_client_id)  # noqa: TID251 - the program's edge, like the keeper's settings
    watcher = Watcher(config, endpoint)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        # A thread of its own: the handler may have interrupted the very lock that stop() takes.
        threading.Thread(target=watcher.stop).start()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    watcher.run()
    return 0
