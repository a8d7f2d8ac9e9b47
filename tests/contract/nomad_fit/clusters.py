"""What a cluster of the kinds of clients can be asked, be it real or the stand-in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import requests

    from keeper.nomad.cluster import NomadHttp

SCHEDULER = "/v1/operator/scheduler/configuration"


class Fitted(Protocol):
    """A cluster of `NODES` ready clients. While it rests nothing is placed; plans are made all the same."""

    title: str
    keeper: NomadHttp

    def ask(self, method: str, path: str, body: object = None) -> requests.Response: ...

    def wait(self, what: str, holds: Callable[[], bool]) -> None: ...

    def close(self) -> None: ...


def rest(cluster: Fitted, *, resting: bool) -> None:
    """Let the scheduler place nothing any more, or work off what waits."""
    config = cluster.ask("GET", SCHEDULER).json()["SchedulerConfig"]
    cluster.ask("PUT", SCHEDULER, {**config, "PauseEvalBroker": resting}).raise_for_status()
