"""Watching deployments: health makes new evaluations, deadlines fail them, canaries are promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.applying import update_deployment
from lab.nomad.model.deployment_faults import Fault, health, hopeless, out_of_time, unfinished, way_back
from lab.nomad.model.drainer import NO_TRANSITION
from lab.nomad.model.errors import Refusal, several
from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.store import Table
from lab.nomad.model.times import SECOND, ZERO_TIME, from_rfc3339, rfc3339
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import ACTIVE_DEPLOYMENT, Cause, DeploymentStatus, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from lab.nomad.model.agenda import Agenda
    from lab.nomad.model.ids import Identifiers
    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record

_NOTICE_TIME = SECOND
_FAILED_ALLOCS = "Failed due to unhealthy allocations"
_DEADLINE = "Failed due to progress deadline"
_MANUAL = "Deployment marked as failed"
_PAUSED = "Deployment is paused"
_RUNNING = "Deployment is running"


class Deployments:
    """The deployment watcher, and the operations a person has on deployments."""

    def __init__(self, state: State, agenda: Agenda, ids: Identifiers, go_back: Callable[[Record], object]) -> None:
        self._state = state
        self._agenda = agenda
        self._ids = ids
        self._go_back = go_back
        self._late_ones: set[str] = set()
        state.store.subscribe(self._follow)

    def get(self, deployment_id: str) -> Record:
        """Answer the deployment, or refuse."""
        deployment = self._state.store.get(Table.DEPLOYMENTS, deployment_id)
        if deployment is None:
            raise Refusal(500, "deployment not found")
        return deployment

    def promote(self, deployment_id: str, groups: list[str] | None = None) -> Record:
        """Promote the canaries of all (or these) groups; they must be healthy. Their deadlines begin anew."""
        deployment, now = self._active(deployment_id, "promote"), self._state.now()
        wanted = {n: s for n, s in deployment["TaskGroups"].items() if groups is None or n in groups}
        self._check_canaries(wanted)
        promoted = {name: {**state, "Promoted": True, **_new_deadline(state, now)} for name, state in wanted.items()}
        groups_after = {**deployment["TaskGroups"], **promoted}
        waiting = any(s["DesiredCanaries"] and not s["Promoted"] for s in groups_after.values())
        text = deployment["StatusDescription"] if waiting else _RUNNING
        with self._state.store.transaction(Cause.DEPLOYMENT_PROMOTION):
            changed = {**deployment, "TaskGroups": groups_after, "StatusDescription": text}
            self._state.store.put(Table.DEPLOYMENTS, deployment_id, changed)
            for canary in (i for state in promoted.values() for i in state["PlacedCanaries"] or ()):
                self._unmark(canary)
            return self._answer(self._evaluate(deployment))

    def fail(self, deployment_id: str) -> Record:
        """Call a deployment failed by hand."""
        deployment = self._active(deployment_id, "fail")
        reverts = any(state["AutoRevert"] for state in deployment["TaskGroups"].values())
        return self._fail(deployment, _MANUAL, Fault(reverts))

    def pause(self, deployment_id: str, *, pause: bool) -> Record:
        """Pause a deployment, or let it go on."""
        if pause:
            return self._set(deployment_id, DeploymentStatus.PAUSED, _PAUSED)
        return self._set(deployment_id, DeploymentStatus.RUNNING, _RUNNING)

    def set_health(self, deployment_id: str, *, well: list[str], unwell: list[str]) -> Record:
        """Say of allocations whether they are healthy; an unhealthy one fails the deployment."""
        if not well and not unwell:
            raise Refusal(500, "must specify at least one healthy/unhealthy allocation ID")
        deployment = self._active(deployment_id, "set health of allocations for a")
        with self._state.store.transaction(Cause.DEPLOYMENT_ALLOC_HEALTH):
            judged = [self._judged(deployment, i, healthy=True) for i in well]
            failed = [self._judged(deployment, i, healthy=False) for i in unwell]
            self._state.put_allocs([*judged, *failed])
            if not failed:
                return self._answer(self._evaluate(deployment))
            reverts = any(deployment["TaskGroups"][alloc["TaskGroup"]]["AutoRevert"] for alloc in failed)
            return self._fail(self.get(deployment_id), _FAILED_ALLOCS, Fault(reverts))

    def _judged(self, deployment: Record, alloc_id: str, *, healthy: bool) -> Record:
        alloc = self._state.store.get(Table.ALLOCS, alloc_id)
        if alloc is None:
            raise Refusal(500, f'unknown alloc "{alloc_id}"')
        if alloc.get("DeploymentID") != deployment["ID"]:
            raise Refusal(500, f'alloc "{alloc_id}" is not part of deployment "{deployment["ID"]}"')
        known = alloc.get("DeploymentStatus") or {"Canary": False, "ModifyIndex": 0}
        return {**alloc, "DeploymentStatus": {**known, "Healthy": healthy, "Timestamp": rfc3339(self._state.now())}}

    def _active(self, deployment_id: str, verb: str) -> Record:
        deployment = self.get(deployment_id)
        if deployment["Status"] not in ACTIVE_DEPLOYMENT:
            raise Refusal(500, f"can't {verb} terminal deployment")
        return deployment

    def _set(self, deployment_id: str, status: DeploymentStatus, text: str) -> Record:
        deployment = self._active(deployment_id, "pause" if status == DeploymentStatus.PAUSED else "resume")
        with self._state.store.transaction(Cause.DEPLOYMENT_STATUS_UPDATE):
            update_deployment(self._state, _update(deployment_id, status, text))
            evaluation = self._evaluate(deployment) if status != DeploymentStatus.PAUSED else None
            return self._answer(evaluation)

    def _answer(self, evaluation: Record | None, reverted: int | None = None) -> Record:
        index = self._state.store.index
        return {
            "DeploymentModifyIndex": index,
            "EvalCreateIndex": evaluation["CreateIndex"] if evaluation else 0,
            "EvalID": evaluation["ID"] if evaluation else "",
            "Index": index,
            "RevertedJobVersion": reverted,
        }

    def _check_canaries(self, states: Record) -> None:
        lacking = [(name, self._healthy_canaries(state), state["DesiredCanaries"]) for name, state in states.items()]
        texts = [f'Task group "{n}" has {have}/{want} healthy allocations' for n, have, want in lacking if have < want]
        if texts:
            raise several(texts)

    def _healthy_canaries(self, state: Record) -> int:
        allocs = [self._state.store.get(Table.ALLOCS, i) for i in state["PlacedCanaries"] or ()]
        return sum(1 for alloc in allocs if alloc and not terminal(alloc) and health(alloc))

    def _unmark(self, alloc_id: str) -> None:
        alloc = self._state.store.get(Table.ALLOCS, alloc_id)
        if alloc is not None and alloc.get("DeploymentStatus"):
            status = {**alloc["DeploymentStatus"], "Canary": False}
            self._state.store.put(Table.ALLOCS, alloc_id, {**alloc, "DeploymentStatus": status})

    def _follow(self, index: int, table: str, key: Hashable, old: Record | None, new: Record | None) -> None:  # noqa: ARG002  # a store's listener
        if table == Table.ALLOCS and new is not None and new.get("DeploymentID"):
            if health(old) != health(new) and health(new) is not None:
                self._soon(new["DeploymentID"])
        elif table == Table.DEPLOYMENTS and new is not None:
            self._watch_deadline(new)

    def _watch_deadline(self, deployment: Record) -> None:
        states = unfinished(deployment, self._allocs(deployment))
        times = [from_rfc3339(s["RequireProgressBy"]) for s in states if s["RequireProgressBy"] != ZERO_TIME]
        key = ("progress", deployment["ID"])
        if deployment["Status"] in ACTIVE_DEPLOYMENT and times:
            if min(times) > self._state.now():
                self._agenda.at(min(times), key, lambda: self._late(deployment["ID"]))
        else:
            self._agenda.cancel(key)
            self._late_ones.discard(deployment["ID"])

    def _soon(self, deployment_id: str) -> None:
        key = ("deployment", deployment_id)
        if not self._agenda.has(key):
            self._agenda.at(self._state.now() + _NOTICE_TIME, key, lambda: self._look(deployment_id))

    def _look(self, deployment_id: str) -> None:
        deployment = self._state.store.get(Table.DEPLOYMENTS, deployment_id)
        job = self._job(deployment) if deployment is not None else None
        if deployment is None or job is None or deployment["Status"] not in ACTIVE_DEPLOYMENT:
            return
        allocs = self._allocs(deployment)
        fault = hopeless(deployment, job, allocs, self._state.now())
        if fault is not None:
            self._fail(deployment, _DEADLINE if deployment_id in self._late_ones else _FAILED_ALLOCS, fault)
            return
        self._promote_alone(deployment)
        with self._state.store.transaction(Cause.ALLOCATION_UPDATE_DESIRED):
            for alloc in allocs:
                if health(alloc) is False and not (alloc.get("DesiredTransition") or {}).get("Reschedule"):
                    transition = {**NO_TRANSITION, **(alloc.get("DesiredTransition") or {}), "Reschedule": True}
                    self._state.store.put(Table.ALLOCS, alloc["ID"], {**alloc, "DesiredTransition": transition})
            self._evaluate(deployment)

    def _promote_alone(self, deployment: Record) -> None:
        states = [s for s in deployment["TaskGroups"].values() if s["DesiredCanaries"] and not s["Promoted"]]
        if not states or not all(s["AutoPromote"] for s in states):
            return
        try:
            self.promote(deployment["ID"])
        except Refusal:
            return

    def _late(self, deployment_id: str) -> None:
        deployment = self._state.store.get(Table.DEPLOYMENTS, deployment_id)
        job = self._job(deployment) if deployment is not None else None
        if deployment is None or job is None or deployment["Status"] not in ACTIVE_DEPLOYMENT:
            return
        self._late_ones.add(deployment_id)
        fault = out_of_time(deployment, job)
        if fault is not None:
            self._fail(deployment, _DEADLINE, fault)

    def _fail(self, deployment: Record, text: str, fault: Fault) -> Record:
        key, job, back_to = (deployment["Namespace"], deployment["JobID"]), self._job(deployment), None
        if fault.reverts and job is not None:
            text, back_to = way_back(text, job, self._state.store.by(Table.JOB_VERSIONS, "job", key))
        with self._state.store.transaction(Cause.DEPLOYMENT_STATUS_UPDATE):
            update_deployment(self._state, _update(deployment["ID"], DeploymentStatus.FAILED, text))
            if back_to is not None:
                self._go_back(back_to)
            return self._answer(self._evaluate(deployment), back_to["Version"] if back_to else None)

    def _job(self, deployment: Record) -> Record | None:
        return self._state.store.get(Table.JOBS, (deployment["Namespace"], deployment["JobID"]))

    def _allocs(self, deployment: Record) -> list[Record]:
        of_job = self._state.store.by(Table.ALLOCS, "job", (deployment["Namespace"], deployment["JobID"]))
        return [alloc for alloc in of_job if alloc.get("DeploymentID") == deployment["ID"]]

    def _evaluate(self, deployment: Record) -> Record | None:
        job = self._job(deployment)
        if job is None:
            return None
        evaluation = new_evaluation(self._ids.fresh(), job, Trigger.DEPLOYMENT, self._state.now())
        priority = deployment["EvalPriority"] or job["Priority"]
        return self._state.put_evals([evaluation | {"DeploymentID": deployment["ID"], "Priority": priority}])[0]


def _update(deployment_id: str, status: DeploymentStatus, text: str) -> Record:
    return {"DeploymentID": deployment_id, "Status": status, "StatusDescription": text}


def _new_deadline(state: Record, now: int) -> Record:
    if not state["ProgressDeadline"] or state["RequireProgressBy"] == ZERO_TIME:
        return {}
    return {"RequireProgressBy": rfc3339(now + state["ProgressDeadline"])}
