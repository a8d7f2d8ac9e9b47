"""Releases are proven before they are unpacked: real gpgv, real archives, planted damage."""

import hashlib
import subprocess

import pytest
from keepernode.knobs import Knobs
from keepernode.problems import Misconfigured, NodeError, Unreachable, Unsafe
from keepernode.releases import HASHICORP_KEY, Product, digest_of, install_cni, install_products, signed_by

NOMAD = Product("nomad", "1.10.5")
BASE = "https://releases.hashicorp.com/nomad/1.10.5/nomad_1.10.5"


@pytest.fixture
def machine(new_machine):
    return new_machine("client")


def install(machine, knobs):
    return install_products(machine, knobs, [NOMAD], "amd64")


def test_a_proven_release_is_installed_with_its_binary_executable(machine, told):
    install(machine, told("client").knobs)

    binary = machine.at(machine.real_path("/usr/local/bin/nomad"))
    assert binary.read_text().startswith("#!/bin/sh")
    assert binary.stat().st_mode & 0o777 == 0o755
    assert install(machine, told("client").knobs) == []


def refuses(machine, knobs, problem, match):
    with pytest.raises(problem, match=match):
        install(machine, knobs)
    assert machine.real_path("/usr/local/bin/nomad") is None
    assert not any(each.startswith("nomad") for each in machine.names_in("/opt/keeper/releases/nomad/1.10.5"))


def test_an_archive_that_is_not_the_signed_one_is_not_unpacked(machine, told):
    machine.site = {**machine.site, f"{BASE}_linux_amd64.zip": b"something else"}

    refuses(machine, told("client").knobs, Unsafe, "has SHA-256 .* nothing was unpacked")


def test_sums_that_were_changed_after_signing_are_refused(machine, told):
    forged = f"{hashlib.sha256(b'evil').hexdigest()}  nomad_1.10.5_linux_amd64.zip\n".encode()
    machine.site = {**machine.site, f"{BASE}_SHA256SUMS": forged, f"{BASE}_linux_amd64.zip": b"evil"}

    refuses(machine, told("client").knobs, Unsafe, "is not from")
    assert not any("linux_amd64.zip" in deed for deed in machine.deeds)


def test_a_release_signed_by_another_key_is_refused_by_the_keyring_it_carries(machine, told):
    own = told("client").knobs
    hashicorps = Knobs(
        cluster="c", vault_url=own.vault_url, identity_client_id="i", nomad_version="1.10.5", servers=own.servers
    )

    refuses(machine, hashicorps, Unsafe, "is not from C874011F0AB405110D02105534365D9472D7468F")


def test_a_good_signature_beside_a_bad_one_is_refused(machine, told, signer):
    good = machine.site[f"{BASE}_SHA256SUMS.sig"]
    machine.site = {**machine.site, f"{BASE}_SHA256SUMS.sig": good + signer.sign(b"something else")}

    refuses(machine, told("client").knobs, Unsafe, "is not from")


def test_a_key_ring_with_another_key_than_the_pinned_one_is_refused(machine, told):
    refuses(machine, told("client", releaseFingerprint="A" * 40).knobs, Unsafe, f"is not from {'A' * 40}")


def test_a_release_that_does_not_exist_says_so(machine, told):
    with pytest.raises(Unreachable, match=r"cannot download .*9\.9\.9.*SHA256SUMS"):
        install_products(machine, told("client").knobs, [Product("nomad", "9.9.9")], "amd64")
    with pytest.raises(Misconfigured, match=r"does not name nomad_1\.10\.5_linux_riscv\.zip"):
        digest_of("ab  nomad_1.10.5_linux_amd64.zip\n", "nomad_1.10.5_linux_riscv.zip")


def test_the_cni_plugins_are_proven_by_their_pinned_digest(machine, told, cni):
    install_cni(machine, told("client").knobs, "amd64")
    assert machine.names_in("/opt/cni/bin") == ["bridge"]
    assert install_cni(machine, told("client").knobs, "amd64") == []

    machine.remove("/opt/keeper/releases/cni/1.6.2")
    machine.site = {**machine.site, cni.url: b"evil"}
    with pytest.raises(Unsafe, match="nothing was unpacked"):
        install_cni(machine, told("client").knobs, "amd64")


def test_a_cut_installation_is_begun_again(machine, told):
    machine.broken = {"python3": "no space left on device"}
    with pytest.raises(NodeError, match="no space left on device; is the disk full"):
        install(machine, told("client").knobs)

    machine.broken = {}

    assert install(machine, told("client").knobs) == ["nomad 1.10.5", "/usr/local/bin/nomad"]


def test_the_carried_key_is_hashicorps(machine):
    """https://www.hashicorp.com/trust/security names this fingerprint."""
    machine.at("/ring.gpg").write_bytes(HASHICORP_KEY.read_bytes())
    shown = subprocess.run(
        ["gpg", "--batch", "--show-keys", "--with-colons", machine.at("/ring.gpg")],
        capture_output=True,
        text=True,
        check=True,
        env={"GNUPGHOME": str(machine.root), "PATH": "/usr/bin:/bin"},
    ).stdout
    assert "fpr:::::::::C874011F0AB405110D02105534365D9472D7468F:" in shown


def test_only_a_valid_signature_of_the_primary_key_counts():
    fingerprint = "B" * 40
    good = f"[GNUPG:] VALIDSIG {'C' * 40} 2026-01-31 0 0 4 0 22 10 00 {fingerprint}"

    assert signed_by(good, fingerprint)
    assert not signed_by(f"[GNUPG:] GOODSIG {fingerprint}", fingerprint)
    assert not signed_by(f"[GNUPG:] VALIDSIG {fingerprint} 2026 {'C' * 40}", fingerprint)
    assert not signed_by(f"VALIDSIG x {fingerprint}", fingerprint)
