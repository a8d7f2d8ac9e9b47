"""Everything below the agents: users, the program's own units, the hardened system, the data disk, the releases."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.disk import mount_data
from keepernode.hardening import harden
from keepernode.knobs import Role
from keepernode.machine import ROOT, File, ensure_all, must
from keepernode.places import DATA, PROGRAM, STARTED, TLS, UNITS
from keepernode.releases import install_cni, install_packages, install_products, wanted_packages
from keepernode.shares import share_of
from keepernode.units import PYTHON, left_behind, own_units, unit_files

if TYPE_CHECKING:
    from keepernode.agents import Agent
    from keepernode.here import Here
    from keepernode.knobs import Told
    from keepernode.machine import Machine

COMMAND = File("/usr/local/sbin/keeper-node", f'#!/bin/sh\nexec {PYTHON} {PROGRAM} "$@"\n', 0o755)
"""How a person runs the program, as its runbooks say."""
RUNS_PROGRAM = ("keeper-health.service", "keeper-events.service", "keeper-watch.service")


def prepare(machine: Machine, told: Told, here: Here, agents: list[Agent]) -> list[str]:
    """Bring the machine to where its agents can start; return what had to change. Safe to cut anywhere and to repeat.

    The health shim comes first: from then on the machine can say what it waits for.
    """
    changed = _users(machine, agents)
    changed += own_services(machine, told)
    changed += install_packages(
        machine, wanted_packages(client=told.role is Role.CLIENT, share=share_of(told) is not None)
    )
    changed += harden(machine, told)
    changed += mount_data(machine, told.knobs.data_disk_lun)
    changed += _folders(machine, agents)
    changed += install_products(machine, told.knobs, [agent.product for agent in agents], here.architecture)
    if told.role is Role.CLIENT:
        changed += install_cni(machine, told.knobs, here.architecture)
    return changed


def own_services(machine: Machine, told: Told) -> list[str]:
    """Have every unit file in place and the program's own units running with what they say now."""
    machine.ensure(COMMAND)
    changed = ensure_all(machine, unit_files(told)) + _remove_left_behind(machine, told)
    if changed:
        must(machine, ["systemctl", "daemon-reload"], "look at `journalctl -xe`")
    for unit in own_units():
        changed += run_unit(machine, unit, anew=f"{UNITS}/{unit}" in changed)
    return changed + _follow_program(machine)


def _remove_left_behind(machine: Machine, told: Told) -> list[str]:
    """Stop and remove the program's own units that are no longer wanted."""
    units = left_behind(machine.names_in(UNITS), told)
    if units:
        must(machine, ["systemctl", "disable", "--now", *units], "look at `systemctl status`")
    for unit in units:
        machine.remove(f"{UNITS}/{unit}")
    return [f"removed {unit}" for unit in units]


def run_unit(machine: Machine, unit: str, *, anew: bool = False) -> list[str]:
    """Have the unit run now and at every boot, started anew when what it reads has changed; return what had to change."""
    otherwise = f"look at `journalctl -u {unit}`"
    if not is_active(machine, unit):
        must(machine, ["systemctl", "enable", "--now", unit], otherwise)
        return [f"start {unit}"]
    if anew:
        must(machine, ["systemctl", "restart", unit], otherwise)
    return []


def _follow_program(machine: Machine) -> list[str]:
    """Restart what still runs an older program; a unit that was never started stays so."""
    program = machine.real_path(PROGRAM) or PROGRAM
    if not machine.ensure(File(f"{STARTED}/program", program + "\n")):
        return []
    # systemctl fails on a unit that it does not know, and a client has no watcher.
    running = [unit for unit in RUNS_PROGRAM if machine.real_path(f"{UNITS}/{unit}") is not None]
    must(machine, ["systemctl", "try-restart", *running], "look at `journalctl -t keeper-node`")
    return [f"program {program}"]


def is_active(machine: Machine, unit: str) -> bool:
    """Tell whether the unit runs now."""
    return machine.run(["systemctl", "is-active", "--quiet", unit]).code == 0


def _users(machine: Machine, agents: list[Agent]) -> list[str]:
    """Have a user without a shell or a home for every agent that is not root."""
    changed: list[str] = []
    for owner in sorted({agent.service.owner for agent in agents} - {ROOT}):
        if machine.run(["getent", "passwd", owner]).code != 0:
            argv = ["useradd", "--system", "--user-group", "--no-create-home", "--shell", "/usr/sbin/nologin", owner]
            must(machine, argv, "look at /etc/passwd")
            changed.append(f"user {owner}")
    return changed


def _folders(machine: Machine, agents: list[Agent]) -> list[str]:
    wanted = [(TLS, 0o755, ROOT), (STARTED, 0o755, ROOT)]
    for agent in agents:
        owner = agent.service.owner
        wanted += [(f"{DATA}/{agent.service.name}", 0o700, owner), (agent.folder, 0o750, owner)]
    return [path for path, mode, owner in wanted if machine.ensure_folder(path, mode=mode, owner=owner)]
