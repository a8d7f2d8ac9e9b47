"""13-events-blocked.json: what the event stream says, in what order, when a job is registered that does not fit."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.contract.nomad.comparing import Comparer
from tests.contract.nomad.player import Player
from tests.contract.nomad.recorded import RECORDINGS
from tests.contract.nomad.runs import make, subjects
from tests.contract.nomad.script import client, lead
from tests.contract.nomad.subjects import ClientSpec

type Seen = tuple[str, str, str]

SPEC = ClientSpec("vmss-clients_0", client(0).ident, "127.0.2.10", "", cpu=2000, memory=2048)
TASK = {
    "Name": "t",
    "Driver": "raw_exec",
    "Config": {"command": "/bin/sleep", "args": ["600"]},
    "Resources": {"CPU": 900, "MemoryMB": 64},
}
UPDATE = {"MinHealthyTime": 1_000_000_000, "HealthyDeadline": 60_000_000_000, "HealthCheck": "task_states"}
JOB = {
    "ID": "big",
    "Name": "big",
    "Type": "service",
    "Datacenters": ["*"],
    "TaskGroups": [{"Name": "g", "Count": 5, "Tasks": [TASK], "Update": UPDATE}],
}


UNTOLD: dict[str, set[Seen]] = {
    "stand-in": {
        ("Allocation", "AllocationUpdated", "run pending"),
        ("Node", "AllocationUpdated", "ready"),
        ("Node", "NodeRegistration", "ready"),
    },
    "real": {
        ("Allocation", "AllocationUpdated", "run pending"),
        ("Node", "AllocationUpdated", "ready"),
        ("Node", "NodeRegistration", "ready"),
    },
}
"""What the stand-in leaves out: a client's reports of tasks that are only being set up, the note on a node that it
reported, and its second registration when all fingerprints are in. Nobody can act on any of them. A real client sends
its reports in batches, so a real one may leave the same out, or tell it earlier or later."""


def _recorded() -> list[dict[str, Any]]:
    path = RECORDINGS / "13-events-blocked.json"
    lines = json.loads(path.read_text(encoding="utf-8"))["events"]
    return [event for line in lines for event in line.get("Events", [])]


def _watch(kind: str) -> list[dict[str, Any]]:
    """Register the job on a fresh cluster with one client; answer all that the stream's buffer says of it."""
    subject = make(kind)
    player = Player(subject)
    try:
        subject.start_server(0)
        player.complete_quorum()
        made = subject.send("PUT", "/v1/acl/bootstrap", {}, {}, b"", lead())
        player.tokens["management"] = made.json()["SecretID"]
        subject.start_client(SPEC)
        player.ready(1)
        player.manage("POST", "/v1/jobs", {"Job": JOB})
        subject.rest(6.0)
        query = {"topic": ["Evaluation:*", "Node:*", "Allocation:*"], "namespace": "*", "index": "1"}
        headers = {"X-Nomad-Token": player.tokens["management"]}
        answer = subject.send("GET", "/v1/event/stream", query, headers, b"", lead())
    finally:
        subject.close()
    lines = [json.loads(line) for line in answer.body.splitlines() if line.strip()]
    return [event for line in lines for event in line.get("Events", [])]


def _seen(event: dict[str, Any]) -> Seen:
    payload = event["Payload"][event["Topic"]]
    state = payload.get("Status") or f"{payload.get('DesiredStatus')} {payload.get('ClientStatus')}"
    return (event["Topic"], event["Type"], f"{payload.get('TriggeredBy', '')} {state}".strip())


@pytest.fixture(scope="module", params=subjects())
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def said(kind: str) -> list[dict[str, Any]]:
    return _watch(kind)


def _told(events: list[dict[str, Any]], topic: str) -> list[Seen]:
    return list(dict.fromkeys(_seen(event) for event in events if event["Topic"] == topic))


@pytest.mark.parametrize("topic", ["Evaluation", "Allocation", "Node"])
def test_the_stream_tells_the_same_story(kind: str, said: list[dict[str, Any]], topic: str):
    recorded = [seen for seen in _told(_recorded(), topic) if seen not in UNTOLD[kind]]
    told = [seen for seen in _told(said, topic) if seen in recorded]

    assert told == recorded


def test_the_blocked_evaluation_is_told_before_the_one_it_came_from_is_complete(said: list[dict[str, Any]]):
    story = [state for _, _, state in _told(said, "Evaluation")]

    assert story.index("queued-allocs blocked") < story.index("job-register complete")


@pytest.mark.parametrize("topic", ["Evaluation", "Allocation", "Node"])
def test_events_have_the_recorded_keys_and_types(kind: str, said: list[dict[str, Any]], topic: str):
    firsts = {}
    for event in _recorded():
        if event["Topic"] == topic and _seen(event) not in UNTOLD[kind]:
            firsts.setdefault(_seen(event), event)
    comparer = Comparer(partial=True, machine=True)
    said = json.loads(json.dumps(said).replace(SPEC.name, "nomad-server-0"))  # the recorded client was a server too

    for seen, event in firsts.items():
        other = next(candidate for candidate in said if _seen(candidate) == seen)
        comparer.compare(" ".join(seen), {**event, "Payload": None}, {**other, "Payload": None})
        comparer.compare(" ".join(seen), event["Payload"][topic], other["Payload"][topic])

    assert not comparer.verdict.differences


def test_a_blocked_evaluation_says_in_the_stream_why_it_waits(said: list[dict[str, Any]]):
    blocked = next(event for event in said if _seen(event)[2] == "queued-allocs blocked")

    failed = blocked["Payload"]["Evaluation"]["FailedTGAllocs"]["g"]
    assert (failed["CoalescedFailures"], failed["DimensionExhausted"]) == (2, {"cpu": 1})
