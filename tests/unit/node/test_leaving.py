"""What a machine does when Azure announces that it will be taken away; documents as recorded."""

import json
from pathlib import Path

import pytest
from keepernode.knobs import Role
from keepernode.leaving import Kind, Leaver, Notice, Step, next_step, notices_for
from keepernode.problems import NodeError, Unreachable
from keepernode.status import parse_status
from keepernode.wire import Answer
from node_paper import PaperMachine

RECORDINGS = Path(__file__).parents[2] / "recordings" / "azure" / "identity"


def recorded(name):
    exchanges = json.loads((RECORDINGS / name).read_text())["exchanges"]
    return [each["response"]["body"] for each in exchanges]


def event(kind="Preempt", *, status="Scheduled", machine="vm-spot", number="e1"):
    return {
        "EventId": number,
        "EventType": kind,
        "EventStatus": status,
        "ResourceType": "VirtualMachine",
        "Resources": [machine],
        "NotBefore": "Tue, 09 Aug 2022 17:07:32 GMT" if status == "Scheduled" else "",
    }


def document(*events):
    return {"DocumentIncarnation": 1, "Events": list(events)}


@pytest.fixture
def machine(tmp_path):
    made = PaperMachine(tmp_path, name="vm-spot")
    made.active = {"nomad"}
    return made


def test_the_recorded_preemption_concerns_the_machine_it_names():
    (body,) = recorded("imds_scheduled_events_preempt.json")

    assert notices_for(body, "VM-Spot") == [Notice("C1BF8322-4CBF-4FC4-9C45-B40CF3106D0E", Kind.PREEMPT, started=False)]
    assert notices_for(body, "vm-other") == []


def test_the_recorded_freeze_of_some_seconds_is_no_reason_to_leave():
    for body in recorded("imds_scheduled_events_freeze_life.json"):
        assert notices_for(body, "WestNO_0") == []


@pytest.mark.parametrize("kind", [each.value for each in Kind])
def test_a_client_hands_its_work_over_first_and_acknowledges_when_it_is_done(machine, kind):
    leaver = Leaver(machine, Role.CLIENT, "vm-spot")
    machine.events = document(event(kind))

    assert leaver.look() is Step.HAND_OVER
    assert machine.deeds[-1] == "systemctl stop --no-block nomad.service"
    assert machine.acknowledged == []
    assert parse_status(machine.read("/run/keeper/status.json")).phase.value == "leaving"

    machine.active = machine.draining = {"nomad"}  # the drain goes on
    assert leaver.look() is Step.NOTHING
    assert machine.acknowledged == []

    machine.active = set()
    assert leaver.look() is Step.ACKNOWLEDGE
    leaver.look()
    assert machine.acknowledged == ["e1"]


def test_an_event_that_is_called_off_brings_the_client_back(machine):
    leaver = Leaver(machine, Role.CLIENT, "vm-spot")
    machine.events = document(event())
    leaver.look()
    machine.active = set()
    machine.events = document()

    assert leaver.look() is Step.COME_BACK
    assert "nomad" in machine.active
    assert leaver.look() is Step.NOTHING


def test_an_event_for_another_machine_of_the_set_is_not_acknowledged(machine):
    leaver = Leaver(machine, Role.CLIENT, "vm-spot")
    machine.events = document(event(machine="vm-other"))

    assert leaver.look() is Step.NOTHING
    assert machine.deeds == machine.acknowledged == []


def test_a_server_neither_stops_nor_acknowledges_and_says_it_once(machine, capsys):
    leaver = Leaver(machine, Role.SERVER, "vm-spot")
    machine.events = document(event("Reboot"))

    assert leaver.look() is leaver.look() is Step.NOTHING
    assert machine.deeds == machine.acknowledged == []
    assert capsys.readouterr().out.count("node.announced") == 1


def test_a_program_that_restarts_in_the_middle_of_a_handover_acknowledges_what_is_done(machine):
    machine.active = set()
    machine.events = document(event())

    assert Leaver(machine, Role.CLIENT, "vm-spot").look() is Step.ACKNOWLEDGE
    assert machine.acknowledged == ["e1"]


def test_a_program_that_restarts_in_the_middle_of_a_handover_comes_back_when_the_event_is_called_off(machine):
    machine.events = document(event())
    Leaver(machine, Role.CLIENT, "vm-spot").look()
    machine.active, machine.events = set(), document()

    assert Leaver(machine, Role.CLIENT, "vm-spot").look() is Step.COME_BACK
    assert "nomad" in machine.active


def test_a_second_event_in_the_middle_of_the_first_is_acknowledged_too(machine):
    leaver = Leaver(machine, Role.CLIENT, "vm-spot")
    machine.events = document(event("Reboot"))
    leaver.look()
    machine.active = set()
    machine.events = document(event("Reboot", status="Started"), event("Terminate", number="e2"))

    leaver.look()

    assert machine.acknowledged == ["e2"]


def test_started_events_are_not_acknowledged_again():
    started = [Notice("e1", Kind.REBOOT, started=True)]

    assert next_step(started, handed_over_for="e1", runs=False) is Step.NOTHING


def test_a_metadata_service_that_does_not_answer_changes_nothing(machine):
    machine.ask = lambda *_args, **_more: Answer(503, {}, b"")

    with pytest.raises(Unreachable, match="HTTP 503"):
        Leaver(machine, Role.CLIENT, "vm-spot").look()
    assert machine.deeds == []


def test_a_stop_that_fails_is_tried_again_at_the_next_look(machine):
    leaver = Leaver(machine, Role.CLIENT, "vm-spot")
    machine.events = document(event())
    machine.broken = {"systemctl stop": "bus is away"}
    with pytest.raises(NodeError, match="bus is away"):
        leaver.look()

    machine.broken = {}

    assert leaver.look() is Step.HAND_OVER
