"""What one task group asks for, so many times."""

from dataclasses import dataclass, replace

from keeper.core.model import JobKey, JobSpec, TaskGroup
from keeper.core.places import Needs, needs_of

type AskKey = tuple[JobKey, str]


@dataclass(frozen=True, slots=True)
class Ask:
    """So many equal allocations of one task group that need a place."""

    spec: JobSpec
    group: TaskGroup
    count: int
    needs: Needs

    @property
    def key(self) -> AskKey:
        """The job and the task group."""
        return self.spec.key, self.group.name

    @property
    def name(self) -> str:
        """For people."""
        return f"{self.spec.key.id}/{self.group.name}"

    def of(self, count: int) -> "Ask":
        """The same ask for another number of allocations."""
        return replace(self, count=count)


def ask(spec: JobSpec, group: TaskGroup, count: int) -> Ask:
    """An ask with its needs spelled out."""
    return Ask(spec, group, count, needs_of(spec, group))
