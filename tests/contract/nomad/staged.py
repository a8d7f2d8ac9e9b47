"""Observations with a course of their own: a race, the death of a leader, a full house of connections."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tests.contract.nomad import observing
from tests.contract.nomad.special import _leader

if TYPE_CHECKING:
    from tests.contract.nomad.player import Player, Result
    from tests.contract.nomad.recorded import Step


def _race(player: Player, step: Step, result: Result) -> None:
    """Twenty writers create one variable at once: one wins."""
    statuses: list[int] = []
    headers = {"X-Nomad-Token": player.tokens["leases"]}

    def write(number: int) -> None:
        agent = f"127.0.1.{number % 3 + 1}:4646"
        body = b'{"Path": "leases/race", "Items": {"holder": "%d"}}' % number
        statuses.append(player.subject.send("PUT", "/v1/var/leases/race", {"cas": "0"}, headers, body, agent).status)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(20)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    counts = {str(status): statuses.count(status) for status in set(statuses)}
    result.compared += 2
    if counts != step.observed["statuses"]:
        result.differences.append(f"expected {step.observed['statuses']}, got {counts}")


def _leader_dies(player: Player, _step: Step, result: Result) -> None:
    """Plain reads fail at once, then wait; stale reads never fail; another server leads and answers within seconds."""
    subject, token = player.subject, {"X-Nomad-Token": player.tokens["reader"]}
    follower = "127.0.1.2:4646"
    subject.kill_server(0)
    started = subject.clock()
    first = subject.send("GET", "/v1/nodes", {}, token, b"", follower)
    if first.status != 500 or not (b"rpc error" in first.body or b"No cluster leader" in first.body):
        result.differences.append(f"the first read after the kill answered {first.status} {first.body[:80]!r}")
    answered = 0.0
    while subject.clock() - started < 30:
        stale = subject.send("GET", "/v1/nodes", {"stale": "true"}, token, b"", follower)
        result.compared += 1
        if stale.status != 200:
            result.differences.append(f"a stale read answered {stale.status}")
        if subject.send("GET", "/v1/nodes", {}, token, b"", follower).status == 200:
            answered = subject.clock() - started
            break
        subject.rest(0.1)
    result.compared += 2
    if not 1.0 < answered < 20:
        result.differences.append(f"plain reads were answered again after {answered:.1f} s")
    _follow_the_leader(player)
    subject.rest(15.0)


def _follow_the_leader(player: Player) -> None:
    """Let whoever won the election play the part of the server that won it in the recording."""
    if _leader(player, "127.0.1.2:4646").startswith("127.0.1.3:"):
        pairs = (("127.0.1.2", "127.0.1.3"), ("nomad-server-1", "nomad-server-2"))
        for one, other in pairs:
            player.swapped[one], player.swapped[other] = other, one


def _comes_back(player: Player, _step: Step, result: Result) -> None:
    """The removed server, started again, comes back as a non-voter and later votes."""
    player.subject.start_server(0)
    started, seen = player.subject.clock(), []
    while player.subject.clock() - started < 110:
        shown = player.manage("GET", "/v1/operator/autopilot/health", None).json()
        server = next((s for s in shown["Servers"] if s["Name"] == "nomad-server-0.global"), None)
        state = "gone" if server is None else "voter" if server["Voter"] else "non-voter"
        if not seen or seen[-1] != state:
            seen.append(state)
        if seen[-1] == "voter" and "non-voter" in seen:
            break
        player.subject.rest(0.25)
    result.compared += 2
    if seen[-2:] != ["non-voter", "voter"]:
        result.differences.append(f"expected gone, non-voter, voter; saw {seen}")


def _back_to_quorum(player: Player, _step: Step, result: Result) -> None:
    player.subject.start_server(0)
    player.subject.start_server(int(player.inward("nomad-server-2")[-1]))
    player.swapped.clear()
    result.compared += 1
    if not _leader(player):
        result.differences.append("no leader")
    player.subject.rest(2.0)


def _reset_file(player: Player, _step: Step, result: Result) -> None:
    result.compared += 1  # whether a file lies on a server's disk is no matter of the API


observing.OTHERS.update(
    {
        ("11-variables", 40): _race,
        ("12-blocking-leader", 20): _leader_dies,
        ("12-blocking-leader", 33): _comes_back,
        ("12-blocking-leader", 49): _back_to_quorum,
        ("06-acl", 62): _reset_file,
    }
)
