"""One machine: a layer over the image, booted by systemd-nspawn with real systemd and real cloud-init."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Self

from lab.twin.shell import CommandFailed, sh, succeeds, wait_until

if TYPE_CHECKING:
    from lab.twin.blueprint import Blueprint

POWER_OFF_SECONDS = 20.0
CGROUPS = (Path("/sys/fs/cgroup/systemd"), Path("/sys/fs/cgroup/unified"), Path("/sys/fs/cgroup"))
"""Where systemd keeps its groups: the first two on a host of the first version or a hybrid one, the last on the second."""
JOIN = 'for group; do [ "$group" = -- ] && break; echo $$ > "$group/cgroup.procs"; shift; done; shift; exec "$@"'
"""Enter the groups given before `--`, then become the command after it."""

DISK_BYTES = 512 * 1024 * 1024
NEED_A_KERNEL = ("auditd.service", "docker.service", "docker.socket", "containerd.service")
"""Units that cannot run where the kernel is another's: they are installed and configured, but not started."""

NO_UDEV = """[Unit]
Description=Link file systems by UUID, as udev does where there is one
DefaultDependencies=no
Wants=local-fs-pre.target
Before=local-fs-pre.target

[Service]
ExecStartPre=/bin/sh /usr/lib/twin-udev once
ExecStart=/bin/sh /usr/lib/twin-udev

[Install]
WantedBy=sysinit.target
"""


LINK_DISK = """mkdir -p /dev/disk/by-uuid
while :; do
    u=$(blkid -p -s UUID -o value {device}) && ln -sfn {device} /dev/disk/by-uuid/$u
    [ "$1" = once ] && exit 0
    sleep 0.2
done
"""


