"""One ARM call as its handler sees it, and the answers that most handlers give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lab.azure.model.failures import ArmError, etag_mismatch
from lab.azure.model.resources import ScaleSetKey
from lab.azure.rest.shapes import misfit
from lab.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.azure.model.cloud import Cloud
    from lab.azure.model.resources import Operation, ScaleSet
    from lab.azure.model.throttle import Policy
    from lab.http import Request

    type CallHandler = Callable[[Call], Response]

_SIGNATURE = "Q" * 3000
"""Azure's operation links are over 3,200 characters long; whoever cuts or rebuilds them must notice in the lab."""


@dataclass(frozen=True, slots=True)
class Route:
    """A method and a path template, the ARM action that a role must allow, the limits it counts against, its handler."""

    method: str
    template: str
    action: str
    handler: CallHandler
    policies: tuple[Policy, ...] = ()


@dataclass(frozen=True, slots=True)
class Call:
    """A matched request. `params` holds the parts of the path, as sent; `stale` asks lists to show an older moment."""

    cloud: Cloud
    request: Request
    params: Mapping[str, str]
    query: Mapping[str, str]
    stale: bool = False

    def document(self) -> dict[str, Any]:
        """Parse the body as a JSON object; an absent body is an empty one."""
        if not self.request.body:
            return {}
        try:
            body = json.loads(self.request.body)
        except ValueError as exc:
            raise _malformed(str(exc)) from exc
        if not isinstance(body, dict):
            raise _malformed("an object was expected")
        problem = misfit(body)
        if problem:
            raise _malformed(problem)
        return body

    @property
    def scale_set_key(self) -> ScaleSetKey:
        """The scale set that the path names."""
        return ScaleSetKey(self.params["subscription"], self.params["group"], self.params["scale_set"])

    def scale_set(self) -> ScaleSet:
        """Return the scale set that the path names, or raise the 404."""
        return self.cloud.scale_set(self.scale_set_key)

    def check_etag(self, current: str) -> None:
        """Hold `If-Match` and `If-None-Match: *` against the current ETag; raise Compute's 412."""
        wanted = self.request.headers.get("if-match")
        if wanted not in {None, "*", current}:
            raise etag_mismatch(str(wanted), current)
        if self.request.headers.get("if-none-match") in {"*", current}:
            raise ArmError(
                412,
                "PreconditionFailed",
                f"Etag provided in if-none-match header {self.request.headers['if-none-match']} matches etag {current} of resource.",
            )

    def accepted(self, operation: Operation) -> Response:
        """Answer 202 without a body, with both links to the operation."""
        headers = self.operation_headers(operation)
        headers["Location"] = self._operation_link(operation, monitor=True)
        return Response(202, headers)

    def operation_headers(self, operation: Operation) -> dict[str, str]:
        """Return the headers that lead to an operation's status."""
        headers = {
            "Azure-AsyncNotification": "Enabled",
            "Azure-AsyncOperation": self._operation_link(operation, monitor=False),
        }
        if self.cloud.pace.retry_after is not None:
            headers["Retry-After"] = str(round(self.cloud.pace.retry_after.total_seconds()))
        return headers

    def _operation_link(self, operation: Operation, *, monitor: bool) -> str:
        query = {"p": operation.subscription, "api-version": self.query.get("api-version", ""), "c": _SIGNATURE}
        if monitor:
            query = {"monitor": "true", **query}
        path = f"/subscriptions/{operation.subscription}/providers/Microsoft.Compute/locations/{operation.location}"
        return f"{self.request.origin}{path}/operations/{operation.name}?{urlencode(query)}"

    def page[Item](self, items: Sequence[Item], render: Callable[[Item], dict[str, Any]]) -> Response:
        """Answer one page of a list, with `nextLink` while there is more; `$top` narrows the page."""
        start = _whole_number(self.query.get("$skiptoken"), 0)
        size = min(self.cloud.page_size, _whole_number(self.query.get("$top"), self.cloud.page_size))
        body: dict[str, Any] = {"value": [render(item) for item in items[start : start + size]]}
        if start + size < len(items):
            query = {**self.query, "$skiptoken": str(start + size)}
            body["nextLink"] = f"{self.request.origin}{self.request.path}?{urlencode(query)}"
        return Response.of_json(200, body)


def _whole_number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdigit() else default


def _malformed(why: str) -> ArmError:
    return ArmError(
        400,
        "InvalidRequestContent",
        f"The request content was invalid and could not be deserialized: '{why}'.",
        headers={"x-ms-failure-cause": "gateway"},
    )
