"""Whatever comes to a door: an answer that says what was wrong, never a fault, and nothing enqueued of what was refused."""

import base64
import json
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from http import HTTPStatus
from typing import Any

import azure.functions as func
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from functions import alerts, events, operations
from keeper import wiring
from keeper.controllers import inbox
from keeper.core.messages import parse_message
from keeper.core.problems import FieldError
from keeper.settings import load
from lab.pools import LabPool, settings_of
from lab.scenarios.day import cpu_alert
from lab.sim.simulation import Simulation
from tests.triggers.doorway import SUBSCRIPTION, Doorway, answer, request

POOLS = [LabPool("general", 1, 4), LabPool("spot", 0, 3, spot=True)]
REFUSALS = range(400, 500)
DEEP = 100_000
"""So many brackets as a body: written as a number, for nobody wants to read them."""

ODD_TEXTS = [
    "",
    "general",
    "spot",
    "Fired",
    "Resolved",
    "x" * 9_000,
    "\ud800",
    "\x00",
    "../memory",
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59-12:00",
    "9999-12-31T23:59:59Z",
    "2026-03-01T12:00:00Z",
    "2026-03-01T12:00:00",
    "/subscriptions/a/resourceGroups/rg-lab/providers/Microsoft.Compute/virtualMachineScaleSets/vmss-general",
]
HEADERS = [each for each in ODD_TEXTS if each.isprintable()]
ODD = st.one_of(
    st.sampled_from([None, True, False, 0, -1, 3, 10**30, 1.5, float("nan"), float("inf"), [], {}, [[]], [None]]),
    st.sampled_from(ODD_TEXTS),
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=6,
    ),
)

ALERT = cpu_alert(SUBSCRIPTION, "vmss-general", "Fired")
SCALE = {"operation": "scale", "pool": "spot", "count": 2, "reason": "r", "dry_run": False}
RESOURCE = {
    "id": "1",
    "subject": ODD_TEXTS[-1],
    "eventType": "Microsoft.Resources.ResourceWriteSuccess",
    "eventTime": "2026-03-01T12:00:00Z",
    "data": {"resourceUri": ODD_TEXTS[-1], "operationName": "w", "claims": {"appid": "x"}, "resourceInfo": {}},
}


def paths(document: object, here: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document."""
    yield here
    items = (
        document.items() if isinstance(document, dict) else enumerate(document) if isinstance(document, list) else ()
    )
    for key, value in items:
        yield from paths(value, (*here, key))


@st.composite
def damaged(draw: st.DrawFn, document: object) -> object:
    """A good document with something odd in up to three places, or missing there, or with a key too many."""
    made = {"body": deepcopy(document)}
    for _ in range(draw(st.integers(1, 3))):
        *above, last = "body", *draw(st.sampled_from(list(paths(made["body"]))))
        holder: Any = made
        for key in above:
            holder = holder[key]
        match draw(st.sampled_from(["odd", "odd", "gone", "more"])):
            case "gone" if above:
                del holder[last]
            case "more" if isinstance(holder, dict):
                holder[draw(st.text(max_size=5))] = deepcopy(draw(ODD))
            case _:
                holder[last] = deepcopy(draw(ODD))
    return made["body"]


BODIES = st.binary(max_size=60) | st.just(DEEP)


SETTINGS = load(settings_of(POOLS, SUBSCRIPTION))


@contextmanager
def opened() -> Iterator[Doorway]:
    """Fresh doors."""
    made = Doorway(SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(wiring, "doors", lambda: made.doors)
        patch.setattr(wiring, "settings", lambda: SETTINGS)
        yield made


def raw(body: object) -> bytes:
    if body == DEEP:
        return b"[" * DEEP
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def asked_of(door, asked: func.HttpRequest) -> list[dict[str, object]]:
    """What the door enqueued, which is nothing unless it accepted."""
    with opened() as doorway:
        status, body, _ = answer(door, asked)
        sent = doorway.enqueued()
    if status == HTTPStatus.ACCEPTED:
        assert len(sent) == 1
        parse_message(json.dumps(sent[0]))
    else:
        assert status in REFUSALS
        assert body["error"]["message"]
        assert sent == []
        assert doorway.records.records == {}
    return sent


@given(body=damaged(ALERT) | BODIES)
@example(body=DEEP)
@example(body=ALERT["data"])
def test_no_alert_makes_the_webhook_or_the_controller_fail(body):
    for message in asked_of(alerts.alerts, request("POST", "alerts", raw(body))):
        inbox.handle(Simulation(POOLS).world, json.dumps(message))


@given(body=damaged(SCALE) | damaged({"operation": "pause"}) | BODIES, key=st.none() | st.sampled_from(HEADERS))
@example(body=DEEP, key=None)
def test_no_request_makes_the_operations_fail(body, key):
    headers = {} if key is None else {"Idempotency-Key": key}
    asked_of(operations.start_operation, request("POST", "operations", raw(body), headers=headers))


@given(body=damaged({"claims": [{"typ": "roles", "val": "Keeper.Operator"}], "role_typ": "roles"}) | BODIES)
def test_no_principal_makes_a_door_fail(body):
    headers = {"X-MS-CLIENT-PRINCIPAL": base64.b64encode(raw(body)).decode()}
    asked = request("POST", "operations", {"operation": "pause"}, headers=headers)
    asked_of(operations.start_operation, asked)


@given(body=damaged(RESOURCE))
def test_an_event_is_taken_ignored_or_refused_by_the_name_of_a_field(body):
    body = body if isinstance(body, dict) else {}
    given = func.EventGridEvent(
        id=str(body.get("id")),
        data=body.get("data"),
        topic="t",
        subject=body.get("subject"),
        event_type=body.get("eventType"),
        event_time=None,
        data_version="1",
    )
    given.get_json = lambda: body.get("data")  # as the worker decodes it
    with opened() as doorway:
        try:
            events.events(given)
        except FieldError:
            assert doorway.enqueued() == []


@given(
    message=damaged(
        json.loads(
            '{"kind":"alert","controller":"autoscale","cause":"c","at":"2026-03-01T12:00:00Z","source":"s","detail":{"id":"a","rule":"r","condition":"Fired","fired":"2026-03-01T12:00:00Z","pool":"general"}}'
        )
    )
)
@example(message=[])
def test_whatever_lies_on_the_queue_is_handled_or_refused_by_the_name_of_a_field(message):
    sim = Simulation(POOLS)
    try:
        inbox.handle(sim.world, json.dumps(message))
    except FieldError:
        assert sim.arm.journal.matching("*/virtualMachineScaleSets/write") == []
