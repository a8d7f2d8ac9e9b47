"""Certificates: a key that stays, a request for someone's signature, and the merge of what came back.

With issuer `Unknown` a certificate stays pending until a signed chain is merged; `Self` is done at once. Each version has a
key and a secret of the same name and version (https://learn.microsoft.com/azure/key-vault/certificates/create-certificate).
"""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from lab.http import Response
from lab.keyvault import x509_building as building
from lab.keyvault.call import Route, epoch
from lab.keyvault.errors import VaultError, bad_parameter
from lab.keyvault.key_store import KeyContent, encoded, make_key
from lab.keyvault.lifecycle import Lifecycle
from lab.keyvault.shelf import Shelf

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from cryptography import x509

    from lab.keyvault.call import Call
    from lab.keyvault.key_store import KeyStore
    from lab.keyvault.secret_store import SecretStore
    from lab.keyvault.shelf import Version

IN_PROGRESS = "A new key vault certificate can not be created or imported while a pending key vault certificate's status is inProgress."


@dataclass(slots=True)
class CertificateContent:
    """The leaf and the policy it was made by."""

    leaf: x509.Certificate
    policy: dict[str, Any]


@dataclass(slots=True)
class Pending:
    """A certificate on its way."""

    name: str
    key: KeyContent
    request: x509.CertificateSigningRequest
    policy: dict[str, Any]
    body: dict[str, Any]
    request_id: str
    status: str = "inProgress"
    cancelled: bool = False

    @property
    def issuer(self) -> str:
        """`Unknown`, `Self` or the name of a configured issuer."""
        return str(self.policy["issuer"]["name"])


