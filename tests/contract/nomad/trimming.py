"""Cuts an answer as the recorder cut the recorded one; what it did is written into each step in words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.contract.nomad.comparing import aligned

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.nomad.recorded import Step

HISTORY = frozenset(
    {
        ("04-drain", 20),
        ("05-node-lifecycle", 21),
        ("05-node-lifecycle", 35),
        ("05-node-lifecycle", 41),
        ("03-capacity-arrives", 10),
        ("04-drain", 38),
        ("04-drain", 75),
    }
)
"""Lists that hold what happened before the recording began (rehearsals): each element must be like a recorded one."""


def trim(step: Step, want: Any, got: Any) -> tuple[Any, Any]:
    """Answer the recorded body and the subject's, cut alike."""
    if not step.trimmed or not isinstance(got, (list, dict)) or isinstance(want, str):
        return want, got  # "<served>" and the like: the recorder kept no more
    if isinstance(want, dict) and "Gauges" in want:
        return _gauges(want, got)
    got = _flattened(want, got)
    if step.key in HISTORY and isinstance(got, list):
        got = _recorded_jobs(want, got)
    for words, cut in _CUTS.items():
        if words in step.trimmed:
            return want, cut(want, got)
    return want, _by_shape(step, want, got)


def _flattened(want: Any, got: Any) -> Any:
    if isinstance(got, list) and isinstance(want, list) and want and "Summary" in want[0]:
        return [{**entry, "Summary": entry["JobSummary"]["Summary"]} for entry in got]
    return got


def _by_shape(step: Step, want: Any, got: Any) -> Any:
    if step.trimmed.startswith("first") and isinstance(want, list):
        return _first(want, got)
    if isinstance(want, list) and isinstance(got, dict):
        return got.get("Members", got)
    if step.request["path"] == "/v1/operator/autopilot/health":
        return _reduced_health(want, got)
    return got


def _jobs_of(entries: list[Any]) -> set[str]:
    """The jobs of recorded allocations; trimmed ones have only a name to tell."""
    return {str(entry.get("JobID") or entry.get("Name", "").split(".")[0]) for entry in entries}


def _recorded_jobs(want: list[Any], got: list[Any]) -> list[Any]:
    known = _jobs_of(want)
    if known == {""}:
        return got
    return [entry for entry in got if entry.get("JobID") is None or entry["JobID"] in known]


def _gauges(want: dict[str, Any], got: dict[str, Any]) -> tuple[Any, Any]:
    """Metrics: of each recorded family, the names of the labels; counters and samples by their shape."""

    def labels(body: dict[str, Any], names: set[str]) -> list[Any]:
        shown = {(g["Name"], *sorted(g["Labels"])) for g in body["Gauges"] if g["Name"] in names}
        return sorted(shown)

    names = {gauge["Name"] for gauge in want["Gauges"]}
    shapes = [{**body, "Gauges": [list(entry) for entry in labels(body, names)]} for body in (want, got)]
    for shape in shapes:
        for key in ("Counters", "Samples"):
            if key in shape:
                shape[key] = [dict.fromkeys(sorted(shape[key][0]), "<value>")] if shape[key] else []
    return shapes[0], shapes[1]


def _reduced_health(want: Any, got: Any) -> Any:
    if want.get("Servers") and isinstance(want["Servers"][0], list):
        wide = len(want["Servers"][0])
        keys = ("Name", "SerfStatus", "Healthy", "LastContact")[:wide]
        return {"Healthy": got["Healthy"], "Servers": [[s[key] for key in keys] for s in got["Servers"]]}
    return got


def _first(want: list[Any], got: list[Any]) -> list[Any]:
    """Of the answer, as many elements as the recorder kept, those most like the kept ones."""
    if len(got) < len(want):
        return got
    return [other for _, other in aligned(want, got)]


_CUTS: dict[str, Callable[[Any, Any], Any]] = {
    "one CPU": lambda _want, got: {**got, "CPU": got["CPU"][:1], "DiskStats": got["DiskStats"][:1]},
    "IDs only": lambda _want, got: [entry["ID"] for entry in got],
    "count only": lambda _want, got: {"count": len(got)},
    "only those whose DesiredStatus is not run": lambda _want, got: [e for e in got if e["DesiredStatus"] != "run"],
    "jobs api and log": lambda _want, got: [entry for entry in got if entry["JobID"] in {"api", "log"}],
}
