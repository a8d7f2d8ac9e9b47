"""What must hold of machines that were booted from the templates' own data; each proof adds its lines to the report."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.twin.shell import CommandFailed, wait_until

if TYPE_CHECKING:
    from lab.twin.machine import Machine
    from lab.twin.report import Report
    from lab.twin.world import World

BOOT_SECONDS, KNOB_SECONDS, DRAIN_SECONDS = 180.0, 150.0, 60.0
CUSTOM_DATA_LIMIT, USER_DATA_LIMIT = 16 * 1024, 64 * 1024

NOTE = "/var/lib/keeper/returned"
"""Where a client keeps which drain of its own it has ended."""
HEALTH = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:4690/health').read().decode())"

SNAPSHOT = """
import hashlib, json, os, subprocess
seen = {}
for top in ("/etc", "/opt", "/usr/local", "/var/lib/keeper"):
    for folder, _, files in os.walk(top):
        for name in files:
            path = os.path.join(folder, name)
            if os.path.islink(path):
                seen[path] = "-> " + os.readlink(path)
            elif "__pycache__" not in path:
                about = os.stat(path)
                with open(path, "rb") as file:
                    seen[path] = f"{about.st_mode:o} {about.st_uid}:{about.st_gid} {hashlib.sha256(file.read()).hexdigest()}"
for argv in (["list-unit-files", "--state=enabled"], ["list-units", "--type=service,mount,timer", "--state=active"]):
    said = subprocess.run(["systemctl", *argv, "--no-legend", "--plain"], capture_output=True, text=True).stdout
    seen[argv[0]] = " ".join(sorted(line.split()[0] for line in said.splitlines()))
print(json.dumps(seen))
"""


def sizes(world: World, report: Report) -> None:
    """What a machine is given at its creation is the same for all of a kind, and small enough for Azure."""
    members = [*world.site.servers, world.site.client]
    texts = {each.custom_data for each in members}
    size = max(len(each.custom_data.encode()) for each in members)
    report.check("customData is the same on every machine", f"{size} bytes", holds=len(texts) == 1)
    told = max(len(each.user_data) for each in members)
    fits = size <= CUSTOM_DATA_LIMIT and told <= USER_DATA_LIMIT
    report.check("customData and userData fit into Azure's limits", f"{told} characters of userData", holds=fits)


def waits_in_good_health(machine: Machine, report: Report) -> None:
    """Without its secrets a machine says what it waits for, and nothing may replace it meanwhile."""
    waits = wait_until(lambda: machine.status()["phase"] == "waiting", BOOT_SECONDS)
    report.must(f"{machine.blueprint.short} waits for its secrets", machine.status()["what"][:110], holds=waits)
    healthy = '"Healthy"' in machine.run("python3", "-c", HEALTH)
    report.check(f"{machine.blueprint.short} is healthy to the extension while it waits", holds=healthy)
    nomad = machine.succeeds("systemctl", "is-active", "nomad")
    report.check(f"{machine.blueprint.short} runs no Nomad without a certificate", holds=not nomad)


def becomes_member(machine: Machine, report: Report, units: tuple[str, ...]) -> None:
    """The ready marker stands, every unit runs, nothing failed, and cloud-init is content."""
    ready = wait_until(machine.is_ready, BOOT_SECONDS, 1)
    marker = machine.read("/var/lib/keeper/ready").strip()
    if not ready:
        print(machine.run("journalctl", "--output=cat", "--lines=40", "--identifier=keeper-node", "--unit=nomad"))
    report.must(f"{machine.blueprint.short} is ready", marker or machine.status()["what"], holds=ready)
    inactive = [unit for unit in units if not machine.succeeds("systemctl", "is-active", unit)]
    report.check(f"units run on {machine.blueprint.short}", ", ".join(inactive or units), holds=not inactive)
    done = machine.succeeds("cloud-init", "status", "--wait")
    failed = machine.run("systemctl", "--failed", "--no-legend", "--plain").split()
    report.check(
        f"cloud-init ended well and no unit failed on {machine.blueprint.short}",
        " ".join(failed),
        holds=done and not failed,
    )
    administrator = machine.blueprint.administrator
    report.check(
        f"the administrator that the templates name exists on {machine.blueprint.short}, with its key",
        administrator.name,
        holds=administrator.key in machine.read(administrator.keys),
    )


def looks_for_certificates(machine: Machine, report: Report) -> None:
    """The timer's command finds nothing newer, changes nothing, and fails at nothing in its locked-down unit."""
    done = machine.succeeds("systemctl", "start", "keeper-refresh.service")
    said = [line for line in program_said(machine) if line.get("event") == "node.refreshed"]
    holds = done and not said
    report.check(f"{machine.blueprint.short} looks for newer certificates and finds none", f"{said or ''}", holds=holds)


def nothing_failed(machine: Machine, report: Report) -> None:
    """No unit has failed since the boot, whatever was done to the machine."""
    failed = machine.run("systemctl", "--failed", "--no-legend", "--plain").split("\n")[0]
    report.check(f"no unit has failed on {machine.blueprint.short} in all this", failed, holds=not failed)