@dataclass(slots=True)
class Machine:
    """A machine that can be booted, asked and stopped, again and again; leaving the context removes every trace."""

    blueprint: Blueprint
    namespace: str
    home: Path
    image: Path
    certificates: str
    hosts: dict[str, str]
    device: str = ""
    boots: int = 0
    _process: subprocess.Popen[bytes] | None = None
    _leader: int = 0
    _undo: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def root(self) -> Path:
        """The machine's file system."""
        return self.home / "root"

    @property
    def console(self) -> Path:
        """What the machine printed at its boots."""
        return self.home.with_suffix(".console")

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as undo:
            for name in ("root", "upper", "work"):
                (self.home / name).mkdir(parents=True)
            layers = f"lowerdir={self.image},upperdir={self.home}/upper,workdir={self.home}/work"
            sh("mount", "-t", "overlay", "twin", "-o", layers, str(self.root))
            undo.callback(succeeds, "umount", "--lazy", str(self.root))
            if (
                "storageProfile" in self.blueprint.profile
                and self.blueprint.told()["knobs"].get("dataDiskLun") is not None
            ):
                self._attach_disk(undo)
            self._furnish()
            undo.callback(self.kill)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def boot(self) -> None:
        """Power on; returns when systemd answers."""
        self.boots += 1
        argv = [
            *("systemd-nspawn", "--quiet", "--boot", f"--directory={self.root}", f"--machine={self.blueprint.short}"),
            *("--register=no", "--keep-unit", "--console=pipe", "--link-journal=no"),
            *("--resolv-conf=off", "--timezone=off", f"--network-namespace-path=/run/netns/{self.namespace}"),
            *([f"--bind={self.device}"] if self.device else []),
        ]
        with self.console.open("ab") as out:
            self._process = subprocess.Popen(
                ["sh", "-c", JOIN, "sh", *map(str, self._make_groups()), "--", *argv],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=out,
                start_new_session=True,
            )
        if not wait_until(lambda: self._find_leader() and self.succeeds("systemctl", "show", "--property=Version"), 60):
            raise CommandFailed(f"{self.blueprint.short} does not come up; see {self.console}")

    def run(self, *argv: str, timeout: float = 120.0) -> str:
        """Run a command inside; CommandFailed when it fails."""
        return sh(*self._inside(), *argv, timeout=timeout)

    def succeeds(self, *argv: str) -> bool:
        """Tell whether a command inside ends with 0."""
        return self._leader != 0 and succeeds(*self._inside(), *argv)

    def read(self, path: str) -> str:
        """Return a file's text as the machine sees it; empty when there is none."""
        try:
            return self.run("cat", path)
        except CommandFailed:
            return ""

    def status(self) -> dict[str, str]:
        """Return what /run/keeper/status.json says."""
        text = self.read("/run/keeper/status.json")
        return json.loads(text) if text else {"phase": "none", "what": ""}

    def is_ready(self) -> bool:
        """Tell whether the ready marker stands and the program says so too."""
        return bool(self.read("/var/lib/keeper/ready")) and self.status()["phase"] == "ready"

    def apply(self) -> None:
        """Have the loader run now, as its timer would within the minute."""
        self.run("systemctl", "start", "keeper-load.service")

    def power_off(self) -> bool:
        """Stop in good order; when systemd has stopped its units but nspawn does not end, end it. True when it ended itself."""
        if self._process is None:
            return True
        self.succeeds("systemctl", "poweroff", "--no-block")
        ended = wait_until(lambda: self._process is None or self._process.poll() is not None, POWER_OFF_SECONDS)
        self.kill()
        return ended

    def kill(self) -> None:
        """Take the power away; safe to call twice."""
        if self._process is None:
            return
        if self._leader:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self._leader, signal.SIGKILL)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(5)
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait(10)
        self._process, self._leader = None, 0
        for group in self._groups():
            remove_group(group)

    def _groups(self) -> list[Path]:
        """Groups of its own, or the first processes of two machines would take each other's for theirs."""
        return [top / f"twin-{self.blueprint.short}" for top in CGROUPS if (top / "cgroup.procs").exists()]

    def _make_groups(self) -> list[Path]:
        for group in self._groups():
            group.mkdir(exist_ok=True)
        return self._groups()

    def _inside(self) -> list[str]:
        return ["nsenter", f"--target={self._leader}", "--mount", "--uts", "--ipc", "--net", "--pid", "--cgroup", "--"]

    def _find_leader(self) -> bool:
        """Find the machine's first process: the descendant of nspawn that is number 1 in a namespace of its own."""
        if self._process is None or self._process.poll() is not None:
            raise CommandFailed(f"{self.blueprint.short} ended at its boot; see {self.console}")
        for child in _children(self._process.pid):
            numbers = next(
                (line.split()[1:] for line in _read(child, "status").splitlines() if line.startswith("NSpid:")), []
            )
            if len(numbers) > 1 and numbers[-1] == "1" and "systemd" in _read(child, "comm"):
                self._leader = child
                return True
        return False

    def _attach_disk(self, undo: contextlib.ExitStack) -> None:
        """Give the machine an empty data disk, where Azure's udev rules would show it."""
        disk = self.home / "disk"
        with disk.open("wb") as made:
            made.truncate(DISK_BYTES)
        self.device = sh("losetup", "--find", "--show", str(disk)).strip()
        undo.callback(succeeds, "losetup", "--detach", self.device)
        lun = self.blueprint.told()["knobs"]["dataDiskLun"]
        self._write("etc/tmpfiles.d/twin-disk.conf", f"L /dev/disk/azure/scsi1/lun{lun} - - - - {self.device}\n")
        self._write("etc/systemd/system/twin-udev.service", NO_UDEV)
        self._write("usr/lib/twin-udev", LINK_DISK.replace("{device}", self.device))
        wants = self.root / "etc/systemd/system/sysinit.target.wants"
        wants.mkdir(exist_ok=True)
        (wants / "twin-udev.service").symlink_to("/etc/systemd/system/twin-udev.service")

    def _furnish(self) -> None:
        """Lay down what Azure gives a machine at its creation, and the one override: the lab's certificate authority."""
        seed = "var/lib/cloud/seed/nocloud"
        name, administrator = self.blueprint.host_name, self.blueprint.administrator
        self._write(f"{seed}/user-data", self.blueprint.custom_data)
        told = {"instance-id": self.blueprint.name, "local-hostname": name, "public-keys": [administrator.key]}
        self._write(f"{seed}/meta-data", json.dumps(told))
        # Azure's datasource names the administrator in the same way.
        user = {"name": administrator.name, "lock_passwd": True, "groups": ["adm", "sudo"], "shell": "/bin/bash"}
        self._write("etc/cloud/cloud.cfg.d/91-administrator.cfg", json.dumps({"system_info": {"default_user": user}}))
        self._write(
            "etc/cloud/cloud.cfg.d/90-datasource.cfg",
            "datasource_list: [NoCloud]\nnetwork: {config: disabled}\nlocale: false\n",
        )
        lines = [f"{address} {host}" for host, address in sorted(self.hosts.items())]
        self._write("etc/hosts", "\n".join(["127.0.0.1 localhost", f"127.0.1.1 {name}", *lines, ""]))
        self._write("etc/hostname", f"{name}\n")
        for unit in NEED_A_KERNEL:
            self._mask(unit)
        self._write("etc/machine-id", "")
        with (self.root / "etc/ssl/certs/ca-certificates.crt").open("a", encoding="utf-8") as bundle:
            bundle.write(self.certificates)

    def _mask(self, unit: str) -> None:
        (self.root / "etc/systemd/system" / unit).symlink_to("/dev/null")

    def _write(self, path: str, text: str) -> None:
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def remove_group(group: Path) -> None:
    """Remove a control group with everything below it; one whose processes are still ending stays until the next run."""
    for folder, _, _ in os.walk(group, topdown=False):
        with contextlib.suppress(OSError):
            Path(folder).rmdir()


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for child in _read(pid, f"task/{pid}/children").split():
        found += [int(child), *_children(int(child))]
    return found


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(encoding="utf-8")
    except OSError:
        return ""
