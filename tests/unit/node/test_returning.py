"""A client that drained when it was stopped takes work again, and undoes nobody else's decision."""

import json

import pytest
from keepernode.apply import apply, reported
from keepernode.status import Phase, Status, write_status
from keepernode.wire import Answer

SECRET = "canary-node-secret"
DRAIN = {"Status": "complete", "StartedAt": "2026-01-31T12:00:00Z", "Meta": {"message": "shutting down"}}


class FakeNode:
    """What the local agent says of its own node, and does for its own secret."""

    def __init__(self):
        self.node = {"SchedulingEligibility": "ineligible", "DrainStrategy": None, "LastDrain": DRAIN}
        self.status = 200
        self.asked = []

    def answer(self, method, path, headers, body):
        assert headers == {"X-Nomad-Token": SECRET}
        if method == "GET":
            return Answer(200, {}, json.dumps(self.node).encode())
        self.asked.append((path, json.loads(body)))
        if self.status == 200:
            self.node["SchedulingEligibility"] = "eligible"
        return Answer(self.status, {}, b"Permission denied")


@pytest.fixture
def client(new_machine, told):
    machine = new_machine("client")
    run(machine, told("client"))
    machine.node = FakeNode()
    folder = machine.at("/data/nomad/client")
    folder.mkdir(parents=True)
    (folder / "client-id").write_text("0a06fec3\n")
    (folder / "secret-id").write_text(SECRET)
    return machine


def run(machine, told):
    return reported(machine, lambda: apply(machine, told), "node.applied")


def test_a_client_that_drained_itself_is_eligible_again_after_its_boot(client, told, capsys):
    outcome = run(client, told("client"))

    assert outcome.changed == ["takes work again after its own drain"]
    assert client.node.asked == [("/v1/node/0a06fec3/drain", {"DrainSpec": None, "MarkEligible": True})]
    assert run(client, told("client")).changed == []
    assert SECRET not in capsys.readouterr().out


@pytest.mark.parametrize(
    "node",
    [
        {"LastDrain": {**DRAIN, "Meta": {"keeper": "autoscale"}}},
        {"LastDrain": {**DRAIN, "Meta": None}},
        {"LastDrain": None},
        {"DrainStrategy": {"Deadline": 600}},
        {"SchedulingEligibility": "eligible"},
    ],
)
def test_what_somebody_else_has_decided_stays(client, told, node):
    client.node.node |= node

    assert run(client, told("client")).changed == []
    assert client.node.asked == []


def test_a_client_that_is_taken_out_of_use_after_it_came_back_stays_so(client, told):
    run(client, told("client"))
    client.node.node["SchedulingEligibility"] = "ineligible"  # by a person; the last drain is still the client's own

    assert run(client, told("client")).changed == []

    client.node.node["LastDrain"] = {**DRAIN, "StartedAt": "2026-02-01T12:00:00Z"}  # stopped once more
    assert run(client, told("client")).changed == ["takes work again after its own drain"]


def test_a_client_that_is_leaving_does_not_call_for_work(client, told):
    write_status(client, Status(Phase.LEAVING, "preempted"))

    run(client, told("client"))

    assert client.node.asked == []


def test_a_refusal_is_told_with_what_to_do(client, told):
    client.node.status = 403

    (pending,) = run(client, told("client")).pending

    assert "nomad node eligibility -enable -self" in pending