class CertificateStore:
    """The certificates of one vault."""

    def __init__(self, now: Callable[[], datetime], keys: KeyStore, secrets: SecretStore) -> None:
        self.shelf: Shelf[CertificateContent] = Shelf("Certificate", now)
        self._now, self._keys, self._secrets = now, keys, secrets
        self._pending: dict[str, Pending] = {}
        self._lifecycle = Lifecycle(self.shelf, "certificates", _item, _whole)

    def routes(self) -> list[Route]:
        """Routes from the most special to the most general."""
        one, version = "/certificates/(?P<name>[^/]+)", "(?:/(?P<version>[^/]*))?"
        action = "vaults/certificates"
        return [
            Route("POST", f"{one}/create", f"{action}/create/action", self._create),
            Route("POST", f"{one}/pending/merge", f"{action}/create/action", self._merge),
            Route("GET", f"{one}/pending", f"{action}/read", self._get_pending),
            Route("PATCH", f"{one}/pending", f"{action}/create/action", self._cancel),
            Route("DELETE", f"{one}/pending", f"{action}/delete", self._forget),
            Route("GET", f"{one}/policy", f"{action}/read", self._policy),
            Route("DELETE", one, f"{action}/delete", self._delete),
            Route("POST", "/deletedcertificates/(?P<name>[^/]+)/recover", f"{action}/recover/action", self._recover),
            Route("DELETE", "/deletedcertificates/(?P<name>[^/]+)", f"{action}/purge/action", self._purge),
            *self._lifecycle.routes(),
            Route("GET", one + version, f"{action}/read", self._get),
            Route("PATCH", one + version, f"{action}/update/action", self._patch),
        ]

    def _create(self, call: Call) -> Response:
        held = self._pending.get(call.name.lower())
        if held and held.status == "inProgress":
            raise VaultError(409, "Forbidden", IN_PROGRESS)
        self.shelf.refuse_deleted(call.name)
        body = call.body()
        policy = building.with_defaults(body.get("policy") or self._last_policy(call.name), epoch(self._now()))
        key = self._key_for(call.name, policy)
        pending = Pending(call.name, key, building.request(key.key, policy), policy, body, uuid4().hex)
        self._pending[call.name.lower()] = pending
        if pending.issuer == "Self":
            self._complete(pending, [building.self_signed(key.key, policy, self._now())])
        location = f"{_pending_id(call)}?api-version={call.request.query.get('api-version')}"
        return Response.of_json(202, self._pending_view(call, pending, started=True), {"Location": location})

    def _last_policy(self, name: str) -> dict[str, Any]:
        if not self.shelf.has(name):
            raise bad_parameter("Property policy is required")
        return self.shelf.get(name).content.policy

    def _key_for(self, name: str, policy: dict[str, Any]) -> KeyContent:
        if policy["key_props"]["reuse_key"] and self._keys.shelf.has(name):
            return self._keys.shelf.get(name).content
        return make_key(policy["key_props"])

    def _complete(self, pending: Pending, chain: list[x509.Certificate]) -> Version[CertificateContent]:
        """Put the certificate, its key and its secret on their shelves, all under one version."""
        pending.status = "completed"
        content = CertificateContent(chain[0], pending.policy)
        version = self.shelf.add(pending.name, content, pending.body)
        version.not_before, version.expires = epoch(chain[0].not_valid_before_utc), epoch(chain[0].not_valid_after_utc)
        more = {"id": version.id, "managed": True}
        self._keys.shelf.add(pending.name, pending.key, {}, **more)
        kind = pending.policy["secret_props"]["contentType"]
        exported = pending.key.key if pending.policy["key_props"]["exportable"] else None
        value = building.bundle(kind, exported, chain)
        self._secrets.set(pending.name, value, {"contentType": kind}, **more)
        return version

    def _merge(self, call: Call) -> Response:
        pending, body = self._pending_of(call), call.body()
        if pending.issuer != "Unknown":
            message = (
                f"Merge is forbidden on pending object created with issuer : {pending.issuer} while it is in progess."
            )
            raise VaultError(403, "Forbidden", message)
        chain = building.read_chain(body.get("x5c") or [], pending.request.public_key())
        version = self._complete(pending, chain)
        version.change({key: body[key] for key in ("tags", "attributes") if key in body}, self._now())
        del self._pending[call.name.lower()]
        return Response.of_json(201, _whole(call, version))

    def _pending_of(self, call: Call) -> Pending:
        pending = self._pending.get(call.name.lower())
        if pending is None:
            raise VaultError(404, "PendingCertificateNotFound", f"Pending certificate not found: {call.name}")
        return pending

    def _get_pending(self, call: Call) -> Response:
        return Response.of_json(200, self._pending_view(call, self._pending_of(call)))

    def _cancel(self, call: Call) -> Response:
        pending = self._pending_of(call)
        pending.cancelled = bool(call.body().get("cancellation_requested"))
        pending.status = "cancelled" if pending.cancelled and pending.status == "inProgress" else pending.status
        return Response.of_json(200, self._pending_view(call, pending))

    def _forget(self, call: Call) -> Response:
        view = self._pending_view(call, self._pending_of(call))
        del self._pending[call.name.lower()]
        return Response.of_json(200, view)

    def _pending_view(self, call: Call, pending: Pending, *, started: bool = False) -> dict[str, Any]:
        """Render an operation; the answer to its start always says that it is in progress."""
        view: dict[str, Any] = {
            "id": _pending_id(call),
            "issuer": {"name": pending.issuer},
            "csr": base64.b64encode(building.der(pending.request)).decode(),
            "cancellation_requested": pending.cancelled,
            "status": "inProgress" if started else pending.status,
        }
        if view["status"] == "inProgress":
            view["status_details"] = building.DETAILS[pending.issuer == "Unknown"]
        if view["status"] == "completed":
            view["target"] = f"{call.vault_url}/certificates/{pending.name}"
        return {**view, "request_id": pending.request_id}

    def _policy(self, call: Call) -> Response:
        held = self._pending.get(call.name.lower())
        policy = held.policy if held else self.shelf.get(call.name).content.policy
        return Response.of_json(200, _policy_view(call, call.name, policy))

    def _get(self, call: Call) -> Response:
        return Response.of_json(200, _whole(call, self.shelf.get(call.name, call.version)))

    def _patch(self, call: Call) -> Response:
        version = self.shelf.get(call.name, call.version)
        version.change(call.body(), self._now())
        return Response.of_json(200, _whole(call, version))

    def _delete(self, call: Call) -> Response:
        response = self._lifecycle.delete(call)
        self._keys.shelf.delete(call.name)
        self._secrets.shelf.delete(call.name)
        return response

    def _recover(self, call: Call) -> Response:
        response = self._lifecycle.recover(call)
        self._keys.shelf.recover(call.name)
        self._secrets.shelf.recover(call.name)
        return response

    def _purge(self, call: Call) -> Response:
        response = self._lifecycle.purge(call)
        self._keys.shelf.purge(call.name)
        self._secrets.shelf.purge(call.name)
        return response


def _pending_id(call: Call) -> str:
    return f"{call.vault_url}/certificates/{call.name}/pending"


def _policy_view(call: Call, name: str, policy: dict[str, Any]) -> dict[str, Any]:
    return {"id": f"{call.vault_url}/certificates/{name}/policy", **policy}


def _item(call: Call, version: Version[CertificateContent]) -> dict[str, Any]:
    view = {
        "id": f"{call.vault_url}/certificates/{version.name}/{version.id}",
        "x5t": encoded(building.thumbprint(version.content.leaf)),
        "attributes": version.attributes(),
        "subject": "",
    }
    return {**view, "tags": version.tags} if version.tags else view


def _whole(call: Call, version: Version[CertificateContent]) -> dict[str, Any]:
    item = _item(call, version)
    del item["subject"]
    own = f"{version.name}/{version.id}"
    return {
        **item,
        "kid": f"{call.vault_url}/keys/{own}",
        "sid": f"{call.vault_url}/secrets/{own}",
        "cer": base64.b64encode(building.der(version.content.leaf)).decode(),
        "policy": _policy_view(call, version.name, version.content.policy),
        "pending": {"id": f"{call.vault_url}/certificates/{version.name}/pending"},
    }
