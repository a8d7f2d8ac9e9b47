"""The machines' image: Debian bookworm, which stands in for Ubuntu 22.04, with what Azure's image and its mirror hold.

Made once by mmdebstrap and kept in `build/twin`; a machine gets a layer of its own over it.
"""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path

from lab.twin.shell import sh

BUILD = Path(__file__).resolve().parents[2] / "build" / "twin"
SUITE = "bookworm"
PACKAGES = (
    # The image's own.
    *("systemd", "systemd-sysv", "dbus", "udev", "cloud-init", "openssh-server", "sudo", "ca-certificates", "python3"),
    *("iproute2", "netbase", "procps", "kmod", "apparmor"),
    # What the node program would install from the distribution's mirror, which no machine here can reach.
    *("gpgv", "openssl", "chrony", "auditd", "docker.io", "iptables"),
)


def image() -> Path:
    """Return the folder with the image, making it when it is not there yet (two minutes, with the network)."""
    name = hashlib.sha256(" ".join((SUITE, *PACKAGES)).encode()).hexdigest()[:12]
    folder = BUILD / f"image-{name}"
    if not folder.is_dir():
        fresh = BUILD / f"image-{name}.new"
        shutil.rmtree(fresh, ignore_errors=True)
        BUILD.mkdir(parents=True, exist_ok=True)
        sh(
            "nice",
            "mmdebstrap",
            "--variant=minbase",
            f"--include={','.join(PACKAGES)}",
            # A mirror may be a snapshot of some day: its lists count as outdated then, their signatures are checked all the same.
            '--aptopt=Acquire::Check-Valid-Until "false"',
            SUITE,
            str(fresh),
            timeout=900,
        )
        fresh.rename(folder)
    return folder
