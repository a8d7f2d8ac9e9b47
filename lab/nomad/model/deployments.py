"""Watching deployments: health makes new evaluations, deadlines fail them, canaries are promoted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.applying import update_deployment
from lab.nomad.model.drainer import NO_TRANSITION
from lab.nomad.model.errors import Refusal
from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.store import Table
from lab.nomad.model.times import SECOND, ZERO_TIME, from_rfc3339
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

    def __init__(
        self, state: State, agenda: Agenda, ids: Identifiers, revert: Callable[[Record, Record, str], None]
    ) -> None:
        self._state = state
        self._agenda = agenda
        self._ids = ids
        self._revert = revert
        state.store.subscribe(self._follow)

    def get(self, deployment_id: str) -> Record:
        """Answer the deployment, or refuse."""
        deployment = self._state.store.get(Table.DEPLOYMENTS, deployment_id)
        if deployment is None:
            raise Refusal(500, "deployment not found")
        return deployment

    def promote(self, deployment_id: str, groups: list[str] | None = None) -> Record:
        """Promote the canaries of all (or these) groups; they must be healthy."""
        deployment = self._active(deployment_id, "promote")
        wanted = {n: s for n, s in deployment["TaskGroups"].items() if groups is None or n in groups}
        canaries = {n: s for n, s in wanted.items() if s["DesiredCanaries"]}
        if not canaries:
            raise Refusal(500, "no canaries to promote")
        for name, state in canaries.items():
            self._check_canaries(name, state)
        promoted = {name: {**state, "Promoted": True} for name, state in canaries.items()}
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
        return self._set(deployment_id, DeploymentStatus.FAILED, _MANUAL)

    def pause(self, deployment_id: str, *, pause: bool) -> Record:
        """Pause a deployment, or let it go on."""
        if pause:
            return self._set(deployment_id, DeploymentStatus.PAUSED, _PAUSED)
        return self._set(deployment_id, DeploymentStatus.RUNNING, _RUNNING)

    def _active(self, deployment_id: str, verb: str) -> Record:
        deployment = self.get(deployment_id)
        if deployment["Status"] not in ACTIVE_DEPLOYMENT:
            raise Refusal(500, f"can't {verb} terminal deployment")
        return deployment

    def _set(self, deployment_id: str, status: DeploymentStatus, text: str) -> Record:
        verbs = {DeploymentStatus.FAILED: "fail", DeploymentStatus.PAUSED: "pause"}
        deployment = self._active(deployment_id, verbs.get(status, "resume"))
        with self._state.store.transaction(Cause.DEPLOYMENT_STATUS_UPDATE):
            update_deployment(self._state, _update(deployment_id, status, text))
            evaluation = self._evaluate(deployment) if status != DeploymentStatus.PAUSED else None
            return self._answer(evaluation)

    def _answer(self, evaluation: Record | None) -> Record:
        index = self._state.store.index
        return {
            "DeploymentModifyIndex": index,
            "EvalCreateIndex": evaluation["CreateIndex"] if evaluation else 0,
            "EvalID": evaluation["ID"] if evaluation else "",
            "Index": index,
            "RevertedJobVersion": None,
        }

    def _check_canaries(self, name: str, state: Record) -> None:
        allocs = [self._state.store.get(Table.ALLOCS, i) for i in state["PlacedCanaries"] or ()]
        healthy = [a for a in allocs if a and not terminal(a) and (a.get("DeploymentStatus") or {}).get("Healthy")]
        if len(healthy) < state["DesiredCanaries"]:
            have, want = len(healthy), state["DesiredCanaries"]
            text = f'Task group "{name}" has {have}/{want} healthy allocations'
            raise Refusal(500, f"1 error occurred:\n\t* {text}\n\n")

    def _unmark(self, alloc_id: str) -> None:
        alloc = self._state.store.get(Table.ALLOCS, alloc_id)
        if alloc is not None and alloc.get("DeploymentStatus"):
            status = {**alloc["DeploymentStatus"], "Canary": False}
            self._state.store.put(Table.ALLOCS, alloc_id, {**alloc, "DeploymentStatus": status})

    def _follow(self, index: int, table: str, key: Hashable, old: Record | None, new: Record | None) -> None:  # noqa: ARG002  # a store's listener
        if table == Table.ALLOCS and new is not None and new.get("DeploymentID"):
            if _health(old) != _health(new) and _health(new) is not None:
                self._soon(new["DeploymentID"])
        elif table == Table.DEPLOYMENTS and new is not None:
            self._watch_deadline(new)

    def _watch_deadline(self, deployment: Record) -> None:
        times = [s["RequireProgressBy"] for s in deployment["TaskGroups"].values() if _unfinished(s)]
        times = [from_rfc3339(text) for text in times if text != ZERO_TIME]
        key = ("progress", deployment["ID"])
        if deployment["Status"] == DeploymentStatus.RUNNING and times:
            self._agenda.at(min(times), key, lambda: self._late(deployment["ID"]))
        else:
            self._agenda.cancel(key)

    def _soon(self, deployment_id: str) -> None:
        key = ("deployment", deployment_id)
        if not self._agenda.has(key):
            self._agenda.at(self._state.now() + _NOTICE_TIME, key, lambda: self._look(deployment_id))

    def _look(self, deployment_id: str) -> None:
        deployment = self._state.store.get(Table.DEPLOYMENTS, deployment_id)
        if deployment is None or deployment["Status"] not in ACTIVE_DEPLOYMENT:
            return
        allocs = [a for a in self._allocs(deployment) if a.get("DeploymentID") == deployment_id]
        if self._fails(deployment, allocs):
            self._fail(deployment, _FAILED_ALLOCS)
            return
        self._promote_alone(deployment)
        with self._state.store.transaction(Cause.ALLOCATION_UPDATE_DESIRED):
            for alloc in allocs:
                if _health(alloc) is False and not (alloc.get("DesiredTransition") or {}).get("Reschedule"):
                    transition = {**NO_TRANSITION, **(alloc.get("DesiredTransition") or {}), "Reschedule": True}
                    self._state.store.put(Table.ALLOCS, alloc["ID"], {**alloc, "DesiredTransition": transition})
            self._evaluate(deployment)

    def _fails(self, deployment: Record, allocs: list[Record]) -> bool:
        for alloc in allocs:
            state = deployment["TaskGroups"].get(alloc["TaskGroup"])
            if state is not None and _health(alloc) is False and (state["AutoRevert"] or not state["ProgressDeadline"]):
                return True
        return False

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
        if deployment is not None and deployment["Status"] == DeploymentStatus.RUNNING:
            waits = any(_waits_for_promotion(s) for s in deployment["TaskGroups"].values())
            if not waits:
                self._fail(deployment, _DEADLINE)

    def _fail(self, deployment: Record, text: str) -> None:
        key = (deployment["Namespace"], deployment["JobID"])
        revert = any(s["AutoRevert"] for s in deployment["TaskGroups"].values())
        stable = self._stable(key) if revert else None
        if revert and stable is None:
            text += " - no stable job version to auto revert to"
        elif stable is not None:
            text += f" - rolling back to job version {stable['Version']}"
        with self._state.store.transaction(Cause.DEPLOYMENT_STATUS_UPDATE):
            update_deployment(self._state, _update(deployment["ID"], DeploymentStatus.FAILED, text))
            if stable is None:
                self._evaluate(deployment)
        if stable is not None:
            self._revert(deployment, stable, text)

    def _stable(self, key: tuple[str, str]) -> Record | None:
        versions = sorted(self._state.store.by(Table.JOB_VERSIONS, "job", key), key=lambda v: -v["Version"])
        return next((version for version in versions if version["Stable"]), None)

    def _allocs(self, deployment: Record) -> list[Record]:
        return self._state.store.by(Table.ALLOCS, "job", (deployment["Namespace"], deployment["JobID"]))

    def _evaluate(self, deployment: Record) -> Record | None:
        job = self._state.store.get(Table.JOBS, (deployment["Namespace"], deployment["JobID"]))
        if job is None:
            return None
        evaluation = new_evaluation(self._ids.fresh(), job, Trigger.DEPLOYMENT, self._state.now())
        return self._state.put_evals([evaluation | {"DeploymentID": deployment["ID"]}])[0]


def _update(deployment_id: str, status: DeploymentStatus, text: str) -> Record:
    return {"DeploymentID": deployment_id, "Status": status, "StatusDescription": text}


def _health(alloc: Record | None) -> bool | None:
    return (alloc.get("DeploymentStatus") or {}).get("Healthy") if alloc else None


def _unfinished(state: Record) -> bool:
    wanted = max(state["DesiredTotal"], state["DesiredCanaries"])
    return state["HealthyAllocs"] < wanted or _waits_for_promotion(state)


def _waits_for_promotion(state: Record) -> bool:
    enough = bool(state["DesiredCanaries"]) and state["HealthyAllocs"] >= state["DesiredCanaries"]
    return enough and not state["Promoted"]
