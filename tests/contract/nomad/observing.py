"""Observation steps: watch the subject until it went through the recorded states in their order."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from tests.contract.nomad.recorded import NODE_IDS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tests.contract.nomad.player import Player, Result
    from tests.contract.nomad.recorded import Step

type Row = dict[str, Any]
type Paths = dict[tuple[str, ...], list[list[str]]]

LASTING = 0.5
"""Seconds: a state that lasted shorter may be missed by either observer."""
POLL = 0.05


def observe(player: Player, step: Step, result: Result) -> None:
    """Play an observation; those that are no timeline are compared by the tests that carry their name."""
    recorded = step.observed.get("timeline")
    looker = _looker(player, step, recorded[0]) if recorded else None
    if looker is None:
        other = OTHERS.get(step.key)
        if other is not None:
            other(player, step, result)
        return
    wanted = _paths(_rows(recorded, step), last=float(recorded[-1]["t_s"]))
    limit = max(float(recorded[-1]["t_s"]) * 1.6 + 6.0, 8.0)
    rows: list[tuple[float, Row]] = []
    started = player.subject.clock()
    problems = ["nothing was observed"]
    version: object = None
    while player.subject.clock() - started < limit:
        if rows and version is not None and version == player.subject.version():
            player.subject.rest(POLL)
            continue
        version = player.subject.version()
        row = looker()
        if not rows or rows[-1][1] != row:
            rows.append((player.subject.clock() - started, row))
            problems = _missing(wanted, _paths(rows, last=0.0, every=True))
            if not problems:
                break
        player.subject.rest(POLL)
    result.compared += sum(len(path) for paths in wanted.values() for path in paths)
    result.differences += problems


def _rows(recorded: list[dict[str, Any]], step: Step) -> list[tuple[float, Row]]:
    here = _here(step)
    rows: list[tuple[float, Row]] = []
    for entry in recorded:
        row: Row = {}
        for name, value in entry.items():
            if name == "t_s":
                continue
            if name.startswith("allocs ["):
                row.update(_entities(value, here))
            elif name == "nodes named so":
                row.update({f"node {ident}": f"{status} {eligible}" for ident, status, eligible in value})
            else:
                row[name] = json.dumps(value, sort_keys=True)
        rows.append((float(entry["t_s"]), row))
    return rows


def _here(step: Step) -> str:
    """The name of the node that the observation is about."""
    text = json.dumps(step.observed.get("timeline"))
    ident = re.search(r'"nodes named so": \[\["([0-9a-f]{8})"', text)
    if ident:
        return next((name for name, full in NODE_IDS.items() if full.startswith(ident.group(1))), "vmss-clients_1")
    return HERE.get(step.key, "")


HERE = {
    ("04-drain", 17): "vmss-clients_5",
    ("04-drain", 22): "vmss-clients_5",
    ("04-drain", 36): "vmss-clients_0",
    ("04-drain", 41): "vmss-clients_4",
    ("04-drain", 44): "vmss-clients_4",
    ("04-drain", 50): "vmss-clients_2",
    ("04-drain", 56): "vmss-clients_0",
    ("04-drain", 65): "vmss-clients_0",
    ("04-drain", 68): "vmss-clients_0",
    ("04-drain", 72): "vmss-clients_0",
    ("04-drain", 80): "vmss-clients_0",
    ("04-drain", 86): "vmss-clients_3",
    ("04-drain", 88): "vmss-clients_3",
}
"""Which node each timeline of a drain watched."""


def _entities(allocs: Iterable[list[Any]], here: str) -> Row:
    """States by entity: group, whether on the watched node, and which of several that are otherwise alike."""
    row: Row = {}
    for name, node, desired, status, *migrate in sorted(allocs, key=json.dumps):
        place = "here" if node.split()[0] == here else "elsewhere"
        # The recorder read DesiredTransition only of allocations on the watched node.
        moved = " migrating" if place == "here" and migrate and migrate[0] is True else ""
        group = name.split("[")[0]
        number = 0
        while (key := f"alloc {group} {place} {name} {node} #{number}") in row:
            number += 1
        row[key] = f"{desired} {status}{moved}"
    return row


def _class(entity: str) -> tuple[str, ...]:
    return tuple(entity.split()[:3]) if entity.startswith("alloc ") else (entity,)


def _paths(rows: list[tuple[float, Row]], last: float, *, every: bool = False) -> Paths:
    """For each class of entities the sequences of states: those that lasted, or all of them."""
    entities = {entity for _, row in rows for entity in row}
    paths: Paths = {}
    for entity in sorted(entities):
        path = _path(rows, entity, last, every=every)
        if path:
            known = paths.setdefault(_class(entity), [])
            if path not in known:
                known.append(path)
    return paths


def _path(rows: list[tuple[float, Row]], entity: str, last: float, *, every: bool) -> list[str]:
    spans: list[tuple[str, float, float]] = []
    for at, row in rows:
        state = row.get(entity, "")
        if spans and spans[-1][0] == state:
            continue
        if spans:
            spans[-1] = (spans[-1][0], spans[-1][1], at)
        spans.append((state, at, last + LASTING))
    kept = [
        state
        for number, (state, start, end) in enumerate(spans)
        if every or number == len(spans) - 1 or (number and end - start >= LASTING)
    ]
    return [state for state in kept if state]


def _missing(wanted: Paths, seen: Paths) -> list[str]:
    problems: list[str] = []
    for group, paths in wanted.items():
        found = seen.get(group, [])
        problems += [
            f"{' '.join(group)}: never went {' > '.join(path)}; seen: {_shown(found)}"
            for path in paths
            if not any(_within(path, other) for other in found)
        ]
    return problems


def _shown(paths: list[list[str]]) -> str:
    return " | ".join(" > ".join(path) for path in paths[:4]) or "nothing"


def _within(path: list[str], longer: list[str]) -> bool:
    rest = iter(longer)
    return all(state in rest for state in path)


def _looker(player: Player, step: Step, row: dict[str, Any]) -> Callable[[], Row] | None:
    """How to look at the subject in the terms of a recorded row."""
    keys = set(row)
    if any(key.startswith("allocs [") for key in keys):
        return lambda: _look_at_allocs(player, step)
    if "summary" in keys:
        return lambda: _look_at_summary(player, step, keys)
    return None


def _jobs(step: Step) -> set[str]:
    rows = step.observed["timeline"]
    return {
        entry[0].split(".")[0]
        for row in rows
        for name, value in row.items()
        if name.startswith("allocs [")
        for entry in value
    }


def _look_at_allocs(player: Player, step: Step) -> Row:
    columns = next(name for name in step.observed["timeline"][0] if name.startswith("allocs ["))
    here, jobs = _here(step), _jobs(step)
    listed = []
    for alloc in json.loads(player.inward(json.dumps(player.read("/v1/allocations")))):
        if alloc["JobID"] in jobs:
            migrate = alloc["DesiredTransition"].get("Migrate")
            entry = [alloc["Name"], alloc["NodeName"], alloc["DesiredStatus"], alloc["ClientStatus"]]
            listed.append([*entry, migrate] if "Migrate" in columns else entry)
    row = _entities(listed, here)
    nodes = json.loads(player.inward(json.dumps(player.read("/v1/nodes"))))
    if "nodes named so" in step.observed["timeline"][0]:
        row.update(
            {
                f"node {node['ID'][:8]}": f"{node['Status']} {node['SchedulingEligibility']}"
                for node in nodes
                if node["Name"] == here
            }
        )
    else:
        row["node"] = json.dumps(_drained(next(n for n in nodes if n["Name"] == here)), sort_keys=True)
    return row


def _drained(node: dict[str, Any]) -> dict[str, Any]:
    return {
        "Drain": node["Drain"],
        "DrainStrategy": "set" if node["Drain"] else None,
        "SchedulingEligibility": node["SchedulingEligibility"],
        "LastDrain.Status": (node["LastDrain"] or {}).get("Status"),
    }


WATCHED = {
    ("03-capacity-arrives", 4): ("web", "vmss-clients_4", "f00176ce-5802-1b4f-c9d5-ca563120c8d6"),
    ("03-capacity-arrives", 14): ("web", "", "6c547013-966e-f4c5-02fe-84b4a1b6aae7"),
    ("03-capacity-arrives", 18): ("web2", "vmss-clients_5", "8d4156b3-ddbb-16b0-6f9a-a22963d6f5d1"),
    ("03-capacity-arrives", 19): ("web2", "vmss-clients_6", "8d4156b3-ddbb-16b0-6f9a-a22963d6f5d1"),
}
"""Job, new node and blocked evaluation that the timelines of waiting work watched."""


def _look_at_summary(player: Player, step: Step, keys: set[str]) -> Row:
    job, name, blocked = WATCHED[step.key]
    shown = player.read(f"/v1/job/{job}/summary")["Summary"]["g"]
    wanted = step.observed["timeline"][0]["summary"]
    row: Row = {"summary": json.dumps({key: shown[key] for key in wanted}, sort_keys=True)}
    node = next((n for n in player.read("/v1/nodes") if n["Name"] == name), None)
    if "node" in keys:
        row["node"] = json.dumps(node["Status"] if node else None)
        row["node_eligibility"] = json.dumps(node["SchedulingEligibility"] if node else None)
        allocs = player.read(f"/v1/node/{node['ID']}/allocations") if node else []
        row["allocs_on_new_node"] = json.dumps(sorted(alloc["ClientStatus"] for alloc in allocs))
    status = _status(player, blocked)
    for key in ("blocked_eval_status", "first_blocked_eval_status"):
        if key in keys and status:
            row[key] = json.dumps(status)
    if "blocked_evals_of_job" in keys:
        row["blocked_evals_of_job"] = json.dumps(len(player.read("/v1/evaluations", {"status": "blocked", "job": job})))
    return row


def _status(player: Player, recorded: str) -> str:
    ident = player.ids.get(recorded)
    return player.read(f"/v1/evaluation/{ident}")["Status"] if ident else ""


OTHERS: dict[tuple[str, int], Callable[[Player, Step, Result], None]] = {}
"""Observations that are neither events nor timelines; filled by `staged`."""
