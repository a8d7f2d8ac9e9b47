"""What a run leaves behind when it is killed outright: found by the names that only twins give, and removed by the next run.

The caller holds the lock of `run.py`, so nothing that is found is in use by another run.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
from pathlib import Path

from lab.twin.image import BUILD
from lab.twin.machine import CGROUPS, remove_group
from lab.twin.network import remove_namespaces
from lab.twin.shell import sh, succeeds, wait_until

GROUPS = "twin-*"
RUNS = "run-*"
END_SECONDS = 5.0


def remove_leftovers() -> list[str]:
    """End machines, undo mounts, disks, namespaces and folders of a run that was killed; return what there was."""
    found = [*_end_machines(), *_unmount(), *_detach(), *remove_namespaces()]
    for folder in sorted(BUILD.glob(RUNS)):
        if (folder / "gpg").is_dir():
            succeeds("gpgconf", "--homedir", str(folder / "gpg"), "--kill", "all")
        shutil.rmtree(folder, ignore_errors=True)
        found.append(folder.name)
    return found


def _end_machines() -> list[str]:
    """Kill what is in the machines' control groups, each process by its number."""
    groups = [group for top in CGROUPS if (top / "cgroup.procs").exists() for group in sorted(top.glob(GROUPS))]
    for group in groups:
        for process in _processes(group):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
    wait_until(lambda: not any(_processes(group) for group in groups), END_SECONDS, 0.1)
    for group in groups:
        remove_group(group)
    return [str(group) for group in groups]


def _processes(group: Path) -> list[int]:
    listed: list[int] = []
    for folder, _, _ in os.walk(group):
        with contextlib.suppress(OSError):  # the group has just gone
            listed += [int(line) for line in (Path(folder) / "cgroup.procs").read_text(encoding="utf-8").split()]
    return listed


def _unmount() -> list[str]:
    mounted = [line.split()[1] for line in Path("/proc/mounts").read_text(encoding="utf-8").splitlines()]
    ours = [point for point in mounted if point.startswith(f"{BUILD}/run-")]
    for point in reversed(ours):
        succeeds("umount", "--lazy", point)
    return ours


def _detach() -> list[str]:
    listed = sh("losetup", "--list", "--noheadings", "--output", "NAME,BACK-FILE").splitlines()
    ours = [line.split()[0] for line in listed if f"{BUILD}/run-" in line]
    for device in ours:
        succeeds("losetup", "--detach", device)
    return ours
