"""The state account's blob service, as far as a server's keystore command calls it: one container of small blobs.

https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

from lab.azure.tokens import InvalidTokenError
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.tokens import Tenant
    from lab.http import Request

CONTAINER = "/keystores"
AUDIENCES = frozenset({"https://storage.azure.com", "https://storage.azure.com/"})


class Deposits:
    """Blobs by name; only the identities in `writers` (object ids) come in. Thread-safe."""

    def __init__(self, tenant: Tenant, writers: frozenset[str]) -> None:
        self._tenant, self._writers = tenant, writers
        self._lock = threading.Lock()
        self.blobs: dict[str, bytes] = {}

    def handle(self, request: Request) -> Response:
        """Answer one request."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        try:
            caller = self._tenant.check(token, AUDIENCES)["oid"] if scheme == "Bearer" else ""
        except InvalidTokenError:
            return Response(401, {"x-ms-error-code": "InvalidAuthenticationInfo"})
        if caller not in self._writers:
            return Response(403, {"x-ms-error-code": "AuthorizationPermissionMismatch"})
        if request.path.split("/")[1:2] != [CONTAINER[1:]]:
            return Response(404, {"x-ms-error-code": "ContainerNotFound"})
        with self._lock:
            return self._answer(request, request.path.removeprefix(CONTAINER).lstrip("/"))

    def _answer(self, request: Request, name: str) -> Response:
        if request.query.get("comp") == "list":
            prefix = request.query.get("prefix", "")
            names = [escape(each) for each in sorted(self.blobs) if each.startswith(prefix)]
            listed = "".join(f"<Blob><Name>{each}</Name></Blob>" for each in names)
            text = f"<EnumerationResults><Blobs>{listed}</Blobs></EnumerationResults>"
            return Response(200, {"Content-Type": "application/xml"}, text.encode())
        if request.method == "PUT":
            if request.headers.get("if-none-match") == "*" and name in self.blobs:
                return Response(409, {"x-ms-error-code": "BlobAlreadyExists"})
            self.blobs[name] = request.body
            return Response(201)
        body = self.blobs.get(name)
        return Response(404, {"x-ms-error-code": "BlobNotFound"}) if body is None else Response(200, {}, body)
