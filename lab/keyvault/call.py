"""One request as its handler sees it, and the answers that all kinds give."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from lab.http import Response
from lab.keyvault.errors import bad_parameter
from lab.keyvault.shelf import page

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from lab.http import Request

    type CallHandler = Callable[[Call], Response]


@dataclass(frozen=True, slots=True)
class Route:
    """A method, a pattern over the path, the action that a role must allow, and the handler."""

    method: str
    pattern: str
    action: str
    handler: CallHandler


@dataclass(frozen=True, slots=True)
class Call:
    """A matched request; `name` and `version` are empty when the path has none."""

    request: Request
    name: str = ""
    version: str = ""

    @property
    def vault_url(self) -> str:
        """How the caller addressed the vault; ids begin with it."""
        return self.request.origin

    def body(self) -> dict[str, Any]:
        """Parse the body as a JSON object."""
        try:
            found = json.loads(self.request.body or b"{}")
        except ValueError as exc:
            raise bad_parameter(f"Property has invalid value: {exc}") from exc
        if not isinstance(found, dict):
            raise bad_parameter("The request body must be a JSON object")
        return found

    def listed[T](self, things: Sequence[T], view: Callable[[T], Mapping[str, Any]]) -> Response:
        """Answer one page of a list."""
        shown, following = page(list(things), self.request.query)
        link = None
        if following is not None:
            query = {**self.request.query, "$skiptoken": str(following)}
            link = f"{self.vault_url}{self.request.path}?{urlencode(query)}"
        return Response.of_json(200, {"value": [view(each) for each in shown], "nextLink": link})


def epoch(moment: datetime) -> int:
    """Render a time as Key Vault does."""
    return int(moment.timestamp())
