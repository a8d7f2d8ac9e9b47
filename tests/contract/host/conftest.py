"""One Azurite for these tests, and hosts for the apps beside this file."""

from __future__ import annotations

import itertools
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from azure.storage.queue import QueueClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from lab.host import FunctionsHost
from lab.storage import Azurite

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

APPS = Path(__file__).parent / "apps"
NEVER = "0 0 3 1 1 *"
_numbers = itertools.count()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    with Azurite() as storage:
        yield storage


@pytest.fixture
def queue(azurite: Azurite) -> str:
    """A queue name that no other test uses."""
    return f"work-{next(_numbers)}"


@pytest.fixture
def settings(azurite: Azurite, queue: str) -> dict[str, str]:
    return {"AzureWebJobsStorage": azurite.connection_string, "WORK_QUEUE": queue, "TICK_SCHEDULE": NEVER}


@pytest.fixture
def client(azurite: Azurite) -> Iterator[Callable[[str], QueueClient]]:
    """Queues as an SDK client of a function app sees them: base64 in both directions."""
    with ExitStack() as stack:

        def of(name: str) -> QueueClient:
            made = QueueClient.from_connection_string(
                azurite.connection_string,
                name,
                message_encode_policy=TextBase64EncodePolicy(),
                message_decode_policy=TextBase64DecodePolicy(),
            )
            return stack.enter_context(made)

        yield of


@pytest.fixture
def host(settings: dict[str, str]) -> Iterator[Callable[..., FunctionsHost]]:
    """Start a host for an app; every host is closed at the end of the test."""
    with ExitStack() as stack:

        def start(app: str = "doors", *, more: dict[str, str] | None = None, **options: Any) -> FunctionsHost:
            made = FunctionsHost(APPS / app, {**settings, **(more or {})}, **options)
            return stack.enter_context(made)

        yield start


@pytest.fixture
def events() -> Callable[[FunctionsHost, str], list[dict[str, Any]]]:
    """What functions of the app logged as JSON under one event name."""

    def of(host: FunctionsHost, name: str) -> list[dict[str, Any]]:
        return [line.event for line in host.logs() if line.event and line.event.get("event") == name]

    return of
