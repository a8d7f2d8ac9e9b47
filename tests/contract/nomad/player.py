"""Replays recorded steps against a subject: sends each request with the identifiers of the subject, compares the answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tests.contract.nomad import special
from tests.contract.nomad.comparing import Comparer, aligned, kind, normal
from tests.contract.nomad.observing import observe
from tests.contract.nomad.recorded import NODE_IDS, REIMAGED, UUID, Step
from tests.contract.nomad.script import BEFORE, EVENTS, client
from tests.contract.nomad.trimming import HISTORY, trim

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.contract.nomad.subjects import ClientSpec, Observed, Subject

_NODES = {*NODE_IDS.values(), REIMAGED}
_TOKEN = re.compile(r"<token: ([^>]+)>")


@dataclass(slots=True)
class Result:
    """What came of a step: its differences (none is good), how much was compared, or why it could not be tried."""

    step: Step
    differences: list[str] = field(default_factory=list)
    compared: int = 0


class Player:
    """Plays steps in order. `ids` leads from recorded identifiers to the subject's, `indexes` from index to index."""

    def __init__(self, subject: Subject, agents: dict[str, str] | None = None) -> None:
        self.subject = subject
        self.agents = agents or {}
        self.ids: dict[str, str] = {}
        self.indexes: dict[int, int] = {}
        self.tokens: dict[str, str] = {}
        self.swapped: dict[str, str] = {}
        self.node = ""
        self.results: dict[tuple[str, int], Result] = {}

    def play(self, steps: Iterable[Step]) -> None:
        """Play steps with the pauses between them."""
        before = None
        for step in steps:
            if before is not None and before.file == step.file:
                self._pause(before, step)
            before = step
            result = Result(step)
            self.results[step.key] = result
            try:
                self._play(step, result)
            except Exception as exc:  # noqa: BLE001 - a step that cannot be played is a difference, not the end
                result.differences.append(f"could not be played: {type(exc).__name__}: {exc}")

    def _pause(self, before: Step, step: Step) -> None:
        passed = float(before.response.get("elapsed_s") or 0) if before.request else 0.0
        gap = step.at - before.at - passed
        gap = special.PAUSES.get(step.key, gap)
        if step.request and gap > 0.01:
            self.subject.rest(min(gap, special.LONGEST_PAUSE))

    def _play(self, step: Step, result: Result) -> None:
        prepare = BEFORE.get(step.key)
        if prepare is not None:
            prepare(self)
        if step.request:
            self._aim(step)
            special.resolve(step, self)
            self._request(step, result)
        elif step.key in EVENTS:
            EVENTS[step.key](self)
            result.compared = 1
        else:
            observe(self, step, result)

    def _request(self, step: Step, result: Result) -> None:
        started = self.subject.clock()
        answer = self.ask(step)
        took = self.subject.clock() - started
        self._learn_headers(step, answer)
        compared = compare(step, answer, self)
        result.differences += compared.differences
        result.compared += compared.compared
        _check_duration(step, took, result)

    def ask(self, step: Step) -> Observed:
        """Send the request of a step in the subject's terms."""
        request = step.request
        query = request.get("query") or {}
        if isinstance(query, str):
            query = special.parsed(query)
        headers = {name: self.header(value) for name, value in (request.get("headers") or {}).items()}
        agent = request.get("agent") or special.AGENTS.get(step.file, "127.0.1.1:4646")
        sent = {name: self._query(name, value) for name, value in query.items()}
        body = special.body(step, self)
        return self.subject.send(
            request["method"],
            self.outward(request["path"]),
            sent,
            headers,
            body,
            self._swap(self.agents.get(agent, agent)),
        )

    def header(self, value: str) -> str:
        """Put secrets for the names of policies."""
        filled = _TOKEN.sub(lambda match: self.tokens[match.group(1)], value)
        return self.outward(filled)

    def _query(self, name: str, value: Any) -> Any:
        if isinstance(value, list):
            return [self._query(name, entry) for entry in value]
        if name in {"index", "cas"} and str(value).isdigit():
            return str(self.indexes.get(int(value), value))
        if name == "prefix" and re.fullmatch(r"[0-9a-f]{6,8}", str(value)):
            full = next((rec for rec in self.ids if rec.startswith(value)), None)
            return self.ids[full][: len(value)] if full else value
        return self.outward(str(value))

    def outward(self, text: str) -> str:
        """Put the subject's identifiers for the recorded ones."""
        text = UUID.sub(lambda match: self.ids.get(match.group(), match.group()), text)
        return self._swap(text)

    def inward(self, text: str) -> str:
        """Put the recorded names for nodes that play another node's part."""
        return self._swap(text)

    def _swap(self, text: str) -> str:
        if not self.swapped:
            return text
        pattern = re.compile("|".join(re.escape(name) for name in self.swapped))
        return pattern.sub(lambda match: self.swapped[match.group()], text)

    def swap(self, recorded: str, actual: str) -> None:
        """Let the node `actual` play the part of `recorded` (and the other way round)."""
        if recorded == actual:
            return
        for one, other in ((recorded, actual), (NODE_IDS[recorded], NODE_IDS[actual])):
            self.swapped[one], self.swapped[other] = other, one

    def _aim(self, step: Step) -> None:
        """Where a recorded drain hit the node of a certain job, hit that job's node here."""
        match = re.match(r"/v1/node/([0-9a-f-]{36})", step.request["path"])
        if match:
            self.node = match.group(1)
        job = special.TARGETS.get(step.key)
        if job is None:
            return
        self.swapped.clear()
        counts: dict[str, int] = {}
        for alloc in self.read(f"/v1/job/{job}/allocations"):
            if alloc["DesiredStatus"] == "run" and alloc["ClientStatus"] in {"running", "pending"}:
                counts[alloc["NodeName"]] = counts.get(alloc["NodeName"], 0) + 1
        recorded = next(name for name, ident in NODE_IDS.items() if ident == self.node)
        if counts and counts.get(recorded, 0) < max(counts.values()):
            self.swap(recorded, max(sorted(counts), key=lambda name: counts[name]))

    def _learn_headers(self, step: Step, answer: Observed) -> None:
        recorded = step.response.get("headers", {}).get("X-Nomad-Index")
        actual = answer.headers.get("X-Nomad-Index")
        if recorded and actual and int(recorded) > 2:
            self.indexes[int(recorded)] = int(actual)

    def learn(self, want: Any, got: Any) -> None:
        """Learn identifiers and indexes from an answer beside its recording."""
        if isinstance(want, dict) and isinstance(got, dict):
            for key in want.keys() & got.keys():
                self._learn_value(key, want[key], got[key])
        elif isinstance(want, list) and isinstance(got, list) and len(got) >= len(want):
            for one, other in aligned(want, got):
                self.learn(one, other)
                self._learn_value("", one, other)

    def _learn_value(self, key: str, want: Any, got: Any) -> None:
        if isinstance(want, str) and isinstance(got, str) and UUID.fullmatch(want) and UUID.fullmatch(got):
            if (
                want not in _NODES and key != "SigningKeyID"
            ):  # clients have the recorded IDs; which of them an allocation has, is chance
                self.ids.setdefault(want, got)
        elif key in {"ModifyIndex", "Index"} and isinstance(want, int) and want > 2:
            self.indexes[want] = got
        elif isinstance(want, (dict, list)):
            self.learn(want, got)

    # What the script does between the recorded requests.

    def manage(self, method: str, path: str, body: Any, query: dict[str, str] | None = None) -> Observed:
        """Do something with the management token, unrecorded."""
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"X-Nomad-Token": self.tokens.get("management", "")}
        return self.subject.send(method, path, query or {}, headers, raw, self._agent())

    def _agent(self) -> str:
        return next(iter(self.agents.values()), special.alive(self.subject))

    def read(self, path: str, query: dict[str, str] | None = None) -> Any:
        return self.manage("GET", path, None, query).json()

    def make_token(self, policy: str) -> None:
        made = self.manage("PUT", "/v1/acl/token", {"Name": policy, "Type": "client", "Policies": [policy]})
        self.tokens[policy] = made.json()["SecretID"]

    def start_client(self, spec: ClientSpec, *, fresh: bool = False) -> None:
        self.subject.start_client(spec, fresh=fresh)

    def ready(self, count: int) -> None:
        """Wait until as many nodes are ready."""
        for _ in range(300):
            if sum(node["Status"] == "ready" for node in self.read("/v1/nodes")) >= count:
                return
            self.subject.rest(0.1)
        raise TimeoutError(f"{count} nodes did not become ready")

    def complete_quorum(self) -> None:
        """Start the other two servers; wait for a leader, and for the first server to lead, as it did."""
        self.subject.start_server(1)
        self.subject.start_server(2)
        special.lead(self)

    def purge_jobs(self, keep: Iterable[str]) -> None:
        """Stop and purge all jobs but some, and wait until their tasks are gone."""
        for job in self.read("/v1/jobs"):
            if job["ID"] not in keep:
                self.manage("DELETE", f"/v1/job/{quote(job['ID'], safe='')}", None, {"purge": "true"})
        kept = set(keep)
        for _ in range(200):
            allocs = self.read("/v1/allocations")
            live = {a["JobID"] for a in allocs if a["ClientStatus"] in {"running", "pending"}} - kept
            if not live:
                return
            self.subject.rest(0.1)

    def all_eligible(self) -> None:
        """End all drains and make every node eligible."""
        self.swapped.clear()
        for node in self.read("/v1/nodes"):
            path = f"/v1/node/{node['ID']}"
            if node["Drain"]:
                self.manage("PUT", f"{path}/drain", {"DrainSpec": None, "MarkEligible": True})
            if node["SchedulingEligibility"] != "eligible":
                self.manage("PUT", f"{path}/eligibility", {"Eligibility": "eligible"})

    def hold(self, eligibility: str, *names: str) -> None:
        """Set the eligibility of some nodes, of all when none is named."""
        for node in self.read("/v1/nodes"):
            if not names or node["Name"] in names:
                self.manage("PUT", f"/v1/node/{node['ID']}/eligibility", {"Eligibility": eligibility})

    def later(self, seconds: float, act: Callable[[], object]) -> None:
        self.subject.later(seconds, lambda: act() and None)

    def restart_client(self, number: int) -> None:
        self.start_client(client(number))


