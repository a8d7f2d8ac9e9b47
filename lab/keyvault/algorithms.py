"""What Key Vault's algorithm names mean (https://learn.microsoft.com/azure/key-vault/keys/about-keys-details)."""

from __future__ import annotations

import base64
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature

from lab.keyvault.errors import bad_parameter

type Key = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey
type Padding = padding.AsymmetricPadding

CURVES: dict[str, type[ec.EllipticCurve]] = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "P-521": ec.SECP521R1}
HASHES: dict[str, type[hashes.HashAlgorithm]] = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
EC_ALGORITHMS = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
"""Each elliptic algorithm belongs to one curve."""


def apply(operation: str, key: Key, algorithm: str, value: bytes, body: dict[str, Any]) -> bytes | bool:
    """Use a key; `value` is the digest to sign, or the bytes to wrap. Elliptic signatures are raw r and s, not DER."""
    if operation in {"sign", "verify"}:
        digest = _digest(algorithm, value)
        if operation == "sign":
            return _sign(key, algorithm, value, digest)
        return _verify(key, algorithm, value, digest, _signature(body))
    if not isinstance(key, rsa.RSAPrivateKey):
        raise _unfit(algorithm)
    pad = _encryption(algorithm)
    if operation in {"encrypt", "wrapKey"}:
        return key.public_key().encrypt(value, pad)
    try:
        return key.decrypt(value, pad)
    except ValueError as exc:
        raise bad_parameter("The parameter is incorrect.") from exc


def _digest(algorithm: str, value: bytes) -> hashes.HashAlgorithm:
    kind = HASHES.get(algorithm[2:])
    if kind is None or algorithm[:2] not in {"RS", "PS", "ES"}:
        raise _unfit(algorithm)
    digest = kind()
    if len(value) != digest.digest_size:
        raise bad_parameter(
            f"Invalid length of 'value': {len(value)} bytes. {algorithm} requires {digest.digest_size}."
        )
    return digest


def _sign(key: Key, algorithm: str, value: bytes, digest: hashes.HashAlgorithm) -> bytes:
    if isinstance(key, rsa.RSAPrivateKey):
        return key.sign(value, _signing(algorithm, digest), Prehashed(digest))
    _check_curve(key, algorithm)
    r, s = decode_dss_signature(key.sign(value, ec.ECDSA(Prehashed(digest))))
    size = (key.key_size + 7) // 8
    return r.to_bytes(size) + s.to_bytes(size)


def _verify(key: Key, algorithm: str, value: bytes, digest: hashes.HashAlgorithm, signature: bytes) -> bool:
    try:
        if isinstance(key, rsa.RSAPrivateKey):
            key.public_key().verify(signature, value, _signing(algorithm, digest), Prehashed(digest))
        else:
            _check_curve(key, algorithm)
            half = len(signature) // 2
            r, s = int.from_bytes(signature[:half]), int.from_bytes(signature[half:])
            key.public_key().verify(encode_dss_signature(r, s), value, ec.ECDSA(Prehashed(digest)))
    except InvalidSignature:
        return False
    return True


def _signing(algorithm: str, digest: hashes.HashAlgorithm) -> Padding:
    if algorithm.startswith("RS"):
        return padding.PKCS1v15()
    if algorithm.startswith("PS"):
        return padding.PSS(padding.MGF1(digest), digest.digest_size)
    raise _unfit(algorithm)


def _encryption(algorithm: str) -> Padding:
    if algorithm == "RSA1_5":
        return padding.PKCS1v15()
    kind = {"RSA-OAEP": hashes.SHA1, "RSA-OAEP-256": hashes.SHA256}.get(algorithm)
    if kind is None:
        raise _unfit(algorithm)
    return padding.OAEP(padding.MGF1(kind()), kind(), None)


def _check_curve(key: ec.EllipticCurvePrivateKey, algorithm: str) -> None:
    wanted = EC_ALGORITHMS.get(algorithm)
    if wanted is None or CURVES[wanted].name != key.curve.name:
        raise _unfit(algorithm)


def _signature(body: dict[str, Any]) -> bytes:
    text = str(body.get("digest", ""))
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def _unfit(algorithm: str) -> Exception:
    return bad_parameter(f"Key and signing key type mismatch or unsupported algorithm: {algorithm}")
