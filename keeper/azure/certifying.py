"""X.509 as the keeper's CA makes and reads it; where the CA key is does not matter here, and it is never seen.

Agents verify each other with Go's rules, the node program with OpenSSL's, the keeper with OpenSSL's strict ones
(`keeper.trust`): so a CA says what it is in critical extensions, and every certificate names its issuer's key.
"""

import ipaddress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from keeper.core.certificates import Authority, Leaf, common_name

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cryptography.hazmat.primitives.asymmetric import ec

SKEW = timedelta(minutes=5)
"""Certificates begin a little before they are made: machines' clocks differ."""
P256, P384 = 256, 384


def identify(key: "ec.EllipticCurvePublicKey") -> str:
    """The id of the authority that a key makes: its subject key identifier, in hex."""
    return x509.SubjectKeyIdentifier.from_public_key(key).digest.hex()


def make_authority(key: "ec.EllipticCurvePrivateKey", now: datetime, ends: datetime) -> Authority:
    """Sign a CA certificate with the key itself. The same key always makes the same name, so its certificates can stand in for each other."""
    public = key.public_key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"nomad-keeper CA {identify(public)[:12]}")])
    made = (
        _builder(name, name, public, now, ends)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(certifies=True), critical=True)
        .sign(key, _hash_of(key))
    )
    return _authority(made)


def make_leaf(
    key: "ec.EllipticCurvePrivateKey",
    request: bytes,
    names: frozenset[str],
    *,
    issuer: Authority,
    now: datetime,
    ends: datetime,
) -> list[bytes]:
    """Sign for the key of a request (DER) and for just these names; what else the request asks for counts for nothing.

    DER: the certificate and its issuer. Raises ValueError when the request is not signed with its own key, or the CA key is not the issuer's.
    """
    asked = x509.load_der_x509_csr(request)
    if not asked.is_signature_valid or identify(key.public_key()) != issuer.id:
        raise ValueError("the signing request or the CA key is not what it should be")
    parent = x509.load_pem_x509_certificate(issuer.pem.encode())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name(names))])
    made = (
        _builder(subject, parent.subject, asked.public_key(), now, min(ends, issuer.ends))  # pyright: ignore[reportArgumentType] -- whatever key the vault made
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(certifies=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False)
        .add_extension(x509.SubjectAlternativeName(_general(names)), False)
        .add_extension(x509.AuthorityKeyIdentifier(bytes.fromhex(issuer.id), None, None), False)
        .sign(key, _hash_of(key))
    )
    return [made.public_bytes(Encoding.DER), parent.public_bytes(Encoding.DER)]


def read_authorities(bundle: str) -> tuple[Authority, ...]:
    """The authorities of a PEM bundle, oldest first. Raises ValueError when it holds none, or what is no CA."""
    try:
        return tuple(sorted(map(_authority, x509.load_pem_x509_certificates(bundle.encode())), key=_age))
    except x509.ExtensionNotFound as exc:
        raise ValueError(f"the bundle holds what is no CA: {exc}") from exc


def read_leaf(der: bytes) -> Leaf:
    """A certificate as deciding needs it. One that is not of any authority has an issuer that none is."""
    found = x509.load_der_x509_certificate(der)
    return Leaf(_names(found), _issuer(found), found.not_valid_before_utc, found.not_valid_after_utc)


def _authority(certificate: x509.Certificate) -> Authority:
    own = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    pem = certificate.public_bytes(Encoding.PEM).decode()
    return Authority(own.digest.hex(), certificate.not_valid_before_utc, certificate.not_valid_after_utc, pem)


def _age(authority: Authority) -> tuple[datetime, str]:
    return authority.begins, authority.id


def _issuer(certificate: x509.Certificate) -> str:
    try:
        named = certificate.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value.key_identifier
    except x509.ExtensionNotFound:
        return ""
    return named.hex() if named else ""


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(str(each.value) for each in found)


def _general(names: "Iterable[str]") -> list[x509.GeneralName]:
    return [_address(name) or x509.DNSName(name) for name in sorted(names)]


def _address(name: str) -> x509.IPAddress | None:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return None


def _builder(
    subject: x509.Name, issuer: x509.Name, key: "ec.EllipticCurvePublicKey", now: datetime, ends: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - SKEW)
        .not_valid_after(ends)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _hash_of(key: "ec.EllipticCurvePrivateKey") -> hashes.SHA256 | hashes.SHA384 | hashes.SHA512:
    """The hash that goes with the key's curve: Key Vault signs no other."""
    return hashes.SHA256() if key.key_size <= P256 else hashes.SHA384() if key.key_size <= P384 else hashes.SHA512()


def _usage(*, certifies: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not certifies,
        key_cert_sign=certifies,
        crl_sign=certifies,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )
