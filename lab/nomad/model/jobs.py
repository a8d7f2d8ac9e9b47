"""The jobs of the cluster: registering, scaling, evaluating, stopping, reverting."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.admission import admit
from lab.nomad.model.errors import Refusal
from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.job_rules import check_update, enforce, keep_counts
from lab.nomad.model.state import waits_for_dispatch
from lab.nomad.model.stopping import in_a_hurry
from lab.nomad.model.store import Table
from lab.nomad.model.updating import spec_changed
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import ACTIVE_DEPLOYMENT, Cause, EvalStatus, JobType, Trigger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.nomad.model.children import Children
    from lab.nomad.model.engine import Engine
    from lab.nomad.model.ids import Identifiers
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

JobKey = tuple[str, str]
_KEPT_SCALING_EVENTS = 20


class Jobs:
    """Operations on jobs. Each answers what its endpoint answers."""

    def __init__(self, state: State, engine: Engine, ids: Identifiers) -> None:
        self._state = state
        self._engine = engine
        self._ids = ids
        self.children: Children | None = None

    def get(self, key: JobKey) -> Record | None:
        """Answer the job, None when there is none."""
        return self._state.store.get(Table.JOBS, key)

    def register(
        self,
        submitted: Record,
        *,
        enforce_index: int | None = None,
        preserve_counts: bool = False,
        eval_priority: int = 0,
    ) -> Record:
        """Register a job, new or again. With `enforce_index` only if that is its JobModifyIndex (0: not there yet)."""
        job, warnings = admit(self._state.store, submitted)
        key = (job["Namespace"], job["ID"])
        known = self.get(key)
        enforce(known, enforce_index)
        check_update(known, job)
        if preserve_counts and known is not None:
            keep_counts(known, job)
        if known is not None and not known["Stop"] and not spec_changed(known, job):
            answer = self._evaluate_again(known, eval_priority)
        else:
            answer = self._write(job, known, Trigger.JOB_REGISTER, eval_priority=eval_priority)
        return {**answer, "KnownLeader": False, "LastContact": 0, "NextToken": "", "Warnings": warnings}

    def write_child(self, job: Record, trigger: Trigger, *, with_eval: bool = True) -> Record:
        """Register a job that is in full already (a child of another)."""
        return self._write(job, None, trigger, with_eval=with_eval)

    def _write(
        self, job: Record, known: Record | None, trigger: Trigger, *, with_eval: bool = True, eval_priority: int = 0
    ) -> Record:
        now, store = self._state.now(), self._state.store
        runs = not (job["Periodic"] and job["Periodic"]["Enabled"]) and not waits_for_dispatch(job)
        with store.transaction(Cause.JOB_REGISTERED):
            index = store.touch(Table.JOBS)
            written = self._put_version({**job, "SubmitTime": now}, known, index)
            evaluation = None
            if runs and with_eval:
                evaluation = new_evaluation(self._ids.fresh(), written, trigger, now) | {"JobModifyIndex": index}
                evaluation["Priority"] = eval_priority or job["Priority"]
                self._state.put_evals([evaluation])
            elif not runs:
                self._state.refresh_job_status((job["Namespace"], job["ID"]))
        if self.children is not None:
            self.children.watch((job["Namespace"], job["ID"]))
        return {
            "EvalCreateIndex": index if evaluation else 0,
            "EvalID": evaluation["ID"] if evaluation else "",
            "Index": index,
            "JobModifyIndex": index,
        }

    def _put_version(self, job: Record, known: Record | None, index: int) -> Record:
        version = known["Version"] + 1 if known is not None else 0
        job = {**job, "JobModifyIndex": index, "Version": version, "Status": known["Status"] if known else "pending"}
        for group in job["TaskGroups"]:
            if group["Scaling"]:
                group["Scaling"] = {**group["Scaling"], "CreateIndex": index, "ModifyIndex": index}
        if known is None and (job["Type"] == JobType.SYSTEM or job["Periodic"] or waits_for_dispatch(job)):
            job["Status"] = "running"
        written = self._state.put_job(job)
        if known is None and job["ParentID"]:
            self._state.count_new_child(written)
        return written

    def _evaluate_again(self, known: Record, eval_priority: int) -> Record:
        if waits_for_dispatch(known) or (known["Periodic"] and known["Periodic"]["Enabled"]):
            index = known["JobModifyIndex"]
            return {"EvalCreateIndex": 0, "EvalID": "", "Index": index, "JobModifyIndex": index}
        with self._state.store.transaction(Cause.EVALUATION_UPDATED):
            evaluation = self._new_eval(known, Trigger.JOB_REGISTER, eval_priority)
        index = evaluation["CreateIndex"]
        jmi = known["JobModifyIndex"]
        return {"EvalCreateIndex": index, "EvalID": evaluation["ID"], "Index": index, "JobModifyIndex": jmi}

    def _new_eval(self, job: Record, trigger: Trigger, priority: int = 0) -> Record:
        evaluation = new_evaluation(self._ids.fresh(), job, trigger, self._state.now())
        evaluation["Priority"] = priority or job["Priority"]
        return self._state.put_evals([evaluation | {"JobModifyIndex": job["ModifyIndex"]}])[0]

    def deregister(
        self, key: JobKey, *, purge: bool, eval_priority: int = 0, no_shutdown_delay: bool = False
    ) -> Record:
        """Stop a job; with `purge` remove it too. An unknown one is no error: index 0, no evaluation."""
        tail = {"KnownLeader": False, "LastContact": 0, "NextToken": "", "VolumeEvalID": "", "VolumeEvalIndex": 0}
        job = self.get(key)
        if job is None:
            return {"EvalCreateIndex": 0, "EvalID": "", "Index": 0, "JobModifyIndex": 0, **tail}
        store, now = self._state.store, self._state.now()
        evaluation = None
        with store.transaction(Cause.JOB_DEREGISTERED):
            index = store.touch(Table.JOBS)
            if no_shutdown_delay:
                self._hurry(key)
            if purge:
                self._state.delete_job(key)
            else:
                stopped = {**job, "Stop": True, "JobModifyIndex": index, "Version": job["Version"] + 1}
                self._state.put_job({**stopped, "SubmitTime": now})
            if not job["Periodic"] and not waits_for_dispatch(job):
                evaluation = new_evaluation(self._ids.fresh(), job, Trigger.JOB_DEREGISTER, now)
                evaluation |= {"JobModifyIndex": index, "Type": JobType.SERVICE}
                evaluation["Priority"] = eval_priority or job["Priority"]
                self._state.put_evals([evaluation])
            self._state.refresh_job_status(key)
            self._cancel_pending(key, evaluation)
        if self.children is not None:
            self.children.watch(key)
        self._engine.blocked.untrack(key)
        eval_id = evaluation["ID"] if evaluation else ""
        return {"EvalCreateIndex": index, "EvalID": eval_id, "Index": index, "JobModifyIndex": index, **tail}

    def _hurry(self, key: JobKey) -> None:
        for alloc in self._state.store.by(Table.ALLOCS, "job", key):
            if not terminal(alloc):
                self._state.store.put(Table.ALLOCS, alloc["ID"], in_a_hurry(alloc))

    def _cancel_pending(self, key: JobKey, by: Record | None) -> None:
        if by is not None:
            return
        for evaluation in self._state.store.by(Table.EVALS, "job", key):
            if evaluation["Status"] == EvalStatus.BLOCKED:
                changed = {**evaluation, "Status": EvalStatus.CANCELED, "ModifyTime": self._state.now()}
                self._state.store.put(Table.EVALS, evaluation["ID"], changed)

    def evaluate(self, key: JobKey, *, force_reschedule: bool = False) -> Record:
        """Make an evaluation by hand."""
        job = self.get(key)
        if job is None:
            raise Refusal(500, "job not found")
        if job["Periodic"]:
            raise Refusal(500, "can't evaluate periodic job")
        if waits_for_dispatch(job):
            raise Refusal(500, "can't evaluate parameterized job")
        with self._state.store.transaction(Cause.ALLOCATION_UPDATE_DESIRED):
            if force_reschedule:
                self._force_reschedule(key)
            evaluation = self._new_eval(job, Trigger.JOB_REGISTER)
        index = evaluation["CreateIndex"]
        answer = {"EvalCreateIndex": index, "EvalID": evaluation["ID"], "Index": index}
        tail = {"KnownLeader": False, "LastContact": 0, "NextToken": "", "Warnings": ""}
        return {**answer, "JobModifyIndex": job["ModifyIndex"], **tail}

    def _force_reschedule(self, key: JobKey) -> None:
        for alloc in self._state.store.by(Table.ALLOCS, "job", key):
            if alloc["ClientStatus"] == "failed" and not alloc.get("NextAllocation"):
                transition = {"ForceReschedule": True, "Migrate": None, "NoShutdownDelay": None, "Reschedule": None}
                changed = {**alloc, "DesiredTransition": {**transition, **(alloc.get("DesiredTransition") or {})}}
                self._state.store.put(Table.ALLOCS, alloc["ID"], changed)

    def scale(
        self,
        key: JobKey,
        group: str,
        count: int | None,
        *,
        message: str = "",
        error: bool = False,
        meta: Mapping[str, object] | None = None,
    ) -> Record:
        """Set the count of a group, or (count None) only note a scaling event."""
        if not group:
            raise Refusal(400, "missing task group name for scaling action")
        if error and count is not None:
            raise Refusal(400, "scaling action should not contain count if error is true")
        if count is not None and count < 0:
            raise Refusal(400, "scaling action count can't be negative")
        job = self.get(key)
        if job is None:
            raise Refusal(404, f'job "{key[1]}" not found')
        found = next((g for g in job["TaskGroups"] if g["Name"] == group), None)
        if found is None:
            raise Refusal(400, f'task group "{group}" specified for scaling does not exist in job')
        if job["Type"] == JobType.SYSTEM:
            raise Refusal(400, 'cannot scale jobs of type "system"')
        answer = {"EvalCreateIndex": 0, "EvalID": "", "JobModifyIndex": job["ModifyIndex"]}
        if count is not None:
            self._check_scale(key, found, count)
            answer = self._scale(job, group, count)
        index = self._note_scaling(
            key,
            group,
            {
                "Count": count,
                "Error": error,
                "EvalID": answer["EvalID"] or None,
                "Message": message,
                "Meta": dict(meta) if meta else None,
                "PreviousCount": found["Count"],
                "Time": self._state.now(),
            },
        )
        tail = {"KnownLeader": True, "LastContact": 0, "NextToken": "", "Warnings": ""}
        return {**answer, "Index": index, **tail}

    def _check_scale(self, key: JobKey, group: Record, count: int) -> None:
        policy = group["Scaling"]
        if policy and count > policy["Max"]:
            raise Refusal(400, f"group count was greater than scaling policy maximum: {count} > {policy['Max']}")
        if policy and count < policy["Min"]:
            raise Refusal(400, f"group count was less than scaling policy minimum: {count} < {policy['Min']}")
        deployment = self._state.latest_deployment(key)
        if deployment is not None and deployment["Status"] in ACTIVE_DEPLOYMENT:
            raise Refusal(400, "job scaling blocked due to active deployment")

    def _scale(self, job: Record, group: str, count: int) -> Record:
        groups = [{**g, "Count": count} if g["Name"] == group else g for g in job["TaskGroups"]]
        changed = {**job, "TaskGroups": groups, "Stable": False}
        written = self._write(changed, job, Trigger.SCALING, with_eval=False)
        with self._state.store.transaction(Cause.EVALUATION_UPDATED):
            fresh = self.get((job["Namespace"], job["ID"])) or changed
            evaluation = self._new_eval(fresh, Trigger.SCALING)
        return {**written, "EvalCreateIndex": evaluation["CreateIndex"], "EvalID": evaluation["ID"]}

    def _note_scaling(self, key: JobKey, group: str, event: Record) -> int:
        store = self._state.store
        with store.transaction(Cause.SILENT):
            index = store.touch(Table.SCALING_EVENTS)
            known = store.get(Table.SCALING_EVENTS, key) or {"Namespace": key[0], "JobID": key[1], "Events": {}}
            event = {**event, "CreateIndex": index}
            kept = [event, *known["Events"].get(group, ())][:_KEPT_SCALING_EVENTS]
            store.put(Table.SCALING_EVENTS, key, {**known, "Events": {**known["Events"], group: kept}})
        return index

    def revert(self, key: JobKey, version: int) -> Record:
        """Register an older version again as the newest."""
        job = self.get(key)
        old = self._state.store.get(Table.JOB_VERSIONS, (*key, version))
        if job is None or old is None:
            raise Refusal(500, f'job "{key[1]}" in namespace "{key[0]}" at version {version} not found')
        if version == job["Version"]:
            raise Refusal(500, "can't revert to current version")
        answer = self._write({**old, "Stop": False, "Stable": False}, job, Trigger.JOB_REGISTER)
        return {**answer, "KnownLeader": False, "LastContact": 0, "NextToken": "", "Warnings": ""}

    def go_back(self, version: Record) -> Record:
        """Make an older version the newest, for a deployment that failed: the evaluation is the deployment's."""
        known = self.get((version["Namespace"], version["ID"]))
        return self._write(version, known, Trigger.DEPLOYMENT, with_eval=False)
