"""What the watcher reads out of the recorded stream of a real Nomad 1.6.5, and out of gaps in it."""

import json
from pathlib import Path

import pytest
from keepernode.watch.events import Cause, Overview, Tracker

RECORDINGS = Path(__file__).parents[2] / "recordings" / "nomad-1.6.5"


def recorded_lines(name):
    """Yield the stream's lines as Nomad sent them (the pack renames a payload it has cut)."""
    recording = json.loads((RECORDINGS / name).read_text())
    if isinstance(recording, dict):
        yield from recording["events"]
        return
    for row in recording[0]["response"]["lines"]:
        line = row.get("line")
        if line is None:
            continue
        for event in line.get("Events", []):
            event["Payload"] = event.get("Payload") or event.get("Payload (fields kept)")
        yield line


def sightings(tracker, lines):
    return [(line["Index"], seen.cause, seen.ids) for line in lines for seen in tracker.read(line)]


def overview(nodes=(), blocked=(), index=1):
    return Overview(list(nodes), index, list(blocked), index)


def node(name, status, drain=None):
    return {"ID": name, "Name": name, "Status": status, "LastDrain": drain}


def test_a_recorded_job_that_does_not_fit_is_seen_when_its_evaluation_blocks_and_a_client_when_it_is_ready():
    tracker = Tracker()
    tracker.catch_up(overview())

    seen = sightings(tracker, recorded_lines("13-events-blocked.json"))

    assert [(index, cause) for index, cause, _ in seen] == [
        (9, Cause.NODE_READY),
        (12, Cause.EVALUATION_BLOCKED),
        (19, Cause.EVALUATION_BLOCKED),
    ]
    assert seen[1][2] == {"evaluation": "ee742bfd-d1f3-1b55-0425-fd6b7654ed86", "job": "big", "namespace": "default"}


def test_a_recorded_drain_is_seen_once_at_its_end_and_never_for_a_change_of_eligibility():
    tracker = Tracker()
    names = {"82cfb110": "vmss-clients_5", "a155c249": "vmss-clients_6", "b5f4ba3f": "vmss-clients_4"}
    ids = {"82cfb110": "82cfb110-a840-5929-70a4-e83adcecaa5c", "a155c249": "a155c249-5e93-383a-7ccd-40cfb0961b73"}
    ids |= {"b5f4ba3f": "b5f4ba3f-932d-6647-96e4-555c3981c292", "897410d3": "", "76672d36": ""}
    lines = list(recorded_lines("10-events.json"))
    present = {
        event["Payload"]["Node"].get("ID") or event["Key"]
        for line in lines
        for event in line.get("Events", [])
        if event["Topic"] == "Node"
    }
    before = {"StartedAt": "2026-11-23T18:14:42Z", "Status": "complete"}
    tracker.catch_up(
        overview([node(each, "ready", before if each == ids["b5f4ba3f"] else None) for each in present], index=400)
    )
    for line in lines:
        for event in line.get("Events", []):
            if event["Topic"] == "Node":
                event["Payload"]["Node"].setdefault("ID", event["Key"])

    seen = sightings(tracker, lines)

    drained = (Cause.DRAIN_COMPLETE, {"node": ids["82cfb110"], "name": names["82cfb110"]})
    assert seen == [(499, *drained), (503, *drained)]


def test_lines_the_broker_replays_to_a_new_subscriber_are_not_news():
    tracker = Tracker()
    tracker.catch_up(overview(index=21))

    assert sightings(tracker, recorded_lines("13-events-blocked.json")) == []


def test_a_line_read_twice_is_news_once():
    tracker = Tracker()
    tracker.catch_up(overview())
    lines = list(recorded_lines("13-events-blocked.json"))
    sightings(tracker, lines)

    assert sightings(tracker, lines) == []


@pytest.mark.parametrize(
    ("before", "after", "cause"),
    [
        ("initializing", "ready", [Cause.NODE_READY]),
        ("down", "ready", [Cause.NODE_READY]),
        ("ready", "down", [Cause.NODE_DOWN]),
        ("disconnected", "down", [Cause.NODE_DOWN]),
        ("ready", "disconnected", []),
        ("ready", "ready", []),
        ("down", "down", []),
    ],
)
def test_a_node_is_news_when_its_status_becomes_ready_or_down(before, after, cause):
    tracker = Tracker()
    tracker.catch_up(overview([node("n1", before)]))
    line = {
        "Index": 5,
        "Events": [{"Topic": "Node", "Type": "NodeStreamEvent", "Payload": {"Node": node("n1", after)}}],
    }

    assert [seen.cause for seen in tracker.read(line)] == cause


def test_what_happened_while_the_stream_was_broken_is_seen_at_the_next_connection():
    tracker = Tracker()
    tracker.catch_up(overview([node("n1", "ready"), node("n2", "ready")], index=10))

    missed = tracker.catch_up(
        overview(
            [node("n1", "down"), node("n2", "ready", {"StartedAt": "s", "Status": "complete"}), node("n3", "ready")],
            [
                {"ID": "old", "JobID": "a", "Namespace": "default", "ModifyIndex": 9},
                {"ID": "new", "JobID": "b", "Namespace": "default", "ModifyIndex": 17},
            ],
            index=20,
        )
    )

    assert [(seen.cause, seen.ids.get("node") or seen.ids["evaluation"]) for seen in missed] == [
        (Cause.NODE_DOWN, "n1"),
        (Cause.DRAIN_COMPLETE, "n2"),
        (Cause.NODE_READY, "n3"),
        (Cause.EVALUATION_BLOCKED, "new"),
    ]
    assert tracker.resume_index() == 21


def test_the_first_connection_finds_nothing_new_however_bad_the_world_is():
    bad = overview([node("n1", "down")], [{"ID": "e", "ModifyIndex": 3}], index=5)

    assert Tracker().catch_up(bad) == []


def test_a_restored_cluster_with_a_lower_index_is_followed_from_there_and_not_ignored_until_it_catches_up():
    tracker = Tracker()
    tracker.catch_up(overview([node("n1", "ready")], index=5000))

    assert tracker.catch_up(overview([node("other", "ready")], index=40)) == []
    assert tracker.resume_index() == 41


def test_a_purged_node_that_comes_back_is_ready_news():
    tracker = Tracker()
    tracker.catch_up(overview([node("n1", "ready")]))
    event = {"Topic": "Node", "Type": "NodeDeregistration", "Payload": {"Node": node("n1", "ready")}}
    assert tracker.read({"Index": 5, "Events": [event]}) == []

    back = {"Topic": "Node", "Type": "NodeRegistration", "Payload": {"Node": node("n1", "ready")}}

    assert [seen.cause for seen in tracker.read({"Index": 6, "Events": [back]})] == [Cause.NODE_READY]


@pytest.mark.parametrize("line", [{}, {"Index": 9}, {"Index": 9, "Events": None}, {"Index": 9, "Events": [{}]}])
def test_heartbeats_and_events_without_a_payload_say_nothing(line):
    assert Tracker().read(line) == []
