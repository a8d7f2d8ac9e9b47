"""The lab's certificate authority: one CA, and leaf certificates for whatever listens in the lab.

Everything in the lab that speaks TLS (ARM, Key Vault, Azurite, Nomad, Consul) takes its certificate from here, and
everything that calls trusts exactly this CA. The extensions are the ones that Python's `VERIFY_X509_STRICT` and Go's
verifier both demand: key usage, subject and authority key identifiers, and names only as subject alternative names.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from pathlib import Path

CLOCK_SKEW = timedelta(hours=1)
LIFETIME = timedelta(days=30)
OWNER_ONLY = 0o600


@dataclass(frozen=True, slots=True)
class Leaf:
    """Where a certificate and its private key lie, both PEM; `certificate` holds the leaf alone."""

    certificate: Path
    key: Path


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA with its files in one directory; `certificate` is the PEM bundle that callers trust."""

    directory: Path
    certificate: Path
    _certificate: x509.Certificate
    _key: ec.EllipticCurvePrivateKey
    _now: datetime

    @classmethod
    def create(cls, directory: Path, now: datetime, name: str = "nomad-keeper lab CA") -> Authority:
        """Make a new CA valid from an hour before `now` for 30 days; write `ca.pem` and `ca-key.pem` to `directory`."""
        directory.mkdir(parents=True, exist_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _subject(name)
        certificate = (
            _builder(subject, subject, key.public_key(), now)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_key_usage(signs_certificates=True), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False)
            .sign(key, hashes.SHA256())
        )
        path = directory / "ca.pem"
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(directory / "ca-key.pem", key)
        return cls(directory, path, certificate, key, now)

    def issue(self, file_name: str, *, names: Sequence[str] = (), addresses: Sequence[str] = ()) -> Leaf:
        """Issue a certificate for servers and clients alike; write `<file_name>.pem` and `<file_name>-key.pem`.

        At least one DNS name or IP address is needed. The same file name again replaces the files.
        """
        if not names and not addresses:
            raise ValueError("a leaf certificate needs at least one name or address")
        key = ec.generate_private_key(ec.SECP256R1())
        alternatives = [x509.DNSName(name) for name in names]
        alternatives += [x509.IPAddress(ip_address(address)) for address in addresses]
        certificate = (
            _builder(_subject((*names, *addresses)[0]), self._certificate.subject, key.public_key(), self._now)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(_key_usage(signs_certificates=False), critical=True)
            .add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
                critical=False,
            )
            .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        leaf = Leaf(self.directory / f"{file_name}.pem", self.directory / f"{file_name}-key.pem")
        leaf.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        _write_key(leaf.key, key)
        return leaf


def _subject(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name[:64])])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - CLOCK_SKEW)
        .not_valid_after(now + LIFETIME)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path.touch(mode=OWNER_ONLY)
    path.chmod(OWNER_ONLY)
    path.write_bytes(pem)
