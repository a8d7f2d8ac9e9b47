"""Everything one autoscale tick observed at one instant."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from keeper.core.memory import GrowthFailure, Memory
from keeper.core.model import (
    Allocation,
    BlockedEvaluation,
    Instance,
    InstanceName,
    JobKey,
    JobSpec,
    JobStub,
    Node,
    Pool,
    PoolName,
    ScaleSet,
    Template,
)


class Gap(StrEnum):
    """A read that failed or is stale. Any gap forbids every shrink of what it touches; growth goes on."""

    NODES = "nodes"
    ALLOCATIONS = "allocations"
    JOBS = "jobs"
    JOB_SPECS = "job-specs"
    EVALUATIONS = "evaluations"
    DEPLOYMENTS = "deployments"
    SCALE_SETS = "scale-sets"
    INSTANCES = "instances"
    CLAIMS = "claims"


@dataclass(frozen=True, slots=True)
class Claim:
    """The right of one controller to change one instance, until it expires."""

    instance: InstanceName
    controller: str
    reason: str
    expires: datetime


@dataclass(frozen=True, slots=True)
class View:
    """The world at `now`. What is None or named in `gaps` was not read, which is not the same as empty.

    `instances` holds a pool only when its instances were listed in this tick: on a quiet tick none is, because every
    unit of capacity is a ready node. `jobs` holds the specifications that this tick needs (see `demand.jobs_wanted`).
    """

    now: datetime
    pools: tuple[Pool, ...]
    memory: Memory
    nodes: tuple[Node, ...] = ()
    allocations: tuple[Allocation, ...] = ()
    job_stubs: tuple[JobStub, ...] = ()
    jobs: Mapping[JobKey, JobSpec] = field(default_factory=dict[JobKey, JobSpec])
    blocked: tuple[BlockedEvaluation, ...] = ()
    deploying: frozenset[JobKey] = frozenset()
    """Jobs with an active deployment."""
    scale_sets: Mapping[PoolName, ScaleSet] = field(default_factory=dict[PoolName, ScaleSet])
    instances: Mapping[PoolName, tuple[Instance, ...]] = field(default_factory=dict[PoolName, tuple[Instance, ...]])
    free_addresses: Mapping[str, int] = field(default_factory=dict[str, int])
    """What subnets have left, by their ids; asked for when something may grow. One that is not here sets no bound."""
    cpu: Mapping[PoolName, float] = field(default_factory=dict[PoolName, float])
    """How busy the pools are on which an alert presses, in percent; for people to judge the alert by, and nothing else."""
    templates: Mapping[PoolName, Template] = field(default_factory=dict[PoolName, Template])
    """What a new node of each pool will be like; a pool without one cannot be sized."""
    failures: tuple[GrowthFailure, ...] = ()
    """Growths found failed in this tick."""
    finished: frozenset[PoolName] = frozenset()
    """Pools whose growth operation was found succeeded in this tick."""
    claims: tuple[Claim, ...] = ()
    gaps: frozenset[Gap] = frozenset()
