"""Releases, pinned and proven before anything of them is unpacked: the signature over SHA256SUMS, then the archive's digest."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keepernode.machine import File, must
from keepernode.places import BINARIES, CNI, RELEASES
from keepernode.problems import Misconfigured, NodeError, Unsafe

if TYPE_CHECKING:
    from keepernode.knobs import Knobs
    from keepernode.machine import Machine

HASHICORP_KEY = Path(__file__).parent / "hashicorp.gpg"
KEY_RING = f"{RELEASES}/signers.gpg"


@dataclass(frozen=True, slots=True)
class Product:
    """One program of HashiCorp's at one release."""

    name: str
    version: str


def install_products(machine: Machine, knobs: Knobs, products: list[Product], architecture: str) -> list[str]:
    """Have every product's binary in /usr/local/bin; return what had to change. Older releases stay for going back."""
    changed: list[str] = []
    for product in products:
        home = f"{RELEASES}/{product.name}/{product.version}"
        binary = f"{home}/{product.name}"
        if machine.real_path(binary) is None:
            _fetch(machine, knobs, product, architecture, home)
            changed.append(f"{product.name} {product.version}")
        if machine.ensure_link(f"{BINARIES}/{product.name}", binary):
            changed.append(f"{BINARIES}/{product.name}")
    return changed


def install_cni(machine: Machine, knobs: Knobs, architecture: str) -> list[str]:
    """Have the CNI plugins in /opt/cni/bin, proven by their pinned digest; return what had to change."""
    home = f"{RELEASES}/cni/{knobs.cni.version}"
    changed: list[str] = []
    if machine.real_path(home) is None:
        expected = knobs.cni.arm64 if architecture == "arm64" else knobs.cni.amd64
        name = f"cni-plugins-linux-{architecture}-v{knobs.cni.version}.tgz"
        fresh = _fresh_folder(machine, f"{home}.new")
        got = machine.download(f"{knobs.cni_url}/v{knobs.cni.version}/{name}", f"{fresh}/{name}")
        _same_digest(name, got, expected)
        must(machine, ["tar", "-xzf", f"{fresh}/{name}", "-C", fresh, "--no-same-owner"], "is the disk full?")
        machine.remove(f"{fresh}/{name}")
        must(machine, ["mv", fresh, home], "is the disk full?")
        changed.append(f"cni-plugins {knobs.cni.version}")
    if machine.ensure_link(CNI, home):
        changed.append(CNI)
    return changed


def _fetch(machine: Machine, knobs: Knobs, product: Product, architecture: str, home: str) -> None:
    base = f"{knobs.releases_url}/{product.name}/{product.version}/{product.name}_{product.version}"
    archive = f"{product.name}_{product.version}_linux_{architecture}.zip"
    fresh = _fresh_folder(machine, f"{home}.new")
    machine.download(f"{base}_SHA256SUMS", f"{fresh}/SHA256SUMS")
    machine.download(f"{base}_SHA256SUMS.sig", f"{fresh}/SHA256SUMS.sig")
    _prove_signature(machine, knobs, f"{fresh}/SHA256SUMS")
    sums = (machine.read(f"{fresh}/SHA256SUMS") or b"").decode("utf-8", "replace")
    expected = digest_of(sums, archive)
    got = machine.download(f"{base}_linux_{architecture}.zip", f"{fresh}/{archive}")
    _same_digest(archive, got, expected)
    must(machine, ["python3", "-m", "zipfile", "-e", f"{fresh}/{archive}", fresh], "is the disk full?", timeout=300)
    must(machine, ["chmod", "0755", f"{fresh}/{product.name}"], f"the archive has no file {product.name}")
    machine.remove(f"{fresh}/{archive}")
    machine.remove(home)
    must(machine, ["mv", fresh, home], "is the disk full?")


def digest_of(sums: str, archive: str) -> str:
    """Return the digest that SHA256SUMS gives for `archive`; Misconfigured when it names no such file."""
    for line in sums.splitlines():
        digest, _, name = line.partition("  ")
        if name.strip() == archive:
            return digest
    raise Misconfigured(f"SHA256SUMS does not name {archive}; there is no such release, correct the version")


def signed_by(status: str, fingerprint: str) -> bool:
    """Tell whether gpgv's status lines hold a valid signature whose primary key is `fingerprint`."""
    return any(
        line.split()[1:2] == ["VALIDSIG"] and line.split()[-1].upper() == fingerprint
        for line in status.splitlines()
        if line.startswith("[GNUPG:]")
    )


def _prove_signature(machine: Machine, knobs: Knobs, sums: str) -> None:
    ring = _key_ring(machine, knobs)
    done = machine.run(["gpgv", "--status-fd", "1", "--keyring", ring, f"{sums}.sig", sums])
    if done.code != 0 or not signed_by(done.out, knobs.release_fingerprint):
        raise Unsafe(
            f"the signature of {sums} is not from {knobs.release_fingerprint} ({done.last_words()});"
            " nothing was unpacked: check releasesUrl, releaseKey and releaseFingerprint"
        )


def _key_ring(machine: Machine, knobs: Knobs) -> str:
    """Lay the key ring where gpgv reads it; base64 keeps it a text on the way."""
    try:
        ring = base64.b64decode(knobs.release_key, validate=True) if knobs.release_key else HASHICORP_KEY.read_bytes()
    except (binascii.Error, ValueError) as exc:
        raise Misconfigured(f"releaseKey is not base64: {exc}") from exc
    machine.ensure_folder(RELEASES)
    text = base64.encodebytes(ring).decode()
    machine.ensure(File(f"{KEY_RING}.b64", text))
    must(machine, ["openssl", "base64", "-d", "-in", f"{KEY_RING}.b64", "-out", KEY_RING], "is the disk full?")
    return KEY_RING


def _same_digest(name: str, got: str, expected: str) -> None:
    if got != expected:
        raise Unsafe(
            f"{name} has SHA-256 {got}, not {expected}; nothing was unpacked: download again, then ask who changed it"
        )


def _fresh_folder(machine: Machine, path: str) -> str:
    machine.remove(path)
    machine.ensure_folder(path)
    return path


def wanted_packages(*, client: bool, share: bool = False) -> list[str]:
    """Return the distribution's packages, which apt proves by the archive's signature."""
    packages = ["auditd", "chrony", "gpgv", "openssl"]
    packages += ["docker.io", "iptables"] if client else []
    return [*packages, "nfs-common"] if share else packages


def install_packages(machine: Machine, packages: list[str]) -> list[str]:
    """Have the packages installed; return which had to be."""
    missing = [name for name in packages if not _is_installed(machine, name)]
    if missing:
        quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-o", "DPkg::Lock::Timeout=300"]
        must(machine, [*quiet, "update"], "check the route out (NAT gateway or firewall)", timeout=600)
        must(
            machine,
            [*quiet, "install", "--yes", "--no-install-recommends", *missing],
            "look at `apt-get install`",
            timeout=900,
        )
        still = [name for name in missing if not _is_installed(machine, name)]
        if still:
            raise NodeError(
                f"apt-get installed without an error, yet {', '.join(still)} is not there; look at `apt-get install`"
            )
    return missing


def _is_installed(machine: Machine, name: str) -> bool:
    done = machine.run(["dpkg-query", "--show", "--showformat=${db:Status-Status}", name])
    return done.code == 0 and done.out.strip() == "installed"
