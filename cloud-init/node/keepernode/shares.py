"""The share of Azure Files that clients mount over NFS 4.1 and offer to jobs as the host volume `files`.

A share that is away keeps no machine from joining: nothing requires the mount, and Nomad gets a folder in its place into
which nobody can write, so that no task fills the machine's own disk in the belief that it writes to the share. What is the
matter stands in the status, which the health page shows. Options: Azure's advice for Linux (several connections, and a port
that a reconnect need not get back), https://learn.microsoft.com/azure/storage/files/nfs-performance
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.knobs import Role
from keepernode.machine import File, must
from keepernode.outcome import Outcome
from keepernode.places import FILES, FILES_UNIT, UNITS

if TYPE_CHECKING:
    from keepernode.knobs import FilesShare, Told
    from keepernode.machine import Machine

OPTIONS = "vers=4,minorversion=1,sec=sys,nconnect=4,noresvport,actimeo=30,nodev,nosuid"
ANSWER_SECONDS = 10.0
UNIT = f"{UNITS}/{FILES_UNIT}"
RELOAD = ["systemctl", "daemon-reload"]


def share_of(told: Told) -> FilesShare | None:
    """Return the share that this machine mounts; clients alone do."""
    return told.knobs.files_share if told.role is Role.CLIENT else None


def mount_share(machine: Machine, told: Told) -> Outcome:
    """Have the share mounted, or no longer; what stands in the way is pending, never a failure."""
    share = share_of(told)
    if share is None:
        return _unmounted(machine)
    outcome = Outcome()
    if machine.ensure(File(UNIT, _unit(share))):
        outcome.changed.append(UNIT)
        must(machine, RELOAD, "look at `journalctl -xe`")
        must(machine, ["systemctl", "enable", FILES_UNIT], "look at `journalctl -xe`")
    source = f"{share.host}:{share.path}"
    if _source(machine) != source:
        machine.ensure_folder(FILES)
        machine.run(["chattr", "+i", FILES])
        done = machine.run(["systemctl", "restart", FILES_UNIT])
        if done.code != 0:
            why = f"look at `journalctl -u {FILES_UNIT}`, the share's network rules, its private endpoint and its name"
            outcome.pending.append(f"the share {source} is away: {why}")
            return outcome
        outcome.changed.append(f"mount {FILES}")
    if machine.run(["stat", "--file-system", FILES], timeout=ANSWER_SECONDS).code != 0:
        outcome.pending.append(
            f"the share {source} is mounted and does not answer: tasks that use it wait until it does"
        )
    return outcome


def _source(machine: Machine) -> str:
    done = machine.run(["findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", FILES])
    return done.out.strip() if done.code == 0 else ""


def _unmounted(machine: Machine) -> Outcome:
    if machine.read(UNIT) is None:
        return Outcome()
    done = machine.run(["systemctl", "disable", "--now", FILES_UNIT])
    if done.code != 0:
        return Outcome(
            pending=[f"{FILES} is still in use ({done.last_words()}): stop the jobs that use the volume `files`"]
        )
    machine.remove(UNIT)
    must(machine, RELOAD, "look at `journalctl -xe`")
    return Outcome(changed=[f"removed {UNIT}"])


def _unit(share: FilesShare) -> str:
    return f"""[Unit]
Description=Files that all clients share
Wants=network-online.target
After=network-online.target

[Mount]
What={share.host}:{share.path}
Where={FILES}
Type=nfs
Options={OPTIONS}
TimeoutSec=30

[Install]
WantedBy=multi-user.target
"""
