"""The deployment of a service job while it is reconciled: made, cancelled, completed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.times import ZERO_TIME
from lab.nomad.model.words import ACTIVE_DEPLOYMENT, DeploymentStatus

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.results import Results
    from lab.nomad.model.store import Record

RUNNING_TEXT = "Deployment is running"
SUCCESSFUL_TEXT = "Deployment completed successfully"
NEWER_JOB_TEXT = "Cancelled due to newer version of job"
STOPPED_JOB_TEXT = "Cancelled because job is stopped"
NEEDS_PROMOTION_TEXT = "Deployment is running but requires manual promotion"
AUTO_PROMOTION_TEXT = "Deployment is running pending automatic promotion"


def status_update(deployment_id: str, status: DeploymentStatus, text: str) -> Record:
    """Answer a change of a deployment's status."""
    return {"DeploymentID": deployment_id, "Status": status, "StatusDescription": text}


class Deploying:
    """The deployment that counts for one reconciliation, and the one before it."""

    def __init__(self, job: Record, deployment: Record | None, priority: int, fresh_id: Callable[[], str]) -> None:
        self._job = job
        self._priority = priority
        self._fresh_id = fresh_id
        self.current = {**deployment, "TaskGroups": dict(deployment["TaskGroups"])} if deployment else None
        self.old: Record | None = None

    @property
    def paused(self) -> bool:
        """Whether the current deployment is paused."""
        return self.current is not None and self.current["Status"] == DeploymentStatus.PAUSED

    @property
    def failed(self) -> bool:
        """Whether the current deployment has failed."""
        return self.current is not None and self.current["Status"] == DeploymentStatus.FAILED

    def drop_unneeded(self, results: Results) -> None:
        """Cancel the deployment of a stopped job or an older version; forget a successful one."""
        found = self.current
        if found is None:
            return
        older = found["JobCreateIndex"] != self._job["CreateIndex"] or found["JobVersion"] != self._job["Version"]
        stopped = bool(self._job["Stop"])
        if (older or stopped) and found["Status"] in ACTIVE_DEPLOYMENT:
            text = STOPPED_JOB_TEXT if stopped else NEWER_JOB_TEXT
            results.deployment_updates.append(status_update(found["ID"], DeploymentStatus.CANCELLED, text))
        if older or stopped or found["Status"] == DeploymentStatus.SUCCESSFUL:
            self.old, self.current = found, None

    def group_state(self, group: Record) -> tuple[Record, bool]:
        """Answer the deployment's state of a group and whether it was there already; a new one may be changed."""
        known = (self.current or {"TaskGroups": {}})["TaskGroups"].get(group["Name"])
        if known is not None:
            return known, True
        update = group["Update"] or {}
        return {
            "AutoPromote": bool(update.get("AutoPromote")),
            "AutoRevert": bool(update.get("AutoRevert")),
            "DesiredCanaries": 0,
            "DesiredTotal": 0,
            "HealthyAllocs": 0,
            "PlacedAllocs": 0,
            "PlacedCanaries": None,
            "ProgressDeadline": update.get("ProgressDeadline") or 0,
            "Promoted": False,
            "RequireProgressBy": ZERO_TIME,
            "UnhealthyAllocs": 0,
        }, False

    def create(self, results: Results, name: str, state: Record) -> None:
        """Attach a group's state to the deployment of this plan, which is made if there is none."""
        if self.current is None:
            self.current = results.deployment = self._new()
        self.current["TaskGroups"][name] = state
        if state["DesiredCanaries"] and not state["Promoted"]:
            auto = state["AutoPromote"]
            self.current["StatusDescription"] = AUTO_PROMOTION_TEXT if auto else NEEDS_PROMOTION_TEXT

    def complete(self, results: Results) -> None:
        """Call the deployment successful."""
        if self.current is not None and self.current["Status"] in ACTIVE_DEPLOYMENT:
            update = status_update(self.current["ID"], DeploymentStatus.SUCCESSFUL, SUCCESSFUL_TEXT)
            results.deployment_updates.append(update)

    def group_complete(self, name: str) -> bool:
        """Answer whether enough allocations of a group are healthy, and its canaries promoted."""
        if self.current is None:
            return False
        state = self.current["TaskGroups"].get(name)
        if state is None:
            return True
        enough = state["HealthyAllocs"] >= max(state["DesiredTotal"], state["DesiredCanaries"])
        return enough and (not state["DesiredCanaries"] or state["Promoted"])

    def _new(self) -> Record:
        return {
            "EvalPriority": self._priority,
            "ID": self._fresh_id(),
            "IsMultiregion": False,
            "JobCreateIndex": self._job["CreateIndex"],
            "JobID": self._job["ID"],
            "JobModifyIndex": self._job["ModifyIndex"],
            "JobSpecModifyIndex": self._job["JobModifyIndex"],
            "JobVersion": self._job["Version"],
            "Namespace": self._job["Namespace"],
            "Status": DeploymentStatus.RUNNING,
            "StatusDescription": RUNNING_TEXT,
            "TaskGroups": {},
        }
