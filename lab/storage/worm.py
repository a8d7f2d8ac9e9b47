"""A write-once rule keeper in front of Azurite, which knows no immutability: refuses what an immutable container refuses.

It passes every call on, keeps a journal, counts forbidden calls, and makes bad days: throttling, a busy service, connections that
break before or after a call took effect. The rules are those of container-level time-based retention
(https://learn.microsoft.com/azure/storage/blobs/immutable-time-based-retention-policy-overview): while the interval runs a blob
can be neither deleted nor changed, afterwards deleted only. A create that names its condition (`If-None-Match: *`) is no overwrite.
"""

from __future__ import annotations

import contextlib
import threading
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Self

import requests
from requests.adapters import HTTPAdapter

from lab.http import Response, Tls, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from lab.ca import Leaf
    from lab.http import Request, Server
    from lab.storage.azurite import Azurite

HOP_BY_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "content-length", "host", "date"})
TIMEOUT = 30
POOLED = 16


class Fault(StrEnum):
    """What may happen to a call."""

    THROTTLED = "429"
    BUSY = "503"
    RESET = "reset"
    """The connection breaks; the call had no effect."""
    ANSWER_LOST = "answer lost"
    """The call takes effect, and the connection breaks before its answer."""
    CUT = "cut"
    """The answer's body breaks off half way."""
    FORBIDDEN = "403"
    FULL = "413"


@dataclass(frozen=True, slots=True)
class Call:
    """One call as the storage service understands it."""

    method: str
    container: str
    blob: str
    comp: str
    conditional: bool
    """Whether it asks not to overwrite."""

    @property
    def changes(self) -> str:
        """What it would do to a blob that exists: "delete", "overwrite", "change", or "" for nothing."""
        if not self.blob or self.method not in {"PUT", "DELETE", "POST"}:
            return ""
        if self.method == "DELETE":
            return "delete"
        if self.comp in {"", "blocklist"}:
            return "" if self.conditional else "overwrite"
        return "change" if self.comp in {"metadata", "properties", "snapshot", "appendblock", "page"} else ""


@dataclass(slots=True)
class Journal:
    """What passed: every call with its status, and those that an immutable container refused."""

    calls: list[tuple[Call, int]] = field(default_factory=list)
    forbidden: list[Call] = field(default_factory=list)

    def commits(self) -> list[str]:
        """The names of the blobs that became visible, in order."""
        made = (call for call, status in self.calls if status == 201 and call.method == "PUT")
        return [call.blob for call in made if call.blob and call.comp in {"", "blocklist"}]


class RuleKeeper:
    """Listens like a storage account. `kept` names the immutable containers and their intervals.

    `ahead` moves the account's clock forward: intervals run out, and answers bear the later date.
    """

    def __init__(self, behind: Azurite, leaf: Leaf, trust: Path, kept: Mapping[str, timedelta]) -> None:
        self.kept = dict(kept)
        self.ahead = timedelta()
        self.journal = Journal()
        self.fault: Callable[[Call], Fault | None] = lambda _: None
        self.slow: Callable[[Call], timedelta] = lambda _: timedelta()
        """How long each answer takes besides."""
        self._behind = behind
        self._trust = str(trust)
        self._born: dict[tuple[str, str], datetime] = {}
        self._guard = threading.Lock()
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.mount("https://", HTTPAdapter(pool_connections=1, pool_maxsize=POOLED, pool_block=True))
        self._server: Server = serve(self._handle, tls=Tls(leaf.certificate, leaf.key))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def blob_url(self) -> str:
        """The blob endpoint, as clients take it."""
        return self._server.url + "/" + self._behind.blob_url.rpartition("/")[2]

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self._server.stop()
        self._session.close()

    def fail(self, *faults: Fault, when: Callable[[Call], bool] = lambda _: True) -> None:
        """Let these happen, one to each of the next calls that `when` is true of."""
        waiting = list(faults)

        def next_fault(call: Call) -> Fault | None:
            with self._guard:
                return waiting.pop(0) if waiting and when(call) else None

        self.fault = next_fault

    def _handle(self, request: Request) -> Response:
        call = _understood(request)
        fault = self.fault(call)
        if fault is Fault.RESET:
            raise ConnectionResetError
        response = REFUSALS[fault] if fault in REFUSALS else self._judged(call, request)
        with self._guard:
            self.journal.calls.append((call, response.status))
        if fault is Fault.ANSWER_LOST:
            raise ConnectionResetError
        if fault is Fault.CUT:
            whole = {**response.headers, "Content-Length": str(len(response.body))}
            return replace(response, headers=whole, body=response.body[: len(response.body) // 2])
        return replace(response, delay=self.slow(call))

    def _judged(self, call: Call, request: Request) -> Response:
        born = self._born.get((call.container, call.blob))
        interval = self.kept.get(call.container)
        if interval is not None and born is not None and call.changes:
            expired = self._now() >= born + interval
            if not (call.changes == "delete" and expired):
                self.journal.forbidden.append(call)
                return IMMUTABLE
        response = self._pass_on(request)
        if response.status == 201 and call.method == "PUT" and call.blob and call.comp in {"", "blocklist"}:
            self._born[call.container, call.blob] = self._now()
        if response.status == 202 and call.method == "DELETE":
            self._born.pop((call.container, call.blob), None)
        return response

    def _pass_on(self, request: Request) -> Response:
        headers = {name: value for name, value in request.headers.items() if name not in HOP_BY_HOP}
        target = self._behind.blob_url.rpartition("/")[0] + request.url.removeprefix(request.origin)
        with contextlib.ExitStack() as stack:
            answer = self._session.request(
                request.method,
                target,
                data=request.body,
                headers=headers,
                verify=self._trust,
                timeout=TIMEOUT,
                stream=True,
                allow_redirects=False,
            )
            stack.callback(answer.close)
            body = answer.raw.read(decode_content=False)
        shown = {name: value for name, value in answer.headers.items() if name.lower() not in HOP_BY_HOP}
        if request.method == "HEAD" and "Content-Length" in answer.headers:
            shown["Content-Length"] = answer.headers["Content-Length"]
        return Response(answer.status_code, {**shown, "Date": format_datetime(self._now(), usegmt=True)}, body)

    def _now(self) -> datetime:
        return datetime.now(UTC) + self.ahead  # noqa: TID251 -- a storage account has a clock of its own


def _understood(request: Request) -> Call:
    parts = request.path.split("/", 3)[2:]
    container, blob = [*parts, "", ""][:2]
    conditional = request.headers.get("if-none-match") == "*"
    return Call(request.method, container, blob, request.query.get("comp", ""), conditional)


def _refusal(status: int, code: str, message: str, **headers: str) -> Response:
    body = f'<?xml version="1.0" encoding="utf-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(status, {"Content-Type": "application/xml", "x-ms-error-code": code, **given}, body.encode())


IMMUTABLE = _refusal(
    409, "BlobImmutableDueToPolicy", "This operation is not permitted as the blob is immutable due to a policy."
)
REFUSALS: dict[Fault | None, Response] = {
    Fault.THROTTLED: _refusal(429, "TooManyRequests", "Too many requests.", Retry_After="1"),
    Fault.BUSY: _refusal(503, "ServerBusy", "The server is busy."),
    Fault.FORBIDDEN: _refusal(
        403, "AuthorizationPermissionMismatch", "This request is not authorized to perform this operation."
    ),
    Fault.FULL: _refusal(413, "RequestBodyTooLarge", "The account has no room for this."),
}
