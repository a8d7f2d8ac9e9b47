"""What the twin needs of the machine that it runs on."""

from __future__ import annotations

import os
import shutil
import sys

from lab.twin.shell import sh
from tools.infra_bicep import compiler

PROGRAMS = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "nft": "nftables",
    "gpg": "gnupg",
    "ip": "iproute2",
    "nsenter": "util-linux",
    "losetup": "mount",
    "sysctl": "procps",
}
"""Programs, and the Debian packages that have them."""


def missing() -> list[str]:
    """Say what is missing, each as one thing to do; nothing when the twin can run."""
    lacks: list[str] = []
    if sys.platform != "linux" or os.geteuid() != 0:
        lacks.append("root on Linux: run it with sudo")
    packages = missing_packages()
    if packages:
        lacks.append(f"apt-get install {' '.join(packages)}")
    try:
        compiler()
    except FileNotFoundError as problem:
        lacks.append(str(problem))
    return lacks


def missing_packages() -> list[str]:
    """Return the packages whose programs are not there."""
    return [package for program, package in PROGRAMS.items() if shutil.which(program) is None]


def install() -> None:
    """Install the missing packages where that is this system's way and this user's right."""
    packages = missing_packages()
    if packages and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"twin: installing {' '.join(packages)}", flush=True)
        sh("apt-get", "update", "-qq", timeout=300)
        quiet = [
            "env",
            "DEBIAN_FRONTEND=noninteractive",
            "apt-get",
            "install",
            "-qq",
            "--yes",
            "--no-install-recommends",
        ]
        sh(*quiet, *packages, timeout=600)
