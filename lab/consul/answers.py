"""Answers as Consul words them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from lab.consul.state import Table
from lab.http import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.consul.acl import Caller

NO_PATH = "Invalid URL path: not a recognized HTTP API endpoint\n"
LISTS: Mapping[str, tuple[Table, str, str]] = {
    "/v1/catalog/nodes": (Table.NODES, "node", "Node"),
    "/v1/session/list": (Table.SESSIONS, "session", "Node"),
}
ACL_LISTS = {
    "/v1/acl/tokens": Table.TOKENS,
    "/v1/acl/policies": Table.POLICIES,
    "/v1/acl/roles": Table.ROLES,
    "/v1/acl/auth-methods": Table.METHODS,
}
UNLISTED = ("Rules", "Config")
"""Lists do not show the rules of policies, nor how auth methods are configured."""


def left_out_mark(caller: Caller, left_out: bool) -> dict[str, str]:
    """What a token may not see is left out, and a header says so; to nobody without a token."""
    return {"X-Consul-Results-Filtered-By-Acls": "true"} if left_out and not caller.anonymous else {}


def of_json(document: object, headers: Mapping[str, str] | None = None) -> Response:
    """200, with a document."""
    body = json.dumps(document, separators=(",", ":")).encode()
    return Response(200, {"Content-Type": "application/json", **(headers or {})}, body)


def plain(status: int, text: str) -> Response:
    """A refusal: its text alone."""
    return Response(status, {"Content-Type": "text/plain; charset=utf-8"}, text.encode())
