"""/v1/jobs: listing and registering. Held to tests/recordings/nomad-1.6.5/02-demand.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import Answer
from lab.nomad.http.decode import Kind, MapOf, Struct
from lab.nomad.http.endpoints.job_extras import keep_submission, validation
from lab.nomad.http.jobspec import struct
from lab.nomad.http.lists import by_namespace, page
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.stubs import job_stub

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record

_WRITE: dict[str, Kind] = {"Namespace": "string", "Region": "string", "SecretID": "string"}
REGISTER = Struct(
    "JobRegisterRequest",
    {
        "Submission": struct("JobSubmission"),
        "Job": struct("Job"),
        "EnforceIndex": "bool",
        "JobModifyIndex": "uint64",
        "PolicyOverride": "bool",
        "PreserveCounts": "bool",
        "EvalPriority": "int",
        **_WRITE,
    },
)
PLAN = Struct("JobPlanRequest", {"Job": struct("Job"), "Diff": "bool", "PolicyOverride": "bool", **_WRITE})
_VALIDATE = Struct("JobValidateRequest", {"Job": struct("Job"), **_WRITE})


def jobs(call: Call) -> Answer:
    """List the jobs by namespace and ID, or register one."""
    call.only("GET", "PUT", "POST")
    return listing(call) if call.request.method == "GET" else register(call, "")


def listing(call: Call, pool: str = "") -> Answer:
    """List the stubs of the jobs that the caller may list, those of one node pool if given."""
    meta = bool(call.boolean("meta"))
    rights, namespace = call.rights, call.namespace
    call.may(rights.namespace(namespace, "list-jobs"))
    prefix = call.request.value("prefix")
    allowed = allowed_namespaces(call, "list-jobs")
    records = [
        job
        for job in call.store.rows(Table.JOBS)
        if namespace in {"*", job["Namespace"]}
        and job["ID"].startswith(prefix)
        and allowed(job["Namespace"])
        and pool in {"", "all", job["NodePool"]}
    ]
    stubs, token = page(call, records, by_namespace, lambda job: _stub(call, job, meta=meta))
    return call.read(stubs, Table.JOBS, Table.JOB_SUMMARIES, next_token=token)


def allowed_namespaces(call: Call, capability: str) -> Callable[[str], bool]:
    """Answer a test for namespaces in which the caller holds a capability, each asked once."""
    rights, known = call.rights, dict[str, bool]()

    def allowed(namespace: str) -> bool:
        if namespace not in known:
            known[namespace] = rights.namespace(namespace, capability)
        return known[namespace]

    return allowed


def _stub(call: Call, job: Record, *, meta: bool) -> dict[str, Any]:
    summary = call.store.get(Table.JOB_SUMMARIES, (job["Namespace"], job["ID"]))
    stub = job_stub(job, summary, meta=meta)
    # A dispatched child has the parameters of its parent, but is not parameterized itself.
    return {**stub, "ParameterizedJob": bool(job["ParameterizedJob"]) and not job["Dispatched"]}


def given_job(call: Call, body: dict[str, Any], name: str, other: str, no_id: str) -> dict[str, Any]:
    """Answer the job of a request body with the namespace that counts: query, then body, then job, then default."""
    job = body.get("Job")
    if job is None:
        raise Refusal(400, "Job must be specified")
    if job.get("ID") is None:
        raise Refusal(400, no_id)
    if name and job["ID"] != name:
        raise Refusal(400, other)
    namespace = call.request.value("namespace") or body.get("Namespace") or job.get("Namespace") or "default"
    return {**job, "Namespace": namespace}


def register(call: Call, name: str) -> Answer:
    """Register a job; `name` is the ID in the path, "" for none."""
    body: dict[str, Any] = call.body(REGISTER) or {}
    job = given_job(call, body, name, "Job ID does not match name", "Job ID hasn't been provided")
    _check_scaling(job)
    check_priority(body.get("EvalPriority") or 0)
    _may_submit(call, job, body)
    result = call.cluster.register_job(
        {**job, "NomadTokenID": call.accessor},
        enforce_index=body["JobModifyIndex"] or 0 if body.get("EnforceIndex") else None,
        preserve_counts=bool(body.get("PreserveCounts")),
        eval_priority=body.get("EvalPriority") or 0,
    )
    if body.get("Submission"):
        written = call.store.get(Table.JOBS, (job["Namespace"], job["ID"]))
        if written is not None:
            keep_submission(call, written, body["Submission"])
    return call.written(result, result["Index"])


def _check_scaling(job: dict[str, Any]) -> None:
    if job.get("Type") == "system" and any(group.get("Scaling") for group in job.get("TaskGroups") or []):
        raise Refusal(400, "Task groups with job type system do not support scaling blocks")


def check_priority(priority: int) -> None:
    """Refuse an evaluation priority out of bounds."""
    if priority and not 1 <= priority <= 100:
        raise Refusal(400, "Eval priority must be between 1 and 100 inclusively")


def check_registrations(call: Call) -> None:
    """Refuse whoever is no manager while the scheduler configuration rejects new work."""
    config = call.store.get(Table.SCHEDULER_CONFIG, "scheduler_config") or {}
    if config.get("RejectJobRegistration") and not call.rights.management:
        raise Refusal(403, "Job registration, dispatch, and scale are disabled by the scheduler configuration")


def _may_submit(call: Call, job: dict[str, Any], body: dict[str, Any]) -> None:
    rights = call.rights
    call.may(rights.namespace(job["Namespace"], "submit-job"))
    check_registrations(call)
    if body.get("PolicyOverride"):
        call.may(rights.namespace(job["Namespace"], "sentinel-override"))


def validate(call: Call) -> Answer:
    """Say what is wrong with a job, without registering it."""
    call.only("PUT", "POST")
    body: dict[str, Any] = call.body(_VALIDATE) or {}
    job = body.get("Job")
    if job is None:
        raise Refusal(400, "Job must be specified")
    namespace = call.request.value("namespace") or job.get("Namespace") or "default"
    call.may(call.rights.namespace(namespace, "read-job"))
    return Answer(validation(call, {**job, "Namespace": namespace}))


_PARSE = Struct(
    "JobsParseRequest", {"JobHCL": "string", "HCLv1": "bool", "Variables": "string", "Canonicalize": "bool"}
)


def parse(call: Call) -> Answer:
    """Refuse a job in HCL: the stand-in reads jobs in JSON only, as every client library sends them."""
    call.only("PUT", "POST")
    rights = call.rights
    call.may(rights.namespace(call.namespace, "parse-job", "submit-job"))
    body: dict[str, Any] = call.body(_PARSE) or {}
    if not body.get("JobHCL"):
        raise Refusal(400, "Job spec is empty")
    raise Refusal(400, "Failed to parse job: input.hcl: the stand-in reads jobs in JSON, not in HCL")


SCALE = Struct(
    "ScalingRequest",
    {
        "Count": "int64",
        "Target": MapOf("string"),
        "Message": "string",
        "Error": "bool",
        "Meta": MapOf("any"),
        "PolicyOverride": "bool",
    },
)
