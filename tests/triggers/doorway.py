"""The doors with storage in memory: what they answer, what they enqueue, what they leave alone."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import azure.functions as func

from keeper import wiring
from keeper.settings import Settings
from lab.clock import FakeClock
from lab.sim.simulation import SimClock
from lab.storage.memory import MemoryCorridor, MemoryRecords

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"


class Doorway:
    """The doors' world, and what came of a call."""

    def __init__(self, settings: Settings) -> None:
        self.clock = FakeClock(NOW)
        self.records = MemoryRecords()
        self.corridor = MemoryCorridor(self.clock)
        self.doors = wiring.Doors(self.records, self.corridor, SimClock(self.clock), settings)

    def enqueued(self) -> list[dict[str, object]]:
        """Every message on the queue, taken off it."""
        found = []
        while (text := self.corridor.receive()) is not None:
            found.append(json.loads(text))
        return found

    def require_roles(self) -> None:
        settings = self.doors.settings
        self.doors = replace(self.doors, settings=replace(settings, doors=replace(settings.doors, require_roles=True)))


def request(method: str, path: str, body: object = None, **more: object) -> func.HttpRequest:
    headers = {str(name).replace("_", "-"): str(value) for name, value in dict(more.get("headers", {})).items()}
    raw = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    return func.HttpRequest(
        method=method,
        url=f"https://keeper.example/api/{path}",
        headers=headers,
        params=more.get("params", {}),
        route_params=more.get("route", {}),
        body=raw,
    )


def principal(*roles: str, name: str = "Ann") -> dict[str, str]:
    """The header that Azure's authentication layer sets for a signed-in caller."""
    claims = [{"typ": "name", "val": name}, *({"typ": "roles", "val": role} for role in roles)]
    document = {"auth_typ": "aad", "name_typ": "name", "role_typ": "roles", "claims": claims}
    return {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(json.dumps(document).encode()).decode()}


def answer(
    door: Callable[..., func.HttpResponse], req: func.HttpRequest
) -> tuple[int, dict[str, object], dict[str, str]]:
    """Status, decoded body and headers of a door's answer."""
    response = door(req)
    return response.status_code, json.loads(response.get_body()), dict(response.headers)