def second_boot_changes_nothing(machine: Machine, report: Report, *, drained: bool = False) -> None:
    """Power off, power on: the same files, the same units, a member again.

    A client whose power-off was a `drained` one, as a real Nomad's is, takes work again, and notes that; nothing else.
    """
    before = snapshot(machine)
    report.check(f"{machine.blueprint.short} powers off by itself", holds=machine.power_off())
    machine.boot()
    ready = wait_until(
        lambda: machine.is_ready() and machine.succeeds("systemctl", "is-active", "nomad"), BOOT_SECONDS, 1
    )
    report.must(f"{machine.blueprint.short} is a member again after its second boot", holds=ready)
    machine.succeeds("cloud-init", "status", "--wait")
    machine.apply()
    after = snapshot(machine)
    changed = sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    expected = [NOTE] if drained else []
    seen = ", ".join(_difference(path, before, after) for path in changed[:6]) or f"{len(after)} files and unit lists"
    report.check(f"the second boot of {machine.blueprint.short} changes nothing", seen, holds=changed == expected)
    said = [line.get("changed") for line in program_said(machine) if line.get("event") == "node.applied"]
    holds = said == ([["takes work again after its own drain"]] if drained else [])
    report.check("and the program says so", f"{said or 'no word'}"[:200], holds=holds)


def snapshot(machine: Machine) -> dict[str, str]:
    """Return digest, mode and owner of every configuration file, and which units are enabled and active."""
    seen: dict[str, str] = json.loads(machine.run("python3", "-c", SNAPSHOT))
    return seen


def _difference(what: str, before: dict[str, str], after: dict[str, str]) -> str:
    if what.startswith("/"):
        return what
    one, other = set(before[what].split()), set(after[what].split())
    return f"{what}: -{sorted(one - other)} +{sorted(other - one)}"


def knob_arrives(world: World, machine: Machine, report: Report, node_class: str) -> None:
    """A parameter of the templates changes, and the running machine follows by itself, without a reboot."""
    changed = world.render(node_class=node_class).client
    same = changed.custom_data == machine.blueprint.custom_data
    report.check("a changed knob changes no byte of customData", holds=same)
    boot, process = machine.read("/proc/sys/kernel/random/boot_id"), main_process(machine)
    world.services.metadata.change_user_data(changed)
    wanted = f'node_class = "{node_class}"'
    arrived = wait_until(
        lambda: wanted in machine.read("/etc/nomad.d/20-client.hcl") and main_process(machine) not in {process, "0"},
        KNOB_SECONDS,
        1,
    )
    report.check("the changed knob arrives by the timer alone, and Nomad runs with it", wanted, holds=arrived)
    still = machine.read("/proc/sys/kernel/random/boot_id") == boot
    drained = "drain" in journal(machine, "nomad.service")
    report.check("the machine was not rebooted for it, nor its work drained", holds=still and not drained)
    back = wait_until(machine.is_ready, BOOT_SECONDS, 1)
    report.check(f"{machine.blueprint.short} is ready again", holds=back)


def main_process(machine: Machine) -> str:
    """Return the number of Nomad's process inside the machine."""
    try:
        return machine.run("systemctl", "show", "--property=MainPID", "--value", "nomad").strip()
    except CommandFailed:
        return "0"


def journal(machine: Machine, unit: str) -> str:
    """Return what a unit said since the machine's boot."""
    return machine.run("journalctl", "--boot", "--output=short-iso-precise", "--unit", unit)


def preemption_drains(world: World, machine: Machine, report: Report) -> None:
    """Azure announces that it takes the machine away: work is handed over first, then the event is acknowledged."""
    guest = world.services.metadata.announce_preemption(machine.blueprint.address)
    begun = report.seconds()
    guest.acknowledged.wait(DRAIN_SECONDS)
    took = report.seconds() - begun
    stopped = not machine.succeeds("systemctl", "is-active", "nomad")
    report.check("a preempt notice stops Nomad, which drains", journal_tail(machine), holds=stopped)
    story = machine.run("journalctl", "--boot", "--output=cat", "--lines=400")
    order = [story.rfind(words) for words in ("node.leaving", "Stopped nomad.service", "node.acknowledged")]
    seen = f"acknowledged after {took:.1f} s of 30" + ("" if order == sorted(order) else f", out of order: {order}")
    holds = took < 29 and -1 not in order and order == sorted(order)
    report.check("it is acknowledged before it runs out, and only when Nomad has ended", seen, holds=holds)
    phase = machine.status()["phase"]
    machine.apply()
    calm = not machine.succeeds("systemctl", "is-active", "nomad")
    report.check("nothing starts Nomad again on a machine that is leaving", phase, holds=calm and phase == "leaving")


def program_said(machine: Machine) -> list[dict[str, object]]:
    """Return every event that the node program told since the machine's boot."""
    text = machine.run("journalctl", "--boot", "--output=cat", "--identifier=keeper-node")
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def journal_tail(machine: Machine) -> str:
    """Return Nomad's last words about draining."""
    lines = [
        line.split(": ", 1)[-1] for line in journal(machine, "nomad.service").splitlines() if "drain" in line.lower()
    ]
    return " | ".join(line[-80:] for line in lines[-3:])


def refuses_a_forged_release(world: World, machine: Machine, report: Report) -> None:
    """A release whose SHA256SUMS another key signed is never unpacked; the machine stays what it is, and says so."""
    forged = world.forge()
    process = main_process(machine)
    (told,) = [each for each in world.render(consul=forged).servers if each.name == machine.blueprint.name]
    world.services.metadata.change_user_data(told)
    machine.succeeds("systemctl", "start", "keeper-load.service")
    said = [str(line["why"]) for line in program_said(machine) if line.get("event") == "node.failed"]
    refused = any("signature" in why and "nothing was unpacked" in why for why in said)
    report.check("a release that another key signed is refused", (said or ["no word"])[-1][:140], holds=refused)
    missing = not machine.read(f"/opt/keeper/releases/consul/{forged}/consul")
    same = machine.read("/usr/local/bin/consul") != "" and main_process(machine) == process
    well = '"Healthy"' in machine.run("python3", "-c", HEALTH)
    report.check("and the machine goes on with the one it has, in good health", holds=missing and same and well)
    world.services.metadata.change_user_data(machine.blueprint)
    machine.apply()
