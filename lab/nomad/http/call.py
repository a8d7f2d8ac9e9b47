"""One call of the API as a handler sees it: the request, who is asked, who asks; and what a handler answers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.nomad.http.decode import decode
from lab.nomad.http.gotext import parse_bool, parse_duration, parse_uint, quote
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.acl.rights import Rights
    from lab.nomad.http.decode import Kind
    from lab.nomad.http.message import Request
    from lab.nomad.model.cluster import Cluster
    from lab.nomad.model.store import Record, Store
    from lab.nomad.region import Region
    from lab.nomad.servers import Face

NOTHING = object()
"""A body that is not there, as opposed to `null`."""


def denied() -> Refusal:
    """Answer the one refusal for no token, an unknown one, an expired one and one without the right."""
    return Refusal(403, "Permission denied")


@dataclass(slots=True)
class Answer:
    """What a handler answers.

    `body` is a JSON value (or NOTHING), `raw` bytes instead of it. `index` goes into X-Nomad-Index; with `read` the
    headers on leader and contact are there too, and the answer may be waited for: it changes when one of `tables` does.
    """

    body: Any = NOTHING
    status: int = 200
    index: int | None = None
    read: bool = False
    tables: tuple[str, ...] = ()
    next_token: str = ""
    known_leader: bool = True
    raw: bytes | None = None
    content_type: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    stream: object | None = None
    needs_leader: bool = False


type Handler = Callable[[Call], Answer]


@dataclass(slots=True)
class Call:
    """One call. `rest` is what follows the route's prefix in the path."""

    region: Region
    face: Face
    request: Request
    rest: str = ""

    @property
    def store(self) -> Store:
        """The tables behind everything."""
        return self.region.store

    @property
    def cluster(self) -> Cluster:
        """The model of nodes, jobs, evaluations and allocations."""
        return self.region.cluster

    @property
    def rights(self) -> Rights:
        """What the caller may do; raises the refusal when the token is unknown or expired."""
        return self.region.acl.rights(self.request.token)

    @property
    def accessor(self) -> str:
        """The accessor of the caller's token, "" for none."""
        token = self.region.acl.by_secret(self.request.token)
        return token["AccessorID"] if token else ""

    @property
    def namespace(self) -> str:
        """The namespace asked for, `default` when none is."""
        return self.request.value("namespace") or "default"

    def body(self, kind: Kind | None = None) -> Any:  # noqa: ANN401 - any JSON value
        """Decode the body, or refuse it with 400."""
        return decode(self.request.body, kind)

    def only(self, *methods: str) -> None:
        """Refuse every other method with 405."""
        if self.request.method not in methods:
            raise Refusal(405, "Invalid method")

    def may(self, allowed: bool) -> None:
        """Refuse with 403 unless allowed."""
        if not allowed:
            raise denied()

    def boolean(self, name: str) -> bool | None:
        """Read a boolean parameter; None when it is absent; raises 500 as Nomad does for what is no boolean."""
        text = self.request.value(name)
        if not text:
            return None
        try:
            return parse_bool(text)
        except ValueError as exc:
            raise Refusal(500, f"Failed to parse value of {quote(name)} ({text}) as a bool: {exc}") from exc

    def integer(self, name: str) -> int | None:
        """Read a whole number parameter; None when it is absent; raises 500 when it is none."""
        text = self.request.value(name)
        if not text:
            return None
        if not re.fullmatch(r"[+-]?\d+", text):
            reason = f"strconv.Atoi: parsing {quote(text)}: invalid syntax"
            raise Refusal(500, f"Failed to parse value of {quote(name)} ({text}) as a int: {reason}")
        return int(text)

    @property
    def wait(self) -> tuple[int, float]:
        """The index and the seconds of a blocking query, (0, 0) for none; raises 400 as recorded."""
        seconds, index = 0.0, 0
        if text := self.request.value("wait"):
            try:
                seconds = parse_duration(text) / 1e9
            except ValueError as exc:
                raise Refusal(400, "Invalid wait time") from exc
        if text := self.request.value("index"):
            try:
                index = parse_uint(text)
            except ValueError as exc:
                raise Refusal(400, "Invalid index") from exc
        return index, seconds

    @property
    def stale(self) -> bool:
        """Whether the caller takes a stale answer. A value that is no boolean counts as none (see the router)."""
        values = self.request.query.get("stale")
        return values is not None and (values[0] == "" or self.request.flag("stale"))

    def read(self, body: object, *tables: str, index: int | None = None, next_token: str = "") -> Answer:
        """Answer what was read from `tables`, with the newest of their indexes unless another is given."""
        if index is None:
            index = max((self.store.table_index(table) for table in tables), default=0)
        return Answer(body, index=index, read=True, tables=tables, next_token=next_token)

    def one(self, record: Record | None, missing: str, *tables: str, body: object = None) -> Answer:
        """Answer one record with its own index, or 404 with the table's."""
        if record is None:
            answer = self.read(NOTHING, *tables)
            answer.status, answer.raw = 404, missing.encode()
            return answer
        return self.read(record if body is None else body, *tables, index=record["ModifyIndex"])

    def written(self, body: object = NOTHING, index: int | None = None) -> Answer:
        """Answer a write with the index it was made at."""
        return Answer(body, index=self.store.index if index is None else index)
