"""A release server: archives, SHA256SUMS and a signature, laid out as at releases.hashicorp.com, signed by a key of this run."""

from __future__ import annotations

import base64
import hashlib
import io
import tarfile
import zipfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from lab.http import Response
from lab.twin.shell import sh, succeeds

if TYPE_CHECKING:
    from pathlib import Path

    from lab.http import Request

CNI_VERSION = "1.6.2"
ARCHITECTURE = "amd64"


@dataclass(frozen=True, slots=True)
class Signer:
    """A throw-away OpenPGP key with a home of its own; a context manager that ends its agent."""

    home: Path

    def __enter__(self) -> Self:
        self.home.mkdir(mode=0o700)
        who = "releases of the twin"
        sh(*self._gpg(), "--passphrase", "", "--quick-generate-key", who, "ed25519", "sign", "1d")
        return self

    def __exit__(self, *_: object) -> None:
        succeeds("gpgconf", "--homedir", str(self.home), "--kill", "all")

    def fingerprint(self) -> str:
        """Return the primary key's fingerprint."""
        lines = sh(*self._gpg(), "--with-colons", "--list-keys").splitlines()
        return next(line.split(":")[9] for line in lines if line.startswith("fpr:"))

    def ring(self) -> str:
        """Return the public key ring in base64, as the knob `releaseKey` takes it."""
        exported = self.home / "ring.gpg"
        sh(*self._gpg(), "--output", str(exported), "--export")
        return base64.b64encode(exported.read_bytes()).decode()

    def sign(self, data: bytes) -> bytes:
        """Return a detached signature."""
        plain, signed = self.home / "data", self.home / "data.sig"
        plain.write_bytes(data)
        sh(*self._gpg(), "--yes", "--output", str(signed), "--detach-sign", str(plain))
        return signed.read_bytes()

    def _gpg(self) -> tuple[str, ...]:
        return "gpg", "--homedir", str(self.home), "--batch", "--quiet", "--pinentry-mode", "loopback"


class ReleaseServer:
    """Everything that may be downloaded, by path; `asked` is what was."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self.files: dict[str, bytes] = {}
        self.asked: list[str] = []

    def add(self, product: str, version: str, program: bytes, signer: Signer | None = None) -> None:
        """Release one program as a zip archive, proven as HashiCorp proves its own; `signer` is another than this server's."""
        archive = f"{product}_{version}_linux_{ARCHITECTURE}.zip"
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as out:
            out.writestr(product, program)
        digest = hashlib.sha256(packed.getvalue()).hexdigest()
        sums = f"{'0' * 64}  {product}_{version}_linux_arm64.zip\n{digest}  {archive}\n".encode()
        base = f"/{product}/{version}"
        self.files[f"{base}/{archive}"] = packed.getvalue()
        self.files[f"{base}/{product}_{version}_SHA256SUMS"] = sums
        self.files[f"{base}/{product}_{version}_SHA256SUMS.sig"] = (signer or self._signer).sign(sums)

    def add_cni(self) -> str:
        """Release CNI plugins that do nothing; return the archive's digest, as the knob `cni` pins it."""
        packed = io.BytesIO()
        with tarfile.open(fileobj=packed, mode="w:gz") as out:
            for name in ("bridge", "firewall", "host-local", "loopback", "portmap"):
                told = tarfile.TarInfo(f"./{name}")
                program = b"#!/bin/sh\nexit 0\n"
                told.size, told.mode = len(program), 0o755
                out.addfile(told, io.BytesIO(program))
        path = f"/containernetworking/plugins/releases/download/v{CNI_VERSION}"
        self.files[f"{path}/cni-plugins-linux-{ARCHITECTURE}-v{CNI_VERSION}.tgz"] = packed.getvalue()
        return hashlib.sha256(packed.getvalue()).hexdigest()

    def mirror(self, cni_digest: str) -> str:
        """Return what a deployment says to have its machines trust this server as they trust HashiCorp's (Bicep text)."""
        signer = f"{{ key: '{self._signer.ring()}', fingerprint: '{self._signer.fingerprint()}' }}"
        cni = f"{{ version: '{CNI_VERSION}', amd64: '{cni_digest}', arm64: '{'0' * 64}' }}"
        return f"{{ signer: {signer}, cni: {cni} }}"

    def handle(self, request: Request) -> Response:
        """Answer one download."""
        self.asked.append(request.path)
        found = self.files.get(request.path)
        if found is None:
            return Response(404)
        return Response(200, {"Content-Type": "application/octet-stream"}, found)
