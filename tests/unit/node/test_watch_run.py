"""The watcher as the machines run it, between a Nomad agent, an identity and a queue on loopback."""

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from keepernode.clock import pause, ticking
from keepernode.identity import IdentityEndpoint
from keepernode.watch.config import WatchConfig
from keepernode.watch.run import Watcher
from node_paper import PYTHON_3_10
from node_standins import FakeIdentity, FakeNomad, FakeQueue, eventually

PROGRAM = Path(__file__).parents[3] / "cloud-init" / "node" / "keeper_node.py"


class World:
    def __init__(self, tmp_path):
        self.nomad, self.queue, self.identity = FakeNomad(), FakeQueue(), FakeIdentity()
        self.token_file = tmp_path / "nomad.token"
        self.token_file.write_text("secret-token\n")
        self.watchers = []

    def config(self, **more):
        fields = {
            "nomad_address": self.nomad.url,
            "queue_url": f"{self.queue.url}/devstoreaccount1/keeper",
            "node_name": "nomad-server-0",
            "nomad_token_file": str(self.token_file),
            "interval_seconds": 0.2,
            "backoff_limit_seconds": 0.1,
        }
        return fields | more

    def watch(self, **more):
        endpoint = IdentityEndpoint(f"{self.identity.url}/msi/token", "lab-secret")
        watcher = Watcher(WatchConfig.parse(self.config(**more)), endpoint)
        thread = threading.Thread(target=watcher.run)
        thread.start()
        self.watchers.append((watcher, thread))
        eventually(lambda: self.nomad.following() and self.identity.asked)
        pause(0.02)
        return watcher

    def close(self):
        for watcher, thread in self.watchers:
            watcher.stop()
            thread.join(5)
            assert not thread.is_alive()
            assert watcher.failure is None
        self.nomad.cut()
        for server in (self.nomad, self.queue, self.identity):
            server.close()

    def causes(self):
        return [message["cause"] for message in self.queue.messages]


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.close()


def test_a_blocked_evaluation_is_on_the_queue_within_a_tenth_of_a_second(world):
    world.watch()
    before = ticking()

    world.nomad.block("e1", "web")

    eventually(lambda: world.queue.messages)
    assert world.queue.arrivals[0] - before <= 0.1
    message = world.queue.messages[0]
    at = message.pop("at")
    assert at.endswith("Z")
    assert message == {
        "kind": "nudge",
        "controller": "autoscale",
        "cause": "evaluation-blocked",
        "source": "watcher/nomad-server-0",
        "detail": {
            "evaluation": "e1",
            "job": "web",
            "namespace": "default",
            "sightings": 1,
            "causes": ["evaluation-blocked"],
        },
    }


def test_a_node_that_goes_down_or_comes_and_a_drain_that_ends_are_told(world):
    world.nomad.node("n1", "ready")
    world.watch(interval_seconds=0.01)
    for status, more in (
        ("down", {}),
        ("ready", {}),
        ("ready", {"kind": "NodeDrain", "LastDrain": {"Status": "draining", "StartedAt": "s"}}),
        ("ready", {"kind": "NodeDrain", "LastDrain": {"Status": "complete", "StartedAt": "s"}}),
    ):
        pause(0.05)
        world.nomad.node("n1", status, **more)

    eventually(lambda: len(world.queue.messages) == 3)
    assert world.causes() == ["node-down", "node-ready", "drain-complete"]
    assert world.queue.messages[0]["detail"]["node"] == "id-n1"


def test_a_storm_is_told_at_once_and_once_more_with_the_last_cause(world):
    world.watch()
    world.nomad.block("first")
    eventually(lambda: world.queue.messages)
    for number in range(49):
        world.nomad.block(f"e{number}")
    world.nomad.node("late", "ready")

    eventually(lambda: len(world.queue.messages) >= 2)
    pause(0.3)
    assert world.causes() == ["evaluation-blocked", "node-ready"]
    assert sum(message["detail"]["sightings"] for message in world.queue.messages) == 51
    assert world.queue.arrivals[1] - world.queue.arrivals[0] >= 0.19


