"""Keys that never leave: made, rotated and used by name (https://learn.microsoft.com/rest/api/keyvault/keys)."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from lab.http import Response
from lab.keyvault.algorithms import CURVES, Key, apply
from lab.keyvault.call import Route
from lab.keyvault.errors import VaultError, bad_parameter, disabled
from lab.keyvault.lifecycle import Lifecycle
from lab.keyvault.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from lab.keyvault.call import Call
    from lab.keyvault.shelf import Version

RSA_OPERATIONS = ["encrypt", "decrypt", "sign", "verify", "wrapKey", "unwrapKey"]
EC_OPERATIONS = ["sign", "verify"]
PATHS = {"wrapkey": "wrapKey", "unwrapkey": "unwrapKey"}
"""What the path calls an operation, where `key_ops` spells it otherwise."""


@dataclass(slots=True)
class KeyContent:
    """A private key, what it may be used for, and the words it was asked for with."""

    key: Key
    kty: str
    operations: list[str] = field(default_factory=list)


def make_key(body: dict[str, Any]) -> KeyContent:
    """Make a key as a body asks: `kty` with `crv` or `key_size`, P-256 and 2048 bits unless said."""
    kty, operations = str(body.get("kty", "")), body.get("key_ops")
    if kty.removesuffix("-HSM") == "EC":
        curve = CURVES.get(body.get("crv") or "P-256")
        if curve is None:
            raise bad_parameter(f"Property crv has invalid value: {body['crv']}")
        return KeyContent(ec.generate_private_key(curve()), kty, operations or EC_OPERATIONS)
    if kty.removesuffix("-HSM") == "RSA":
        size = body.get("key_size") or 2048
        if size not in {2048, 3072, 4096}:
            raise bad_parameter(f"Property key_size has invalid value: {size}")
        return KeyContent(rsa.generate_private_key(65537, size), kty, operations or RSA_OPERATIONS)
    raise bad_parameter(f"Property kty has invalid value: {kty}")


class KeyStore:
    """The keys of one vault."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.shelf: Shelf[KeyContent] = Shelf("Key", now)
        self._now = now
        self._lifecycle = Lifecycle(self.shelf, "keys", _item, _whole, identify="kid")

    def routes(self) -> list[Route]:
        """Routes from the most special to the most general."""
        one, version = "/keys/(?P<name>[^/]+)", "(?:/(?P<version>[^/]*))?"
        used = [
            Route("POST", f"{one}{version}/{path}", f"vaults/keys/{action}/action", self._use(path))
            for path, action in (
                ("sign", "sign"),
                ("verify", "verify"),
                ("wrapkey", "wrap"),
                ("unwrapkey", "unwrap"),
                ("encrypt", "encrypt"),
                ("decrypt", "decrypt"),
            )
        ]
        return [
            Route("POST", f"{one}/create", "vaults/keys/create/action", self._create),
            Route("POST", f"{one}/rotate", "vaults/keys/rotate/action", self._rotate),
            *self._lifecycle.routes(),
            *used,
            Route("GET", one + version, "vaults/keys/read", self._get),
            Route("PATCH", one + version, "vaults/keys/update/action", self._patch),
        ]

    def _create(self, call: Call) -> Response:
        body = call.body()
        return Response.of_json(200, _whole(call, self.shelf.add(call.name, make_key(body), body)))

    def _rotate(self, call: Call) -> Response:
        """Make a further version of the same kind and size."""
        last = self.shelf.get(call.name)
        content = make_key({"kty": last.content.kty, "key_ops": last.content.operations, **_size(last.content.key)})
        return Response.of_json(200, _whole(call, self.shelf.add(call.name, content, {"tags": last.tags})))

    def _get(self, call: Call) -> Response:
        return Response.of_json(200, _whole(call, self.shelf.get(call.name, call.version)))

    def _patch(self, call: Call) -> Response:
        body, version = call.body(), self.shelf.get(call.name, call.version)
        version.change(body, self._now())
        version.content.operations = body.get("key_ops") or version.content.operations
        return Response.of_json(200, _whole(call, version))

    def _use(self, path: str) -> Callable[[Call], Response]:
        operation = PATHS.get(path, path)

        def used(call: Call) -> Response:
            version, body = self.shelf.get(call.name, call.version), call.body()
            if not version.enabled:
                raise disabled("Key", operation)
            if operation not in version.content.operations:
                message = f"Operation {operation} is not permitted on this key."
                raise VaultError(403, "Forbidden", message, "KeyOperationForbidden")
            done = apply(operation, version.content.key, str(body.get("alg")), _decoded(body, "value"), body)
            if isinstance(done, bool):
                return Response.of_json(200, {"value": done})
            return Response.of_json(200, {"kid": _kid(call, version), "value": encoded(done)})

        return used


def encoded(data: bytes) -> str:
    """Base64 for URLs, without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(body: dict[str, Any], name: str) -> bytes:
    text = body.get(name)
    if not isinstance(text, str):
        raise bad_parameter(f"Property {name} is required")
    try:
        return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except ValueError as exc:
        raise bad_parameter(f"Property {name} has invalid value: {text}") from exc


def _size(key: Key) -> dict[str, Any]:
    if isinstance(key, rsa.RSAPrivateKey):
        return {"key_size": key.key_size}
    return {"crv": _curve(key)}


def _curve(key: ec.EllipticCurvePrivateKey) -> str:
    return next(name for name, curve in CURVES.items() if curve.name == key.curve.name)


def _public(key: Key) -> dict[str, Any]:
    """Render the public half as a JSON web key."""
    if isinstance(key, rsa.RSAPrivateKey):
        numbers = key.public_key().public_numbers()
        return {"n": encoded(_bytes(numbers.n, key.key_size)), "e": encoded(_bytes(numbers.e, 24))}
    point, size = key.public_key().public_numbers(), key.key_size
    return {"crv": _curve(key), "x": encoded(_bytes(point.x, size)), "y": encoded(_bytes(point.y, size))}


def _bytes(number: int, bits: int) -> bytes:
    return number.to_bytes((bits + 7) // 8)


def _kid(call: Call, version: Version[KeyContent]) -> str:
    return f"{call.vault_url}/keys/{version.name}/{version.id}"


def _item(call: Call, version: Version[KeyContent]) -> dict[str, Any]:
    attributes = version.attributes({"exportable": False, "hsmPlatform": "0"})
    view: dict[str, Any] = {"kid": _kid(call, version), "attributes": attributes}
    view |= {"tags": version.tags} if version.tags else {}
    return {**view, "managed": True} if version.managed else view


def _whole(call: Call, version: Version[KeyContent]) -> dict[str, Any]:
    item, content = _item(call, version), version.content
    kid = item.pop("kid")
    key = {"kid": kid, "kty": content.kty, "key_ops": content.operations, **_public(content.key)}
    return {"key": key, **item}
