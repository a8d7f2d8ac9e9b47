"""A private key that is somewhere else: cryptography's builders sign with it as with any other, and each signature is a call.

`azure-keyvault-keys` has such a wrapper for RSA keys only. Key Vault signs a digest and answers raw r and s
(https://learn.microsoft.com/azure/key-vault/keys/about-keys-details), which X.509 wants as DER.
"""

from typing import TYPE_CHECKING, Any, NoReturn, Self, override

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature

if TYPE_CHECKING:
    from azure.keyvault.keys import KeyVaultKey
    from azure.keyvault.keys.crypto import CryptographyClient

CURVES: dict[str, tuple[type[ec.EllipticCurve], type[hashes.HashAlgorithm], str]] = {
    "P-256": (ec.SECP256R1, hashes.SHA256, "ES256"),
    "P-384": (ec.SECP384R1, hashes.SHA384, "ES384"),
    "P-521": (ec.SECP521R1, hashes.SHA512, "ES512"),
}
"""What each curve signs: one hash, one algorithm."""


def public_key(key: "KeyVaultKey") -> ec.EllipticCurvePublicKey:
    """The public half of a key. Raises ValueError for what is no elliptic key."""
    web: Any = key.key
    curve = CURVES.get(str(getattr(web.crv, "value", web.crv)))
    if curve is None or not web.x or not web.y:
        raise ValueError(f"it must be an elliptic key (P-256, P-384 or P-521), not {web.kty}")
    return ec.EllipticCurvePublicNumbers(int.from_bytes(web.x), int.from_bytes(web.y), curve[0]()).public_key()


class RemoteKey(ec.EllipticCurvePrivateKey):
    """The private key behind a client: it signs, and gives nothing of itself away."""

    def __init__(self, key: "KeyVaultKey", client: "CryptographyClient") -> None:
        self._public = public_key(key)
        self._client = client

    @override
    def public_key(self) -> ec.EllipticCurvePublicKey:
        return self._public

    @property
    @override
    def curve(self) -> ec.EllipticCurve:
        return self._public.curve

    @property
    @override
    def key_size(self) -> int:
        return self._public.key_size

    @override
    def sign(self, data: Any, signature_algorithm: ec.EllipticCurveSignatureAlgorithm) -> bytes:
        """Hash here, sign there. One call. The hash must be the curve's own."""
        from azure.keyvault.keys.crypto import SignatureAlgorithm  # noqa: PLC0415 -- an SDK, loaded when first used

        kind, name = next((hash_, name) for curve, hash_, name in CURVES.values() if isinstance(self.curve, curve))
        if not isinstance(signature_algorithm.algorithm, kind):
            raise TypeError(f"{name} signs {kind.name} only")
        digest = hashes.Hash(kind())
        digest.update(data)
        raw = self._client.sign(SignatureAlgorithm(name), digest.finalize()).signature
        half = len(raw) // 2
        return encode_dss_signature(int.from_bytes(raw[:half]), int.from_bytes(raw[half:]))

    @override
    def exchange(self, algorithm: ec.ECDH, peer_public_key: ec.EllipticCurvePublicKey) -> bytes:
        self._stays()

    @override
    def private_numbers(self) -> ec.EllipticCurvePrivateNumbers:
        self._stays()

    @override
    def private_bytes(self, encoding: Any, format: Any, encryption_algorithm: Any) -> bytes:
        self._stays()

    @override
    def __copy__(self) -> Self:
        return self

    @override
    def __deepcopy__(self, memo: dict[Any, Any]) -> Self:
        return self

    def _stays(self) -> NoReturn:
        raise TypeError("this key never leaves its vault")
