"""A way into the router without a socket: a transport adapter for `requests`, for simulators with a fake clock."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, override

from requests import PreparedRequest, Response, Session
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict

from lab.nomad.http.message import Request

if TYPE_CHECKING:
    from lab.nomad.http.router import Router


class InProcess(BaseAdapter):
    """Answers the requests of a session from a router. Nothing waits: a blocking query is answered as things stand."""

    def __init__(self, router: Router) -> None:
        super().__init__()
        self.router = router
        self.calls = 0
        """How many requests were answered."""

    @override
    def send(self, request: PreparedRequest, *_args: Any, **_kwargs: Any) -> Response:
        """Answer one prepared request."""
        self.calls += 1
        body = request.body or b""
        raw = body.encode() if isinstance(body, str) else bytes(body)
        headers = {str(name): str(value) for name, value in request.headers.items()}
        answered = self.router.handle(Request.of(request.method or "GET", request.url or "", headers, raw))
        response = Response()
        response.status_code = answered.status
        response.headers = CaseInsensitiveDict(answered.headers)
        response.encoding = "utf-8"
        response.url = request.url or ""
        response.request = request
        response.raw = BytesIO(answered.body)
        response.reason = ""
        return response

    @override
    def close(self) -> None:
        """Hold nothing, close nothing."""


def session(router: Router, base_url: str = "https://nomad.lab:4646") -> Session:
    """Answer a session whose requests to `base_url` are answered by the router."""
    made = Session()
    made.trust_env = False
    made.mount(base_url, InProcess(router))
    return made
