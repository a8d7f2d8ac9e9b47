"""The X.509 side of certificates: requests by a policy, self-signed leaves, chains that come back, what secrets hold."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.x509.oid import ExtendedKeyUsageOID

from lab.keyvault.errors import bad_parameter

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from lab.keyvault.algorithms import Key

DETAILS = {
    False: (
        "Pending certificate created. Certificate request is in progress. This may take some time based on the issuer "
        "provider. Please check again later."
    ),
    True: "Pending certificate created. Please Perform Merge to complete the request.",
}
SKEW = timedelta(minutes=10)
BOTH_SIDES = [ExtendedKeyUsageOID.SERVER_AUTH.dotted_string, ExtendedKeyUsageOID.CLIENT_AUTH.dotted_string]
USAGES = {
    "digitalSignature": "digital_signature",
    "nonRepudiation": "content_commitment",
    "keyEncipherment": "key_encipherment",
    "dataEncipherment": "data_encipherment",
    "keyAgreement": "key_agreement",
    "keyCertSign": "key_cert_sign",
    "cRLSign": "crl_sign",
    "encipherOnly": "encipher_only",
    "decipherOnly": "decipher_only",
}
PKCS12, PEM = "application/x-pkcs12", "application/x-pem-file"


def with_defaults(policy: dict[str, Any], now: int) -> dict[str, Any]:
    """Fill a policy up as Key Vault does."""
    if not policy.get("issuer", {}).get("name"):
        raise bad_parameter("Property issuer.name is required")
    key = {"exportable": True, "kty": "RSA", "reuse_key": False, **(policy.get("key_props") or {})}
    if key["kty"].startswith("RSA"):
        key.setdefault("key_size", 2048)
    asked = policy.get("x509_props") or {}
    usage = sorted(asked.get("key_usage") or ["digitalSignature", "keyEncipherment"])
    subject = {"ekus": BOTH_SIDES, "validity_months": 12, **asked, "key_usage": usage}
    return {
        "key_props": key,
        "secret_props": policy.get("secret_props") or {"contentType": PKCS12},
        "x509_props": {**subject, "basic_constraints": {"ca": False}},
        "lifetime_actions": policy.get("lifetime_actions")
        or [{"trigger": {"lifetime_percentage": 80}, "action": {"action_type": "EmailContacts"}}],
        "issuer": policy["issuer"],
        "attributes": {"enabled": True, "created": now, "updated": now},
    }


def request(key: Key, policy: dict[str, Any]) -> x509.CertificateSigningRequest:
    """Make the signing request that a policy describes."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_subject(policy))
    for extension, critical in _extensions(policy):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def self_signed(key: Key, policy: dict[str, Any], now: datetime) -> x509.Certificate:
    """Make the leaf of a policy whose issuer is `Self`."""
    months = int(policy["x509_props"]["validity_months"])
    builder = x509.CertificateBuilder().subject_name(_subject(policy)).issuer_name(_subject(policy))
    builder = builder.public_key(key.public_key()).serial_number(x509.random_serial_number())
    builder = builder.not_valid_before(now - SKEW).not_valid_after(now + timedelta(days=30 * months))
    for extension, critical in _extensions(policy):
        builder = builder.add_extension(extension, critical)
    return builder.sign(key, hashes.SHA256())


def read_chain(x5c: Sequence[str], public_key: object) -> list[x509.Certificate]:
    """Read a chain to merge, and put first the leaf, which must be for the pending key."""
    problem = bad_parameter("Unable to parse X5c certificate chain and locate leaf certificate")
    try:
        chain = [x509.load_der_x509_certificate(base64.b64decode(each)) for each in x5c]
    except ValueError as exc:
        raise problem from exc
    leaves = [each for each in chain if each.public_key() == public_key]
    if not leaves:
        raise problem
    return [leaves[0], *(each for each in chain if each is not leaves[0])]


def bundle(kind: str, key: Key | None, chain: Sequence[x509.Certificate]) -> str:
    """Make the value of a certificate's secret: PEM with the key first, or PKCS #12 without a password."""
    if kind == PEM:
        return ("" if key is None else pem_of_key(key)) + "".join(pem(each) for each in chain)
    if kind != PKCS12:
        raise bad_parameter(f"Property secret_props.contentType has invalid value: {kind}")
    archive = pkcs12.serialize_key_and_certificates(
        None, key, chain[0] if key else None, chain[1:] if key else chain, serialization.NoEncryption()
    )
    return base64.b64encode(archive).decode()


def pem_of_key(key: Key) -> str:
    """Render a private key as Key Vault's PEM secrets have it."""
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


def pem(certificate: x509.Certificate) -> str:
    """Render a certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def der(thing: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """Render as DER."""
    return thing.public_bytes(serialization.Encoding.DER)


def thumbprint(certificate: x509.Certificate) -> bytes:
    """Return the SHA-1 of the DER form, which names certificates and secures nothing."""
    return certificate.fingerprint(hashes.SHA1())  # noqa: S303 - x5t is SHA-1 by definition


def _subject(policy: dict[str, Any]) -> x509.Name:
    text = ",".join(part.strip() for part in str(policy["x509_props"].get("subject", "")).split(","))
    try:
        return x509.Name.from_rfc4514_string(text)
    except ValueError as exc:
        raise bad_parameter(f"Property policy has invalid value: X509 subject {text}") from exc


def _extensions(policy: dict[str, Any]) -> list[tuple[x509.ExtensionType, bool]]:
    asked = policy["x509_props"]
    usage = {parameter: name in asked["key_usage"] for name, parameter in USAGES.items()}
    if not usage["key_agreement"]:
        usage |= {"encipher_only": False, "decipher_only": False}
    found: list[tuple[x509.ExtensionType, bool]] = [
        (x509.KeyUsage(**usage), True),
        (x509.BasicConstraints(ca=False, path_length=None), False),
    ]
    if asked["ekus"]:
        found.append((x509.ExtendedKeyUsage([x509.ObjectIdentifier(each) for each in asked["ekus"]]), False))
    names = [x509.DNSName(name) for name in (asked.get("sans") or {}).get("dns_names") or ()]
    if names:
        found.append((x509.SubjectAlternativeName(names), False))
    return found
