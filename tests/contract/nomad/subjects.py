"""What a conformance run can do to a cluster, whether it is real or the stand-in."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable


@dataclass(frozen=True, slots=True)
class Observed:
    """An answer of the subject."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class ClientSpec:
    """A client as the recording's README describes it."""

    name: str
    ident: str
    address: str
    node_class: str
    node_pool: str = "default"
    datacenter: str = "dc1"
    cpu: int = 4000
    memory: int = 8192
    meta: dict[str, str] = field(default_factory=dict)


class Subject(Protocol):
    """A cluster of three servers at 127.0.1.1 to .3 and clients at 127.0.2.x, all with plain HTTP on port 4646."""

    title: str
    real: bool

    def send(  # noqa: PLR0917 - a request has these parts
        self, method: str, path: str, query: dict[str, Any], headers: dict[str, str], body: bytes, agent: str
    ) -> Observed: ...

    def rest(self, seconds: float) -> None: ...

    def clock(self) -> float: ...

    def version(self) -> object:
        """Something that is the same as long as nothing changed; None when that cannot be told."""
        ...

    def later(self, seconds: float, act: Callable[[], None]) -> None: ...

    def start_server(self, number: int) -> None: ...

    def kill_server(self, number: int) -> None: ...

    def start_client(self, spec: ClientSpec, *, fresh: bool = False) -> None: ...

    def kill_client(self, name: str, *, politely: bool = False) -> None: ...

    def reset_file(self, content: str) -> None: ...

    def close(self) -> None: ...