def test_a_follower_is_silent(world):
    world.nomad.leader = False
    world.watch(takeover_seconds=0.1)
    world.nomad.block("e1")
    pause(1.3)

    assert world.queue.messages == []


def test_a_follower_that_becomes_the_leader_tells_what_it_has_just_seen(world):
    world.nomad.leader = False
    world.watch(nomad_rpc_address="10.0.10.4:4647")
    world.nomad.block("e1")
    pause(0.1)
    assert world.queue.messages == []

    world.nomad.leader = True

    eventually(lambda: world.causes() == ["evaluation-blocked"])


def test_a_broken_stream_is_taken_up_again_without_telling_old_news_twice(world):
    world.watch(interval_seconds=0.01)
    world.nomad.block("e1")
    eventually(lambda: len(world.queue.messages) == 1)
    world.nomad.cut()
    eventually(world.nomad.following)
    pause(0.1)
    assert len(world.queue.messages) == 1

    world.nomad.block("e2")

    eventually(lambda: len(world.queue.messages) == 2)
    assert world.queue.messages[1]["detail"]["evaluation"] == "e2"
    assert world.nomad.stream_indexes == [11, 12]


def test_a_watcher_started_late_does_not_tell_what_the_buffer_still_holds(world):
    world.nomad.block("e1")
    world.nomad.node("n1", "down")

    world.watch(interval_seconds=0.01)
    pause(0.1)

    assert world.queue.messages == []


def test_a_queue_that_refuses_for_a_while_gets_the_last_cause_in_the_end(world):
    world.watch(interval_seconds=0.01)
    world.queue.refuse = [503, 403, 500]
    world.nomad.block("e1")
    world.nomad.block("e2")

    eventually(lambda: world.queue.messages)
    assert world.queue.messages[-1]["detail"]["evaluation"] == "e2"
    assert world.queue.requests[0][3]["x-ms-version"]


def test_a_refused_nomad_token_says_which_rights_are_missing_and_a_new_token_file_is_picked_up(world, capsys):
    world.token_file.write_text("wrong")
    endpoint = IdentityEndpoint(f"{world.identity.url}/msi/token", "lab-secret")
    watcher = Watcher(WatchConfig.parse(world.config()), endpoint)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    world.watchers.append((watcher, thread))
    eventually(lambda: "node:read" in capsys.readouterr().out)

    world.token_file.write_text("secret-token")

    eventually(world.nomad.following)


@pytest.mark.parametrize("python", [sys.executable, PYTHON_3_10], ids=["this Python", "Python 3.10"])
def test_the_command_stops_on_a_signal_and_leaks_no_token_into_its_journal(world, tmp_path, python):
    if python is None:
        pytest.skip("no Python 3.10 here")
    config = tmp_path / "watcher.json"
    config.write_text(json.dumps(world.config()))
    running = subprocess.Popen(
        [python, PROGRAM, "watch", "--config", config],
        env={"IDENTITY_ENDPOINT": f"{world.identity.url}/msi/token", "IDENTITY_HEADER": "lab-secret"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        eventually(lambda: world.nomad.following() and world.identity.asked, within=10)
        pause(0.05)
        world.nomad.block("e1")
        eventually(lambda: world.queue.messages)
        running.send_signal(signal.SIGTERM)
        output, _ = running.communicate(timeout=10)
    finally:
        running.kill()
        running.wait()

    assert running.returncode == 0
    events = [json.loads(line)["event"] for line in output.splitlines()]
    assert events[0] == "watcher.started"
    assert {"watcher.following", "watcher.leading", "watcher.nudged", "watcher.stopped"} <= set(events)
    for secret in ("secret-token", "lab-secret", "token-for"):
        assert secret not in output


def test_every_problem_of_the_configuration_is_told_at_once(tmp_path):
    config = tmp_path / "watcher.json"
    config.write_text(json.dumps({"nomad_address": "here", "interval_seconds": 0, "colour": "red"}))

    done = subprocess.run(
        [sys.executable, PROGRAM, "watch", "--config", config], capture_output=True, text=True, check=False
    )

    assert done.returncode == 2
    why = json.loads(done.stdout)["why"]
    for said in ("nomad_address must be", "queue_url is missing", "node_name is missing", "interval_seconds", "colour"):
        assert said in why
