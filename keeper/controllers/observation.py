"""One look at the world for autoscale. What cannot be read becomes a gap: growth goes on, nothing shrinks."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from keeper.core import demand, scaling, templates
from keeper.core.memory import GrowthFailure, Memory
from keeper.core.model import Instance, JobKey, JobSpec, PoolName
from keeper.core.pressure import pressed
from keeper.core.view import Claim, Gap, View
from keeper.errors import Gone, Permanent, Transient
from keeper.ports import OperationStatus, World
from keeper.telemetry import Event, event

BUSY_OVER = timedelta(minutes=5)


class Observation:
    """Reads one view, remembering which reads failed. What is `Transient`, or `Gone` since it was listed, becomes a gap; all else fails the tick."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._gaps: set[Gap] = set()

    def look(self, memory: Memory, claims: tuple[Claim, ...], now: datetime) -> View:
        """The world at `now`. Six calls to Nomad and one to Azure, and more only where this tick has work."""
        nomad, world = self._world.nomad, self._world
        view = View(
            now=now,
            pools=world.settings.pools,
            memory=memory,
            claims=claims,
            nodes=self._read(Gap.NODES, nomad.nodes, ()),
            allocations=self._read(Gap.ALLOCATIONS, nomad.allocations, ()),
            job_stubs=self._read(Gap.JOBS, nomad.jobs, ()),
            blocked=self._read(Gap.EVALUATIONS, nomad.blocked, ()),
            deploying=self._read(Gap.DEPLOYMENTS, nomad.deploying, frozenset()),
            scale_sets=self._read(Gap.SCALE_SETS, world.scale_sets.scale_sets, {}),
        )
        view = self._with_outcomes(view)
        view = self._with_template(replace(view, gaps=frozenset(self._gaps)))
        view = replace(view, instances=self._instances(view), jobs=self._jobs(view))
        view = replace(view, free_addresses=self._free_addresses(view), cpu=self._cpu(view))
        return replace(view, gaps=frozenset(self._gaps))

    def _read[T](self, gap: Gap, read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except (Transient, Gone) as exc:  # gone between a list and a closer look: the next tick's list will not have it
            self._gaps.add(gap)
            event(Event.READ_FAILED, what=gap, why=str(exc))
            return otherwise

    def _free_addresses(self, view: View) -> Mapping[str, int]:
        """What the subnets leave. Azure has the last word on each growth, whether this is known or not."""
        subnets = scaling.subnets_wanted(view, self._world.settings.autoscale)
        return self._ask("addresses", lambda: self._world.scale_sets.free_addresses(subnets)) or {}

    def _cpu(self, view: View) -> dict[PoolName, float]:
        """How busy the pools are on which alerts press: the alert says that they are, the record shows how much."""
        busy, found = self._world.utilisation, dict[PoolName, float]()
        for name in sorted(pressed(view.memory, view.now) & view.scale_sets.keys()):
            scale_set = view.scale_sets[name]
            percent = self._ask("cpu", lambda s=scale_set: busy.average_cpu(s, BUSY_OVER, view.now))
            if percent is not None:
                found[name] = percent
        return found

    def _ask[T](self, what: str, read: Callable[[], T]) -> T | None:
        """Read what is good to know. Not to know it, for whatever reason, is no gap: nothing shrinks because of it."""
        try:
            return read()
        except (Transient, Permanent) as exc:
            event(Event.READ_FAILED, what=what, why=str(exc))
            return None

    def _with_outcomes(self, view: View) -> View:
        """Ask how the growths stand that were started earlier and not seen to end."""
        failures: list[GrowthFailure] = []
        finished: set[PoolName] = set()
        for growth in view.memory.growths:
            pool = self._world.settings.pool(growth.pool)
            if pool is None or growth.operation is None:
                continue
            operation = growth.operation
            result = self._read(Gap.SCALE_SETS, lambda p=pool, o=operation: self._world.scale_sets.outcome(p, o), None)
            if result is not None and result.status is OperationStatus.SUCCEEDED:
                finished.add(pool.name)
            elif result is not None and result.failure is not None:
                failures.append(result.failure)
        return replace(view, failures=tuple(failures), finished=frozenset(finished))

    def _with_template(self, view: View) -> View:
        """Learn what a further node is like, from at most one node a tick."""
        learning = templates.learn_from(view)
        memory = view.memory
        if learning is not None:
            pool, node = learning
            template = self._read(Gap.NODES, lambda: self._world.nomad.template(node, view.now), None)
            if template is not None:
                memory = replace(memory, templates={**memory.templates, pool: template})
        return replace(view, memory=memory, templates=templates.choose(view, memory))

    def _instances(self, view: View) -> dict[PoolName, tuple[Instance, ...]]:
        found: dict[PoolName, tuple[Instance, ...]] = {}
        for name in scaling.instances_wanted(view, self._world.settings.autoscale):
            pool = self._world.settings.pool(name)
            if pool is None:
                continue
            listed = self._read(Gap.INSTANCES, lambda p=pool: self._world.scale_sets.instances(p), None)
            if listed is not None:
                found[name] = listed
        return found

    def _jobs(self, view: View) -> dict[JobKey, JobSpec]:
        found: dict[JobKey, JobSpec] = {}
        for stub in demand.jobs_wanted(view, self._world.settings.autoscale):
            spec = self._read(Gap.JOB_SPECS, lambda s=stub: self._world.nomad.job(s.key, s.modify_index), None)
            if spec is not None:
                found[stub.key] = spec
        return found
