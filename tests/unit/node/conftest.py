"""The node program is no installed package: its tests find it where the machines' bundle is made from."""

import hashlib
import io
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from lab.ca import Authority

ROOT = Path(__file__).parents[3]
sys.path.insert(0, str(ROOT / "cloud-init" / "node"))
sys.path.insert(0, str(Path(__file__).parent))

from keepernode.clock import utc_now  # noqa: E402 - found only from here on
from keepernode.reading import parse_user_data  # noqa: E402 - as above
from node_paper import GOSSIP, START, TOKEN, PaperMachine, b64, disk_with, user_data  # noqa: E402 - as above


@pytest.fixture(scope="session")
def signer(tmp_path_factory):
    """Sign as HashiCorp would: `sign(bytes)`, with the key ring and the fingerprint that prove it."""
    home = tmp_path_factory.mktemp("gnupg")
    home.chmod(0o700)

    def gpg(*words, text=b""):
        argv = [
            "gpg",
            "--homedir",
            home,
            "--batch",
            "--quiet",
            "--pinentry-mode",
            "loopback",
            "--passphrase",
            "",
            *words,
        ]
        return subprocess.run(argv, input=text, capture_output=True, check=True).stdout

    gpg("--quick-generate-key", "Lab releases", "ed25519", "sign", "never")
    listed = gpg("--with-colons", "--list-keys").decode()
    fingerprint = next(line.split(":")[9] for line in listed.splitlines() if line.startswith("fpr"))
    ring = b64(gpg("--export", fingerprint))
    yield SimpleNamespace(sign=lambda text: gpg("--detach-sign", text=text), ring=ring, fingerprint=fingerprint)
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=False)


@pytest.fixture(scope="session")
def releases(signer):
    """Every file of a release site: url → bytes."""
    site = {}
    for product, versions in {
        "nomad": ("1.6.5", "1.10.5", "1.11.1"),
        "consul": ("1.21.4",),
        "vault": ("1.20.3",),
    }.items():
        for version in versions:
            packed = io.BytesIO()
            with zipfile.ZipFile(packed, "w") as archive:
                archive.writestr(product, f"#!/bin/sh\necho {product} {version}\n")
                archive.writestr("LICENSE.txt", "terms")
            base = f"https://releases.hashicorp.com/{product}/{version}/{product}_{version}"
            sums = f"{hashlib.sha256(packed.getvalue()).hexdigest()}  {product}_{version}_linux_amd64.zip\n".encode()
            site[f"{base}_linux_amd64.zip"] = packed.getvalue()
            site[f"{base}_SHA256SUMS"] = sums
            site[f"{base}_SHA256SUMS.sig"] = signer.sign(sums)
    return site


@pytest.fixture(scope="session")
def cni():
    """A CNI archive and the knob that pins it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        member = tarfile.TarInfo("./bridge")
        member.size, member.mode = 3, 0o755
        archive.addfile(member, io.BytesIO(b"cni"))
    url = "https://github.com/containernetworking/plugins/releases/download/v1.6.2/cni-plugins-linux-amd64-v1.6.2.tgz"
    digest = hashlib.sha256(packed.getvalue()).hexdigest()
    return SimpleNamespace(url=url, data=packed.getvalue(), knob={"version": "1.6.2", "amd64": digest, "arm64": digest})


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    """A CA, and `pem(*names)` for what Key Vault gives of a certificate: key and certificate in one text."""
    made = Authority.create(tmp_path_factory.mktemp("ca"), utc_now())
    number = iter(range(10_000))

    def pem(*names):
        leaf = made.issue(f"leaf-{next(number)}", names=names)
        return leaf.key.read_text() + leaf.certificate.read_text()

    return SimpleNamespace(bundle=made.certificate.read_text(), pem=pem)


@pytest.fixture
def new_machine(tmp_path, releases, cni, authority):
    """Make machines fresh from Azure: `new_machine(role, ...)` with the secrets of its role in Key Vault."""

    def make(role="server", **more):
        number = sum(1 for _ in tmp_path.iterdir())
        machine = PaperMachine(tmp_path / f"machine-{number}", **more)
        machine.root.mkdir()
        machine.time = START
        sshd = machine.at("/usr/sbin/sshd")
        sshd.parent.mkdir(parents=True)
        sshd.touch()
        machine.site = {**releases, cni.url: cni.data}
        machine.secrets = {
            "nomad-ca-bundle": authority.bundle,
            "nomad-agent-tls": authority.pem(f"{role}.global.nomad"),
            "nomad-gossip-key": GOSSIP,
            "nomad-watcher-token": TOKEN,
            "consul-agent-tls": authority.pem("server.dc1.consul", "client.dc1.consul"),
            "consul-gossip-key": GOSSIP,
            "vault-server-tls": authority.pem("vault.service.consul"),
        }
        if role == "server":
            disk_with(machine)
        return machine

    return make


@pytest.fixture
def told(signer, cni):
    """Parse userData with the lab's releases: `told(role, **knobs)`."""

    def make(role="server", **knobs):
        mirror = {"releaseKey": signer.ring, "releaseFingerprint": signer.fingerprint, "cni": cni.knob}
        return parse_user_data(user_data(role, **mirror | knobs))

    return make
