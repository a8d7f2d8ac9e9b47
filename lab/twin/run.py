"""The whole proof, thinnest part first; `build/twin.json` holds what came of it."""

from __future__ import annotations

import fcntl
import signal
from typing import TYPE_CHECKING

from lab.twin import between, proofs
from lab.twin.image import BUILD
from lab.twin.leftovers import remove_leftovers
from lab.twin.report import Broken, Report
from lab.twin.rules import nftables
from lab.twin.shell import CommandFailed
from lab.twin.world import SECOND_CLASS, World, real_nomad

if TYPE_CHECKING:
    from types import FrameType

    from lab.twin.machine import Machine

AT_MOST = 600
"""Seconds for everything."""

COMMON = ("keeper-load.timer", "keeper-health", "keeper-events", "keeper-refresh.timer", "consul", "nomad")


class Cut(Exception):
    """The run was told to end, or took too long."""


def run() -> int:
    """Prove everything; 0 when all of it holds. Whatever happens, what was started is ended and what was made is removed."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, _cut)
    signal.alarm(AT_MOST)
    BUILD.mkdir(parents=True, exist_ok=True)
    report = Report(BUILD.parent / "twin.json")
    with (BUILD / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            if found := remove_leftovers():
                report.note(f"removed what a killed run had left: {len(found)} things, such as {found[0]}")
            with World(real_nomad()) as world:
                prove(world, report)
        except (Broken, Cut, CommandFailed, KeyboardInterrupt) as problem:
            report.check("the run came to its end", f"{type(problem).__name__}: {problem}", holds=False)
        finally:
            signal.alarm(0)
    report.note(f"{len(report.lines)} checks, {len(report.failed)} failed; {report.path}")
    return 1 if report.failed else 0


def prove(world: World, report: Report) -> None:
    """Boot the machines and hold them to everything."""
    kind = f"real {world.nomad_version}" if world.nomad else f"stand-in for {world.nomad_version}"
    report.facts |= {"nomad": kind, "consul": "stand-in", "image": "Debian bookworm in place of Ubuntu 22.04"}
    report.note(f"rendered, network up, Azure's stand-ins up; Nomad: {kind}")
    world.network.filter(nftables(world.site))
    proofs.sizes(world, report)

    client = world.machine(world.site.client)
    client.boot()
    servers = [world.machine(each) for each in (world.site.servers if world.nomad else world.site.servers[:1])]
    for server in servers:
        world.write_secrets(server.blueprint)
        server.boot()
    proofs.waits_in_good_health(client, report)
    world.write_secrets(client.blueprint)
    for server in servers:
        proofs.becomes_member(server, report, (*COMMON, "data.mount"))
    client.apply()
    proofs.becomes_member(client, report, COMMON)

    _names(world, report, client, servers[0])
    if world.nomad:
        between.elects_a_leader(world, report, client, servers)
        between.deposits_root_keys(world, report, servers)
    proofs.knob_arrives(world, client, report, SECOND_CLASS)
    between.lets_through_what_the_architecture_says(world, report)
    proofs.second_boot_changes_nothing(servers[0], report)
    proofs.second_boot_changes_nothing(client, report, drained=world.nomad is not None)
    if world.nomad:
        between.takes_work(world, report, client)
    proofs.refuses_a_forged_release(world, servers[0], report)
    for machine in (client, servers[0]):
        proofs.looks_for_certificates(machine, report)
        proofs.nothing_failed(machine, report)
    proofs.preemption_drains(world, client, report)


def _names(world: World, report: Report, client: Machine, server: Machine) -> None:
    for near, far, role in ((client, server, "server"), (server, client, "client")):
        between.serves_its_name(world, report, near, far, port=4646, name=f"{role}.global.nomad")
    between.serves_its_name(world, report, client, server, port=8501, name="server.dc1.consul")


def _cut(number: int, _frame: FrameType | None) -> None:
    raise Cut(f"{AT_MOST} s are over" if number == signal.SIGALRM else "told to end")
