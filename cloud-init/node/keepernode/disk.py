"""The data disk: mounted at /data, made a file system only when there is provably nothing on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.machine import File, must
from keepernode.places import DATA, UNITS
from keepernode.problems import Unsafe, Waiting

if TYPE_CHECKING:
    from keepernode.machine import Machine

LINKS = ("/dev/disk/azure/scsi1/lun{lun}", "/dev/disk/azure/data/by-lun/{lun}")
"""Where Azure's udev rules put the disk: by SCSI and by NVMe controller."""

MOUNTABLE = {"ext4", "xfs"}
NOTHING_FOUND = 2
MIB = 1024 * 1024
HEAD, TAIL, COPY = 64 * MIB, MIB, 64 * 1024
GROUP = 128 * MIB
GROUPS = (1, 3, 5, 7, 9, 25, 27, 49)
"""Block groups of an ext4 file system that hold a copy of its superblock (4 KiB blocks)."""

UNIT = f"{UNITS}/data.mount"


def mount_data(machine: Machine, lun: int | None) -> list[str]:
    """Mount the disk at /data, or make /data a plain folder when the machine has none; return what had to change."""
    changed = [DATA] if machine.ensure_folder(DATA) else []
    if lun is None:
        return changed
    device = _device(machine, lun)
    kind = _probe(machine, device, "TYPE")
    if kind is None:
        _format(machine, device)
        changed.append(f"mkfs {device}")
        kind = _probe(machine, device, "TYPE")
    if kind not in MOUNTABLE:
        raise Unsafe(
            f"the data disk {device} holds {kind or 'something unknown'}: move what is on it away and empty it yourself"
            " (`wipefs --all`), it is never formatted here"
        )
    if machine.ensure(File(UNIT, _unit(_uuid(machine, device), kind))):
        changed.append(UNIT)
        must(machine, ["systemctl", "daemon-reload"], "look at `journalctl -xe`")
        must(machine, ["systemctl", "enable", "data.mount"], "look at `journalctl -xe`")
    if not _is_mounted(machine, device):
        must(
            machine,
            ["systemctl", "start", "data.mount"],
            "look at `journalctl -u data.mount`; try `fsck -n` on the disk",
        )
        changed.append(f"mount {DATA}")
        if not _is_mounted(machine, device):
            raise Unsafe(f"{DATA} is not the data disk {device} after mounting it; look at `findmnt {DATA}`")
    return changed


def _device(machine: Machine, lun: int) -> str:
    for link in LINKS:
        device = machine.real_path(link.format(lun=lun))
        if device is not None:
            return device
    raise Waiting(f"the data disk at LUN {lun}; attach it if it stays away")


def _probe(machine: Machine, device: str, tag: str) -> str | None:
    """Return what the disk itself says, None when blkid finds nothing at all; anything unclear is Unsafe."""
    done = machine.run(["blkid", "--probe", "--match-tag", tag, "--output", "value", device])
    if done.code == NOTHING_FOUND:
        return None
    if done.code != 0:
        raise Unsafe(f"blkid cannot tell what is on {device} ({done.last_words()}); look yourself, nothing was touched")
    # A partition table has no TYPE, and blkid succeeds: that is something, and not ours.
    return done.out.strip() or "a partition table"


def _uuid(machine: Machine, device: str) -> str:
    uuid = _probe(machine, device, "UUID")
    if uuid is None:
        raise Unsafe(f"the file system on {device} has no UUID; look yourself, nothing was touched")
    return uuid


def _format(machine: Machine, device: str) -> None:
    """Make a file system on a disk that blkid, the kernel and its own first bytes all call empty."""
    parts = must(machine, ["lsblk", "--noheadings", "--list", "--output", "NAME,FSTYPE", device], "look at `lsblk`").out
    if len(parts.split()) != 1:
        raise Unsafe(
            f"the data disk {device} has parts or a signature ({' '.join(parts.split())}); nothing was touched"
        )
    said = must(machine, ["blockdev", "--getsize64", device], "look at `lsblk`").out.strip()
    for start, length in places_to_look(int(said)):
        argv = ["cmp", "--quiet", f"--ignore-initial={start}:0", f"--bytes={length}", device, "/dev/zero"]
        if machine.run(argv).code != 0:
            raise Unsafe(
                f"the data disk {device} is not empty at byte {start} though no file system is known on it: it may be a"
                " damaged one; save what is on it, empty it yourself, nothing was touched"
            )
    must(machine, ["mkfs.ext4", "-q", "-L", "cluster-data", "-m", "1", device], "look at `dmesg`", timeout=600)


def places_to_look(size: int) -> list[tuple[int, int]]:
    """Return which (start, length) of a disk must be zero for it to count as new, as Azure's are throughout. Pure.

    The head, where every file system begins; the tail, where LVM, RAID and GPT keep copies; and where ext4 keeps its own.
    """
    places = [(0, min(HEAD, size)), (max(0, size - TAIL), min(TAIL, size))]
    return places + [(group * GROUP, COPY) for group in GROUPS if group * GROUP + COPY <= size]


def _is_mounted(machine: Machine, device: str) -> bool:
    done = machine.run(["findmnt", "--noheadings", "--output", "SOURCE", "--mountpoint", DATA])
    return done.code == 0 and machine.real_path(done.out.strip()) == device


def _unit(uuid: str, kind: str) -> str:
    return f"""[Unit]
Description=The cluster's data

[Mount]
What=/dev/disk/by-uuid/{uuid}
Where={DATA}
Type={kind}
Options=noatime,nodev,nosuid

[Install]
WantedBy=multi-user.target
"""
