"""POST operations and what may be read: stored once, enqueued once, refused clearly."""

import json
from http import HTTPStatus

import azure.functions as func
import pytest

from functions import operations
from tests.triggers.doorway import Doorway, answer, principal, request

SCALE = {"operation": "scale", "pool": "general", "count": 3, "reason": "launch day"}


def start(body: object, **headers: str) -> func.HttpRequest:
    return request("POST", "operations", body, headers=headers)


def read(name: str, **more: object) -> func.HttpRequest:
    return request("GET", f"operations/{name}", route={"id": name}, **more)


def test_an_operation_is_stored_enqueued_and_answered_with_its_address(doorway: Doorway) -> None:
    status, body, headers = answer(operations.start_operation, start(SCALE))

    assert (status, body["status"], body["pool"], body["count"]) == (HTTPStatus.ACCEPTED, "NotStarted", "general", 3)
    assert headers["Operation-Location"] == f"https://keeper.example/api/operations/{body['id']}"
    (message,) = doorway.enqueued()
    assert (message["kind"], message["cause"], message["detail"]["id"]) == ("operation", "scale", body["id"])
    assert answer(operations.read_operation, read(body["id"]))[1] == body


def test_the_same_key_and_body_give_the_same_operation(doorway: Doorway) -> None:
    first = answer(operations.start_operation, start(SCALE, Idempotency_Key="k1"))[1]
    doorway.clock.advance(5)
    status, second, _ = answer(operations.start_operation, start(SCALE, Idempotency_Key="k1"))

    assert (status, second) == (HTTPStatus.ACCEPTED, first)
    assert len([name for name in doorway.records.records if name.startswith("operations/")]) == 1


def test_the_same_key_with_another_body_is_refused(doorway: Doorway) -> None:
    answer(operations.start_operation, start(SCALE, Idempotency_Key="k1"))
    doorway.enqueued()

    status, body, _ = answer(operations.start_operation, start(SCALE | {"count": 4}, Idempotency_Key="k1"))

    assert (status, body["error"]["code"]) == (HTTPStatus.CONFLICT, "Refused")
    assert doorway.enqueued() == []


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b"{", "body"),
        ([], "body"),
        ({"operation": "explode"}, "operation"),
        (SCALE | {"pool": "other"}, "pool"),
        (SCALE | {"count": 99}, "count"),
        (SCALE | {"force": True}, "force"),
    ],
)
def test_a_wrong_request_names_the_field_and_leaves_nothing(doorway: Doorway, body: object, field: str) -> None:
    status, said, _ = answer(operations.start_operation, start(body))

    assert (status, said["error"]["code"], said["error"]["field"]) == (HTTPStatus.BAD_REQUEST, "InvalidField", field)
    assert said["error"]["expected"] in said["error"]["message"]
    assert doorway.enqueued() == []
    assert doorway.records.records == {}


def test_an_oversized_body_is_refused_before_it_is_read(doorway: Doorway) -> None:
    status, body, _ = answer(operations.start_operation, start(b"x" * 300_000))

    assert (status, body["error"]["code"]) == (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "BodyTooLarge")
    assert "262144" in body["error"]["message"]


@pytest.mark.parametrize("key", ["", "x" * 201])
def test_a_wrong_key_is_refused(doorway: Doorway, key: str) -> None:
    status, body, _ = answer(operations.start_operation, start(SCALE, Idempotency_Key=key))

    assert (status, body["error"]["field"]) == (HTTPStatus.BAD_REQUEST, "Idempotency-Key")


@pytest.mark.parametrize("name", ["nothing-like-it", "../claims", "a" * 500, "ä"])
def test_an_unknown_operation_is_not_found(doorway: Doorway, name: str) -> None:
    assert answer(operations.read_operation, read(name))[0] == HTTPStatus.NOT_FOUND
    assert answer(operations.cancel_operation, read(name))[0] == HTTPStatus.NOT_FOUND


def test_a_cancel_is_enqueued_and_an_ended_operation_cannot_be_cancelled(doorway: Doorway) -> None:
    started = answer(operations.start_operation, start(SCALE))[1]
    doorway.enqueued()

    assert answer(operations.cancel_operation, read(started["id"]))[0] == HTTPStatus.ACCEPTED
    (message,) = doorway.enqueued()
    assert message["detail"] == {"id": started["id"], "cancel": True}

    name = f"operations/{started['id']}.json"
    stored = doorway.records.load(name)
    ended = json.dumps(json.loads(stored.body) | {"status": "Succeeded"}).encode()
    doorway.records.save(name, ended, version=stored.version)
    assert answer(operations.cancel_operation, read(started["id"]))[0] == HTTPStatus.CONFLICT


def test_where_roles_are_required_readers_read_and_operators_operate(doorway: Doorway) -> None:
    doorway.require_roles()

    assert answer(operations.start_operation, start(SCALE))[0] == HTTPStatus.FORBIDDEN
    reader, operator = principal("Keeper.Reader"), principal("Keeper.Operator")
    status, body, _ = answer(operations.start_operation, request("POST", "operations", SCALE, headers=reader))
    assert status == HTTPStatus.FORBIDDEN
    assert "Keeper.Operator is needed, got Keeper.Reader" in body["error"]["message"]
    assert doorway.enqueued() == []

    started = answer(operations.start_operation, request("POST", "operations", SCALE, headers=operator))[1]
    assert started["requestedBy"] == "Ann"
    assert answer(operations.read_operation, read(started["id"], headers=reader))[0] == HTTPStatus.OK
    assert answer(operations.status, request("GET", "status", headers=operator))[0] == HTTPStatus.OK


def test_a_forged_principal_is_bad_input(doorway: Doorway) -> None:
    req = request("GET", "status", headers={"X-MS-CLIENT-PRINCIPAL": "nonsense"})

    assert answer(operations.status, req)[0] == HTTPStatus.BAD_REQUEST


def test_status_and_decisions_are_answered_before_the_first_tick(doorway: Doorway) -> None:
    status, body, _ = answer(operations.status, request("GET", "status"))
    assert (status, body["observed"], body["last"]) == (HTTPStatus.OK, None, None)
    assert answer(operations.decisions, request("GET", "decisions"))[1] == {"decisions": []}


@pytest.mark.parametrize(
    ("params", "field"), [({"most": "0"}, "most"), ({"most": "many"}, "most"), ({"day": "today"}, "day")]
)
def test_a_wrong_query_names_the_field(doorway: Doorway, params: dict[str, str], field: str) -> None:
    status, body, _ = answer(operations.decisions, request("GET", "decisions", params=params))

    assert (status, body["error"]["field"]) == (HTTPStatus.BAD_REQUEST, field)
