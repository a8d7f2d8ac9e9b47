"""Which computed node classes a job can ever run on, learned node by node during one evaluation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.constraints import escapes

if TYPE_CHECKING:
    from lab.nomad.model.store import Record


class ClassEligibility:
    """What is known of node classes, for the job as a whole and for each group."""

    def __init__(self, job: Record) -> None:
        self.job: dict[str, bool] = {}
        self.groups: dict[str, dict[str, bool]] = {}
        self.job_escapes = any(escapes(c) for c in job["Constraints"] or ())
        self._group_escapes = {group["Name"]: _group_escapes(group) for group in job["TaskGroups"] or ()}

    def group_escapes(self, name: str) -> bool:
        """Answer whether a group's own constraints can tell apart nodes of one class."""
        return self._group_escapes.get(name, False)

    def escaped(self) -> bool:
        """Answer whether classes cannot say where the job fits."""
        return self.job_escapes or any(self._group_escapes.values())

    def classes(self) -> dict[str, bool]:
        """Answer for each class met whether some group of the job can run on it."""
        found: dict[str, bool] = {}
        for classes in self.groups.values():
            for name, able in classes.items():
                found[name] = found.get(name, False) or able
        for name, able in self.job.items():
            if not able:
                found.setdefault(name, False)
        return found


def _group_escapes(group: Record) -> bool:
    every = [*(group["Constraints"] or ()), *(c for task in group["Tasks"] for c in task["Constraints"] or ())]
    return any(escapes(constraint) for constraint in every)
