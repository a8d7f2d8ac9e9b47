"""Jobs that make jobs: periodic launches and dispatches of parameterized ones."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from lab.nomad.model.cron import next_launch
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table
from lab.nomad.model.times import SECOND, moment, nanoseconds
from lab.nomad.model.words import Cause, JobStatus, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from lab.nomad.model.agenda import Agenda
    from lab.nomad.model.ids import Identifiers
    from lab.nomad.model.jobs import Jobs
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

JobKey = tuple[str, str]


_LARGEST_PAYLOAD = 16 << 10


class Children:
    """Launches periodic jobs when they are due, and dispatches parameterized ones when asked."""

    def __init__(self, state: State, agenda: Agenda, jobs: Jobs, ids: Identifiers) -> None:
        self._state = state
        self._agenda = agenda
        self._jobs = jobs
        self._ids = ids

    def watch(self, key: JobKey) -> None:
        """Enter the next launch of a job that was registered, or take it off."""
        job = self._state.store.get(Table.JOBS, key)
        at = self.next_launch(job, moment(self._state.now())) if job is not None else None
        if at is None:
            self._agenda.cancel(("periodic", key))
        else:
            self._agenda.at(nanoseconds(at), ("periodic", key), lambda: self._launch(key))

    def next_launch(self, job: Record, after: datetime) -> datetime | None:
        """Answer when a job is launched next, None for one that is not periodic, disabled or stopped."""
        periodic = job["Periodic"]
        if not periodic or not periodic["Enabled"] or job["Stop"]:
            return None
        specs = [*([periodic["Spec"]] if periodic["Spec"] else ()), *(periodic["Specs"] or ())]
        return next_launch(specs, periodic["TimeZone"], after)

    def force(self, key: JobKey) -> Record:
        """Launch a periodic job now; answer what the endpoint answers."""
        job = self._state.store.get(Table.JOBS, key)
        if job is None:
            raise Refusal(500, "job not found")
        if not job["Periodic"]:
            raise Refusal(500, "can't force launch non-periodic job")
        answer = self._make(job, self._state.now())
        return {"EvalCreateIndex": answer["EvalCreateIndex"], "EvalID": answer["EvalID"], "Index": answer["Index"]}

    def dispatch(
        self, key: JobKey, *, payload: str | None, meta: Mapping[str, str], prefix: str = "", once: str = ""
    ) -> Record:
        """Dispatch a parameterized job; answer what the endpoint answers. The payload is base64 text.

        With an idempotency token (`once`) the child that was made with it before is answered instead of a new one.
        """
        job = self._state.store.get(Table.JOBS, key)
        if job is None:
            raise Refusal(500, "parameterized job not found")
        if not job["ParameterizedJob"]:
            raise Refusal(500, f'Specified job "{key[1]}" is not a parameterized job')
        if job["Stop"]:
            raise Refusal(500, f'Specified job "{key[1]}" is stopped')
        _check_dispatch(job["ParameterizedJob"], payload, meta)
        made = [c for c in self._state.store.by(Table.JOBS, "parent", key) if c["DispatchIdempotencyToken"] == once]
        if once and made:
            return _dispatched(made[0]["ID"], made[0]["CreateIndex"], {"Index": made[0]["ModifyIndex"]})
        now = self._state.now()
        name = f"{job['ID']}/dispatch-{prefix + '-' if prefix else ''}{now // SECOND}-{self._ids.fresh()[:8]}"
        child = self._child(job, name) | {
            "DispatchIdempotencyToken": once,
            "Dispatched": True,
            "Meta": {**(job["Meta"] or {}), **meta} or None,
            "Payload": payload,
        }
        answer = self._register(child, Trigger.JOB_REGISTER)
        return _dispatched(name, answer["JobModifyIndex"], answer)

    def _register(self, child: Record, trigger: Trigger) -> Record:
        answer = self._jobs.write_child(child, trigger, with_eval=False)
        evaluation = self._jobs.evaluate((child["Namespace"], child["ID"]))
        return {**answer, **{key: evaluation[key] for key in ("EvalCreateIndex", "EvalID", "Index")}}

    def _launch(self, key: JobKey) -> None:
        job = self._state.store.get(Table.JOBS, key)
        if job is None:
            return
        if not (job["Periodic"]["ProhibitOverlap"] and self._running(key)):
            self._make(job, self._state.now())
        self.watch(key)

    def _running(self, key: JobKey) -> bool:
        children = self._state.store.by(Table.JOBS, "parent", key)
        return any(child["Status"] != JobStatus.DEAD for child in children)

    def _make(self, job: Record, now: int) -> Record:
        name = f"{job['ID']}/periodic-{now // SECOND}"
        child = self._child(job, name) | {"Periodic": None}
        answer = self._jobs.write_child(child, Trigger.PERIODIC_JOB)
        key = (job["Namespace"], job["ID"])
        with self._state.store.transaction(Cause.SILENT):
            launch = {"Namespace": key[0], "ID": key[1], "Launch": now}
            self._state.store.put(Table.PERIODIC_LAUNCHES, key, launch)
        return answer

    def _child(self, job: Record, name: str) -> Record:
        own = {"ID": name, "Name": name, "ParentID": job["ID"], "Stable": False, "Version": 0}
        return {**job, **own}


def _dispatched(name: str, create_index: int, evaluation: Record) -> Record:
    return {
        "DispatchedJobID": name,
        "EvalCreateIndex": evaluation.get("EvalCreateIndex", 0),
        "EvalID": evaluation.get("EvalID", ""),
        "Index": evaluation["Index"],
        "JobCreateIndex": create_index,
    }


def _check_dispatch(rules: Record, payload: str | None, meta: Mapping[str, str]) -> None:
    if rules["Payload"] == "required" and not payload:
        raise Refusal(500, "Payload is not provided but required by parameterized job")
    if rules["Payload"] == "forbidden" and payload:
        raise Refusal(500, "Payload provided but forbidden by parameterized job")
    size = len(base64.b64decode(payload or ""))
    if size > _LARGEST_PAYLOAD:
        raise Refusal(500, f"Payload exceeds maximum size; {size} > {_LARGEST_PAYLOAD}")
    required, optional = set(rules["MetaRequired"] or ()), set(rules["MetaOptional"] or ())
    unknown = sorted(set(meta) - required - optional)
    if unknown:
        raise Refusal(500, f"Dispatch request included unpermitted metadata keys: [{' '.join(unknown)}]")
    missing = sorted(required - set(meta))
    if missing:
        raise Refusal(500, f"Dispatch did not provide required meta keys: [{' '.join(missing)}]")
