"""/v1/job/:id and what may follow the ID. Held to tests/recordings/nomad-1.6.5/02-demand.json."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import NOTHING
from lab.nomad.http.decode import MapOf, Struct, decode
from lab.nomad.http.endpoints.job_extras import SUBMISSIONS, check_prior_version, mark_stable, scale_status
from lab.nomad.http.endpoints.jobs import PLAN, SCALE, check_priority, check_registrations, given_job, register
from lab.nomad.http.gotext import parse_uint
from lab.nomad.model.errors import Refusal
from lab.nomad.model.jobdiff import job_diff
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import alloc_stub

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record


def job(call: Call) -> Answer:
    """Read, register or stop a job, or do one of the things that may follow its ID in the path."""
    for suffix, handler in _ACTIONS.items():
        if call.rest.endswith(suffix):
            return handler(call, call.rest.removesuffix(suffix))
    return _crud(call, call.rest)


def _crud(call: Call, name: str) -> Answer:
    call.only("GET", "PUT", "POST", "DELETE")
    if call.request.method == "GET":
        _reader(call)
        return call.one(_record(call, Table.JOBS, name), "job not found", Table.JOBS)
    if call.request.method == "DELETE":
        return _delete(call, name)
    return register(call, name)


def _reader(call: Call) -> None:
    call.only("GET")
    call.may(call.rights.namespace(call.namespace, "read-job"))


def _writer(call: Call, *capabilities: str) -> None:
    call.only("PUT", "POST")
    call.may(call.rights.namespace(call.namespace, *capabilities))


def _record(call: Call, table: str, name: str) -> Record | None:
    return call.store.get(table, (call.namespace, name))


def _delete(call: Call, name: str) -> Answer:
    purge = bool(call.boolean("purge"))
    call.boolean("global")
    priority = call.integer("eval_priority") or 0
    hurry = bool(call.boolean("no_shutdown_delay"))
    check_priority(priority)
    call.may(call.rights.namespace(call.namespace, "submit-job"))
    if not name:
        raise Refusal(500, "missing job ID for deregistering")
    result = call.cluster.deregister_job(
        call.namespace, name, purge=purge, eval_priority=priority, no_shutdown_delay=hurry
    )
    return call.written(result, result["Index"])


def _summary(call: Call, name: str) -> Answer:
    call.may(call.rights.namespace(call.namespace, "read-job"))  # whatever the method
    return call.one(_record(call, Table.JOB_SUMMARIES, name), "job not found", Table.JOB_SUMMARIES)


def _current(call: Call, name: str, records: list[Record], created: str) -> list[Record]:
    # Without `all`, what belongs to an earlier job of the same name is left out.
    known = _record(call, Table.JOBS, name)
    if call.request.flag("all") or known is None:
        return records
    return [record for record in records if _created(record, created) == known["CreateIndex"]]


def _created(record: Record, key: str) -> int:
    return record["Job"]["CreateIndex"] if key == "Job" else record[key]


def _allocations(call: Call, name: str) -> Answer:
    _reader(call)
    if not name:
        raise Refusal(500, "missing job ID")
    records = call.store.by(Table.ALLOCS, "job", (call.namespace, name))
    shown = sorted(_current(call, name, records, "Job"), key=lambda alloc: alloc["ID"])
    return call.read([alloc_stub(alloc) for alloc in shown], Table.ALLOCS)


def _evaluations(call: Call, name: str) -> Answer:
    _reader(call)
    records = call.store.by(Table.EVALS, "job", (call.namespace, name))
    return call.read(sorted(records, key=lambda e: (e["Status"], e["ID"])), Table.EVALS)


def _deployments(call: Call, name: str) -> Answer:
    _reader(call)
    records = call.store.by(Table.DEPLOYMENTS, "job", (call.namespace, name))
    shown = _current(call, name, records, "JobCreateIndex")
    return call.read(sorted(shown, key=lambda d: d["ID"]), Table.DEPLOYMENTS)


def _deployment(call: Call, name: str) -> Answer:
    _reader(call)
    records = _current(call, name, call.store.by(Table.DEPLOYMENTS, "job", (call.namespace, name)), "JobCreateIndex")
    latest = max(records, key=lambda d: d["CreateIndex"]) if records else None
    return call.read(latest, Table.DEPLOYMENTS, index=latest["ModifyIndex"] if latest else None)


def _versions(call: Call, name: str) -> Answer:
    diffs = call.boolean("diffs")
    call.may(call.rights.namespace(call.namespace, "read-job"))  # whatever the method
    versions = call.store.by(Table.JOB_VERSIONS, "job", (call.namespace, name))
    if not versions:
        return call.one(None, "job versions not found", Table.JOB_VERSIONS)
    versions.sort(key=lambda version: -version["Version"])
    body = {
        "Versions": versions,
        "Diffs": [job_diff(old, new) for new, old in pairwise(versions)] or None if diffs else None,
        "Index": versions[0]["ModifyIndex"],
        "KnownLeader": True,
        "LastContact": 0,
        "NextToken": "",
    }
    return call.read(body, Table.JOB_VERSIONS, index=versions[0]["ModifyIndex"])


def _submission(call: Call, name: str) -> Answer:
    try:
        version = parse_uint(call.request.value("version"))
    except ValueError as exc:
        raise Refusal(400, "Unable to parse job submission version parameter") from exc
    _reader(call)
    known = call.store.get(SUBMISSIONS, (call.namespace, name, version))
    return call.one(known, "job source not found", SUBMISSIONS)


_EVALUATE = Struct(
    "structs.JobEvaluateRequest", {"JobID": "string", "EvalOptions": Struct("EvalOptions", {"ForceReschedule": "bool"})}
)


def _evaluate(call: Call, name: str) -> Answer:
    call.only("PUT", "POST")
    force = False
    if call.request.body:
        body = decode(call.request.body, _EVALUATE) or {}
        if not body.get("JobID"):
            raise Refusal(400, "Job ID must be specified")
        if name and body["JobID"] != name:
            raise Refusal(400, "JobID not same as job name")
        force = bool((body.get("EvalOptions") or {}).get("ForceReschedule"))
    call.may(call.rights.namespace(call.namespace, "read-job"))
    result = call.cluster.evaluate_job(call.namespace, name, force_reschedule=force)
    return call.written(result, result["Index"])


def _plan(call: Call, name: str) -> Answer:
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(PLAN) or {}
    given = given_job(call, body, name, "Job ID does not match", "Job must have a valid ID")
    rights = call.rights
    call.may(rights.namespace(given["Namespace"], "submit-job"))
    result = call.cluster.plan_job(given, diff=bool(body.get("Diff")))
    return call.written(result, result["Index"])


def _force(call: Call, name: str) -> Answer:
    _writer(call, "dispatch-job", "submit-job")
    result = call.cluster.force_periodic(call.namespace, name)
    return call.written(result, result["Index"])


_DISPATCH = Struct(
    "structs.JobDispatchRequest",
    {"JobID": "string", "Payload": "string", "Meta": MapOf("string"), "IdPrefixTemplate": "string"},
)


def _dispatch(call: Call, name: str) -> Answer:
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(_DISPATCH) or {}
    if body.get("JobID") not in {None, "", name}:
        raise Refusal(400, "Job ID does not match")
    call.may(call.rights.namespace(call.namespace, "dispatch-job"))
    check_registrations(call)
    result = call.cluster.dispatch_job(
        call.namespace,
        name,
        meta=body.get("Meta") or {},
        payload=body.get("Payload") or None,
        prefix=body.get("IdPrefixTemplate") or "",
        once=call.request.value("idempotency_token"),
    )
    return call.written(result, result["Index"])


_REVERT = Struct(
    "structs.JobRevertRequest", {"JobID": "string", "JobVersion": "uint64", "EnforcePriorVersion": "uint64"}
)
_STABLE = Struct("structs.JobStabilityRequest", {"JobID": "string", "JobVersion": "uint64", "Stable": "bool"})


def _named(call: Call, name: str, kind: Struct) -> dict[str, Any]:
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(kind) or {}
    if not body.get("JobID"):
        raise Refusal(400, "JobID must be specified")
    if body["JobID"] != name:
        raise Refusal(400, "Job ID does not match")
    call.may(call.rights.namespace(call.namespace, "submit-job"))
    return body


def _revert(call: Call, name: str) -> Answer:
    body = _named(call, name, _REVERT)
    check_prior_version(call, name, body.get("EnforcePriorVersion"))
    result = call.cluster.revert_job(call.namespace, name, body.get("JobVersion") or 0)
    answer = call.read(result, index=result["Index"])
    answer.known_leader = False  # the real one copies this header from a reply that never knew
    return answer


def _stable(call: Call, name: str) -> Answer:
    body = _named(call, name, _STABLE)
    index = mark_stable(call, name, body.get("JobVersion") or 0, stable=bool(body.get("Stable")))
    return call.written({"Index": index}, index)


def _scale(call: Call, name: str) -> Answer:
    call.only("GET", "PUT", "POST")
    if call.request.method == "GET":
        return _scale_status(call, name)
    body: dict[str, Any] = call.body(SCALE) or {}
    target = body.get("Target") or {}
    if target.get("Job") not in {None, "", name}:
        raise Refusal(400, "job ID in payload did not match URL")
    call.may(call.rights.namespace(call.namespace, "scale-job", "submit-job"))
    check_registrations(call)
    result = call.cluster.scale_job(
        call.namespace,
        name,
        target.get("Group") or "",
        count=body.get("Count"),
        message=body.get("Message") or "",
        error=bool(body.get("Error")),
        meta=body.get("Meta"),
    )
    return call.written(result, result["Index"])


def _scale_status(call: Call, name: str) -> Answer:
    call.may(call.rights.namespace(call.namespace, "read-job", "read-job-scaling"))
    known = _record(call, Table.JOBS, name)
    if known is None:
        answer = call.read(NOTHING, Table.JOBS, index=call.store.index)
        answer.status, answer.raw = 404, b"job not found"
        return answer
    status = scale_status(call, known)
    allocs = call.store.by(Table.ALLOCS, "job", (call.namespace, name))
    index = max([known["ModifyIndex"], *(alloc["ModifyIndex"] for alloc in allocs)])
    return call.read(status, Table.JOBS, Table.ALLOCS, Table.SCALING_EVENTS, index=index)


def _services(call: Call, name: str) -> Answer:
    _reader(call)
    known = _record(call, Table.JOBS, name)
    return call.one(None, "job not found", Table.JOBS) if known is None else call.read([], Table.JOBS)


_ACTIONS: dict[str, Callable[[Call, str], Answer]] = {
    "/evaluate": _evaluate,
    "/allocations": _allocations,
    "/evaluations": _evaluations,
    "/periodic/force": _force,
    "/plan": _plan,
    "/summary": _summary,
    "/dispatch": _dispatch,
    "/versions": _versions,
    "/revert": _revert,
    "/deployments": _deployments,
    "/deployment": _deployment,
    "/stable": _stable,
    "/scale": _scale,
    "/services": _services,
    "/submission": _submission,
}