def compare(step: Step, answer: Observed, player: Player) -> Any:
    """Compare an answer with the recorded one."""
    want = step.response
    loose = step.key in HISTORY
    machine = player.subject.real
    comparer = Comparer(partial=bool(step.trimmed), machine=machine, loose=loose)
    verdict = comparer.verdict
    if step.file == "10-events":
        special.stream(step, answer, verdict)
        return verdict
    comparer.compare("status", want["status"], answer.status)
    _headers(want.get("headers") or {}, answer, comparer)
    if want.get("body_kind") == "empty":
        comparer.compare("body", 0, len(answer.body))
    elif want.get("body_kind") == "text" and isinstance(want.get("body"), str):
        text = player.inward(answer.body.decode("utf-8", "replace"))
        special.text(step, want["body"], text, verdict)
    elif want.get("body_kind") == "json":
        got = json.loads(player.inward(answer.body.decode() or "null"))
        wanted, got = trim(step, want["body"], got)
        player.learn(wanted, got)
        special.keep_token(step, got, player)
        comparer.compare("body", wanted, got)
    return verdict


def _headers(want: dict[str, str], answer: Observed, comparer: Comparer) -> None:
    got = {name.lower(): value for name, value in answer.headers.items()}
    for name, value in want.items():
        if name.startswith("X-Nomad") or name in {"Content-Type", "Digest"}:
            actual = got.get(name.lower())
            if actual is None:
                comparer.verdict.note(f"header {name}", "is missing")
            elif name in {"Content-Type", "X-Nomad-Knownleader"}:
                comparer.compare(f"header {name}", value, actual)
            else:
                comparer.verdict.compared += 1
    for name in got:
        if name.startswith("x-nomad") and name not in {known.lower() for known in want}:
            comparer.verdict.note(f"header {name}", "should not be there")


def _check_duration(step: Step, took: float, result: Result) -> None:
    recorded = float(step.response.get("elapsed_s") or 0)
    waits = "wait" in (step.request.get("query") or {})
    if waits and not 0.85 * recorded - 0.3 <= took <= 1.3 * recorded + 1.0:
        result.differences.append(f"took {took:.1f} s, recorded {recorded:.1f} s")


__all__ = ["Player", "Result", "kind", "normal"]
