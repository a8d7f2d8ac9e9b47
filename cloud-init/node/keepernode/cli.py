"""The commands of `keeper_node.py`."""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import threading
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from keepernode.agents import agents_of
from keepernode.apply import apply, refresh, reported
from keepernode.clock import utc_now
from keepernode.health import Pulse, serve
from keepernode.here import Here, find_here
from keepernode.identity import Identity, IdentityEndpoint
from keepernode.journal import complain, tell
from keepernode.keystore import KeystoreConfig, keep
from keepernode.leaving import Leaver, follow_events
from keepernode.linux import LinuxMachine
from keepernode.places import RUN, USER_DATA
from keepernode.problems import Misconfigured, NodeError, Waiting
from keepernode.reading import parse_user_data
from keepernode.watch.config import WatchConfig
from keepernode.watch.run import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from types import FrameType

    from keepernode.knobs import Told
    from keepernode.outcome import Outcome

FAILED, MISCONFIGURED, NOT_YET = 1, 2, 75
HERE_PAUSE = 10.0


def main(arguments: Sequence[str]) -> int:
    """Run one command; 0 when done, 1 when it failed for now, 2 when a person must change something, 75 for not yet."""
    chosen = _parser().parse_args(arguments)
    try:
        return int(chosen.run(chosen))
    except Waiting as problem:
        tell("node.waiting", command=chosen.command, why=f"waiting for {problem}")
        return NOT_YET
    except Misconfigured as problem:
        complain("node.misconfigured", command=chosen.command, why=str(problem))
        return MISCONFIGURED
    except NodeError as problem:
        complain("node.failed", command=chosen.command, why=str(problem))
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="keeper-node", description="Make this machine a member and keep it one.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")

    def command(name: str, run: Callable[[argparse.Namespace], int], what: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=what)
        made.set_defaults(run=run)
        if name not in {"watch", "keystore"}:
            made.add_argument("--user-data", type=Path, default=Path(USER_DATA), help="the decoded userData, verified")
        return made

    command("apply", _apply, "make the machine what its userData says; a second run changes nothing")
    command("refresh", _refresh, "take over new certificates, CA bundle and tokens from Key Vault")
    command("scheduled-events", _events, "hand over before Azure takes the machine away")
    command("health", _health, "serve /health for the health extension and /metrics for Prometheus")
    watch = command("watch", _watch, "follow Nomad's events and nudge the keeper (servers)")
    watch.add_argument("--config", type=Path, required=True, help="JSON file; fields: keepernode/watch/config.py")
    keystore = command(
        "keystore", _keystore, "deposit Nomad's root keys for snapshots, put back missing ones (servers before 1.9)"
    )
    keystore.add_argument("--config", type=Path, required=True, help="JSON file; fields: keepernode/keystore.py")
    return parser


def _told(chosen: argparse.Namespace) -> Told:
    try:
        return parse_user_data(chosen.user_data.read_text(encoding="utf-8"))
    except OSError as exc:
        raise Misconfigured(f"cannot read {chosen.user_data}: {exc.strerror}; run keeper-load.service") from exc


def _machine(client_id: str | None) -> LinuxMachine:
    endpoint = IdentityEndpoint.from_environment(os.environ, client_id)  # noqa: TID251 - the program's edge, like the keeper's settings
    return LinuxMachine(Identity(endpoint, utc_now))


def _apply(chosen: argparse.Namespace) -> int:
    return _alone(chosen, apply, "node.applied")


def _refresh(chosen: argparse.Namespace) -> int:
    return _alone(chosen, refresh, "node.refreshed")


def _alone(chosen: argparse.Namespace, step: Callable[[LinuxMachine, Told], Outcome], event: str) -> int:
    """Run a step while no other changes the machine."""
    told = _told(chosen)
    machine = _machine(told.knobs.identity_client_id)
    with _lock():
        reported(machine, lambda: step(machine, told), event)
    return 0


@contextmanager
def _lock() -> Generator[None, None, None]:
    Path(RUN).mkdir(exist_ok=True)
    with Path(f"{RUN}/lock").open("w", encoding="utf-8") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        yield


def _events(chosen: argparse.Namespace) -> int:
    told = _told(chosen)
    machine = _machine(told.knobs.identity_client_id)
    follow_events(Leaver(machine, told.role, _here(machine).name))
    return 0


def _here(machine: LinuxMachine) -> Here:
    """Ask until the metadata service says who this is: a long-running command has nothing better to do."""
    while (here := _found(machine)) is None:
        machine.pause(HERE_PAUSE)
    return here


def _found(machine: LinuxMachine) -> Here | None:
    try:
        return find_here(machine)
    except NodeError as problem:
        complain("node.waiting", why=str(problem))
        return None


def _health(chosen: argparse.Namespace) -> int:
    told = _told(chosen)
    machine = _machine(told.knobs.identity_client_id)
    pulse = Pulse(machine, agents_of(told, _here(machine)))
    ports = told.knobs.ports
    probe = serve("127.0.0.1", ports.health, {"/health": pulse.health})
    scrape = serve("0.0.0.0", ports.metrics, {"/metrics": pulse.metrics})  # noqa: S104 - the network rules say who may scrape; gauges only
    threading.Thread(target=scrape.serve_forever, daemon=True).start()
    probe.serve_forever()
    return 0


def _keystore(chosen: argparse.Namespace) -> int:
    config = KeystoreConfig.read(chosen.config)
    # Whoever may restart Nomad must be the only one who changes the machine.
    with _lock() if config.unit else nullcontext():
        keep(_machine(config.identity_client_id), config)
    return 0


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
