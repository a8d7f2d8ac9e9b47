"""What single steps of the recordings need to be said about: how they were trimmed, written down, or aimed."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from tests.contract.nomad.comparing import Verdict, normal

if TYPE_CHECKING:
    from tests.contract.nomad.player import Player
    from tests.contract.nomad.recorded import Step
    from tests.contract.nomad.subjects import Observed, Subject

LONGEST_PAUSE = 12.0
"""Seconds: longer pauses in the recording were the recorder's, not the cluster's."""

PAUSES = {("02-demand", 5): 1.5, ("02-demand", 18): 2.8, ("03-capacity-arrives", 20): 3.0}
"""Pauses other than the recorded ones: the recorder's requests ran a race with the deployment watcher, by 10 ms."""

AGENTS = {"12-blocking-leader": "127.0.1.2:4646"}
"""The usual agent of a file, where it is not the first server."""

TARGETS: dict[tuple[str, int], str] = {
    ("04-drain", 12): "api",
    ("04-drain", 35): "api",
    ("04-drain", 43): "long",
    ("04-drain", 48): "big",
    ("04-drain", 71): "single",
}
"""Drains that were aimed at a node with allocations of a job: which node that is, is the scheduler's chance."""


def alive(subject: Subject) -> str:
    """The address of a server that runs."""
    return getattr(subject, "alive", "127.0.1.1:4646")


def parsed(query: str) -> dict[str, Any]:
    return dict(parse_qs(query, keep_blank_values=True))


def body(step: Step, player: Player) -> bytes:
    """The bytes of a request's body; descriptions in words are turned into what they describe."""
    given = step.request.get("body")
    if given is None:
        return b""
    if isinstance(given, str):
        if "70000 characters" in given:
            return json.dumps({"Path": "leases/large", "Items": {"a": "x" * 70000}}).encode()
        return given.encode()
    return player.outward(json.dumps(given)).encode()


def stream(step: Step, answer: Observed, verdict: Verdict) -> None:
    """Compare an event stream: refusals as they are; lines by their shape, and by what was asked for."""
    want = step.response
    verdict.compared += 2
    if want["status"] != answer.status:
        verdict.note("status", f"expected {want['status']}, got {answer.status}")
    kind = want["headers"]["Content-Type"]
    if answer.headers.get("Content-Type") != kind:
        verdict.note("header Content-Type", f"expected {kind}, got {answer.headers.get('Content-Type')}")
    if want.get("body"):
        text(step, want["body"], answer.body.decode(), verdict)
        return
    lines = [json.loads(line) for line in answer.body.splitlines() if line.strip()]
    recorded = [entry["line"] for entry in want["lines (payloads dropped)"] if "line" in entry]
    if not lines or lines[0] != {}:
        verdict.note("stream", "does not begin with an empty object")
    _lines(step, lines, recorded, verdict)


def _lines(step: Step, lines: list[Any], recorded: list[Any], verdict: Verdict) -> None:
    topics = {event["Topic"] for line in recorded for event in line.get("Events", [])}
    for event in (event for line in lines for event in line.get("Events", [])):
        verdict.compared += 1
        if topics and step.number != 8 and event["Topic"] not in topics:
            verdict.note("stream", f"an event of topic {event['Topic']} that was not asked for")
        if set(event) != {"Topic", "Type", "Key", "Namespace", "FilterKeys", "Index", "Payload"}:
            verdict.note("stream", f"an event with the keys {sorted(event)}")
    # With an index far ahead the newest batch is sent, whatever it is about; and no node need be in the buffer.
    if step.number not in {9, 11} and bool(topics) != any(line.get("Events") for line in lines):
        verdict.note("stream", f"expected events of {sorted(topics)}, got {len(lines)} lines")


RESOLVE: dict[tuple[str, int], tuple[str, dict[str, str]]] = {
    ("04-drain", 18): ("api", {"DesiredStatus": "stop"}),
    ("04-drain", 45): ("long", {"DesiredStatus": "stop"}),
    ("05-node-lifecycle", 10): ("svc", {"ClientStatus": "lost"}),
    ("02-demand", 143): ("cores2", {}),
    ("02-demand", 146): ("aff", {}),
}
"""Allocations that the recorder picked by hand: of which job, and in which state."""


def resolve(step: Step, player: Player) -> None:
    """Find what stands for an identifier that no recorded answer had before."""
    wanted = RESOLVE.get(step.key)
    if wanted is None:
        return
    job, states = wanted
    recorded = step.request["path"].rsplit("/", 1)[1]
    allocs = player.read(f"/v1/job/{job}/allocations")
    for alloc in sorted(allocs, key=lambda entry: entry["CreateIndex"]):
        if all(alloc[name] == value for name, value in states.items()):
            player.ids[recorded] = alloc["ID"]


def text(step: Step, want: str, got: str, verdict: Verdict) -> None:
    """Compare an error text."""
    verdict.compared += 1
    if "text cut" in step.trimmed:
        got = got[: len(want)]
        want, got = want[:100], got[:100]
    if want.startswith("#") or "{" in want[:1]:
        return  # Prometheus text: compared family by family elsewhere
    if normal(want) != normal(got) and not _alike(want, got):
        verdict.note("text", f"expected {want!r:.200}, got {got!r:.200}")


def _alike(want: str, got: str) -> bool:
    # During an election one of several texts appears, and addresses are those of whoever led.
    rpc = re.compile(r"rpc error|No cluster leader")
    return bool(rpc.search(want) and rpc.search(got))


def keep_token(step: Step, got: Any, player: Player) -> None:
    """Remember secrets that later steps name by their policy."""
    if not isinstance(got, dict) or "SecretID" not in got:
        return
    names = {
        ("06-acl-bootstrap", 9): "management",
        ("06-acl", 11): "node-read",
        ("06-acl", 12): "expiring",
        ("07-snapshot", 2): "snap-management",
        ("07-snapshot", 11): "fresh-management",
        ("08-tls-reload", 1): "tls-management",
    }
    name = names.get(step.key)
    if name:
        player.tokens[name] = got["SecretID"]


def lead(player: Player) -> None:
    """Wait for a leader; on real servers, until the first one leads (each election is a lottery)."""
    for _ in range(12):
        leader = _leader(player)
        if leader.startswith("127.0.1.1:"):
            return
        number = int(leader.split(":")[0].rsplit(".", 1)[1]) - 1
        player.subject.kill_server(number)
        player.subject.rest(4.0)
        _leader(player)
        player.subject.start_server(number)
        player.subject.rest(3.0)
    raise TimeoutError("the first server never led")


def _leader(player: Player, agent: str = "127.0.1.1:4646") -> str:
    for _ in range(60):
        answer = player.subject.send("GET", "/v1/status/leader", {}, {}, b"", agent)
        if answer.status == 200 and answer.json():
            return str(answer.json())
        player.subject.rest(0.5)
    raise TimeoutError("no leader")
