"""The real SDK clients against the model without a socket: a requests adapter, and azure-core's transport around it.

    transport = InProcessTransport(arm.handle, clock)
    client = ComputeManagementClient(StaticCredential(), cloud.subscription, transport=transport)

Time that Azure would take passes on the fake clock: waiting between polls, `Retry-After`, slow answers. A poller of the
SDK polls in a thread of its own from the moment it is made, and so moves the clock at once: pass `polling=False` where the
order of things matters, as a controller that never waits does anyway.
"""

from __future__ import annotations

import io
import threading
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import requests
from azure.core.credentials import AccessToken, AccessTokenInfo
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import HTTPAdapter
from urllib3.response import HTTPResponse

from lab.http import Request

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.clock import FakeClock
    from lab.http import Handler

    type Pass = Callable[[timedelta], object]

FAR_FUTURE = 4102444800
"""The first second of 2100: when the static token ends, whatever the clock says."""


class InProcessAdapter(HTTPAdapter):
    """Carries what requests would send to a handler. Mount it on a session for `https://` and `http://`."""

    def __init__(self, handler: Handler, pass_time: Pass | None = None) -> None:
        super().__init__()
        self._handler = handler
        self._pass_time = pass_time

    def send(self, request: requests.PreparedRequest, *_: object, **options: Any) -> requests.Response:  # noqa: ANN401 - the base class's options
        """Hand over one prepared request; an answer slower than the timeout becomes requests' ReadTimeout."""
        response = self._handler(
            Request(
                method=str(request.method),
                url=str(request.url),
                headers={name.lower(): str(value) for name, value in request.headers.items()},
                body=_bytes(request.body),
            ),
        )
        self._wait(response.delay, options.get("timeout"), request)
        raw = HTTPResponse(
            body=io.BytesIO(response.body),
            headers=dict(response.headers),
            status=response.status,
            preload_content=False,
        )
        return self.build_response(request, raw)

    def _wait(self, delay: timedelta, timeout: object, request: requests.PreparedRequest) -> None:
        if not delay or self._pass_time is None:
            return
        patience = timeout[1] if isinstance(timeout, tuple) else timeout
        if isinstance(patience, int | float) and delay > timedelta(seconds=patience):
            self._pass_time(timedelta(seconds=patience))
            raise requests.exceptions.ReadTimeout("the answer is slower than the caller waits", request=request)
        self._pass_time(delay)


class InProcessTransport(RequestsTransport):
    """azure-core's transport over an in-process session; `sleep` moves the clock instead of waiting.

    `before_sleep` lets a simulator run what falls due meanwhile; by default the clock just moves.
    """

    def __init__(self, handler: Handler, clock: FakeClock, *, pass_time: Pass | None = None) -> None:
        self._pass = pass_time or clock.advance
        session = requests.Session()
        session.trust_env = False
        adapter = InProcessAdapter(handler, self._pass)
        session.mount("https://", adapter)
        session.mount("http://", adapter)
        super().__init__(session=session, session_owner=False)

    def sleep(self, duration: float) -> None:
        """Let time pass."""
        self._pass(timedelta(seconds=duration))


def session(handler: Handler, pass_time: Pass | None = None) -> requests.Session:
    """Return a requests session whose every call goes to the handler: for adapters that use requests directly."""
    made = requests.Session()
    made.trust_env = False
    made.mount("https://", InProcessAdapter(handler, pass_time))
    made.mount("http://", InProcessAdapter(handler, pass_time))
    return made


class StaticCredential:
    """A credential whose token never ends, for clouds that check no tokens. Counts how often it is asked."""

    def __init__(self, token: str = "in-process") -> None:  # noqa: S107 - opens nothing
        self.token = token
        self.asked = 0
        self._guard = threading.Lock()

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Return the token."""
        with self._guard:
            self.asked += 1
        return AccessToken(self.token, FAR_FUTURE)

    def get_token_info(self, *_scopes: str, **_options: object) -> AccessTokenInfo:
        """Return the token, for newer callers."""
        with self._guard:
            self.asked += 1
        return AccessTokenInfo(self.token, FAR_FUTURE)


def _bytes(body: object) -> bytes:
    if body is None:
        return b""
    if isinstance(body, bytes):
        return body
    if isinstance(body, str):
        return body.encode()
    return b"".join(body) if hasattr(body, "__iter__") else bytes(body.read())  # type: ignore[attr-defined, call-overload]
