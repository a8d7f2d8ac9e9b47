"""Nomad's words for states and causes, spelled as on the wire."""

from __future__ import annotations

from enum import StrEnum


class JobType(StrEnum):
    """What kind of scheduler a job asks for."""

    SERVICE = "service"
    BATCH = "batch"
    SYSTEM = "system"
    SYSBATCH = "sysbatch"


class JobStatus(StrEnum):
    """Where a job is in its life."""

    PENDING = "pending"
    RUNNING = "running"
    DEAD = "dead"


class NodeStatus(StrEnum):
    """What the servers think of a client."""

    INIT = "initializing"
    READY = "ready"
    DOWN = "down"
    DISCONNECTED = "disconnected"


class Eligibility(StrEnum):
    """Whether the schedulers may place on a node."""

    ELIGIBLE = "eligible"
    INELIGIBLE = "ineligible"


class Desired(StrEnum):
    """What the servers want of an allocation."""

    RUN = "run"
    STOP = "stop"
    EVICT = "evict"


class Client(StrEnum):
    """What the client says of an allocation."""

    PENDING = "pending"
    RUNNING = "running"
    COMPLETE = "complete"
    FAILED = "failed"
    LOST = "lost"
    UNKNOWN = "unknown"


class EvalStatus(StrEnum):
    """Where an evaluation is in its life."""

    PENDING = "pending"
    BLOCKED = "blocked"
    COMPLETE = "complete"
    FAILED = "failed"
    CANCELED = "canceled"


class Trigger(StrEnum):
    """Why an evaluation was made."""

    JOB_REGISTER = "job-register"
    JOB_DEREGISTER = "job-deregister"
    PERIODIC_JOB = "periodic-job"
    NODE_DRAIN = "node-drain"
    NODE_UPDATE = "node-update"
    ALLOC_STOP = "alloc-stop"
    ALLOC_FAILURE = "alloc-failure"
    QUEUED_ALLOCS = "queued-allocs"
    PREEMPTION = "preemption"
    SCALING = "job-scaling"
    DEPLOYMENT = "deployment-watcher"
    DISCONNECT_TIMEOUT = "max-disconnect-timeout"
    RECONNECT = "reconnect"


class DeploymentStatus(StrEnum):
    """Where a deployment is in its life."""

    RUNNING = "running"
    PAUSED = "paused"
    SUCCESSFUL = "successful"
    FAILED = "failed"
    CANCELLED = "cancelled"


class Cause(StrEnum):
    """Which kind of write a transaction is; the event stream names its events so."""

    NODE_REGISTRATION = "NodeRegistration"
    NODE_DEREGISTRATION = "NodeDeregistration"
    NODE_DRAIN = "NodeDrain"
    NODE_EVENT = "NodeStreamEvent"
    NODE_POOL_UPSERTED = "NodePoolUpserted"
    NODE_POOL_DELETED = "NodePoolDeleted"
    JOB_REGISTERED = "JobRegistered"
    JOB_DEREGISTERED = "JobDeregistered"
    JOB_BATCH_DEREGISTERED = "JobBatchDeregistered"
    EVALUATION_UPDATED = "EvaluationUpdated"
    ALLOCATION_UPDATED = "AllocationUpdated"
    ALLOCATION_UPDATE_DESIRED = "AllocationUpdateDesiredStatus"
    PLAN_RESULT = "PlanResult"
    DEPLOYMENT_STATUS_UPDATE = "DeploymentStatusUpdate"
    DEPLOYMENT_PROMOTION = "DeploymentPromotion"
    DEPLOYMENT_ALLOC_HEALTH = "DeploymentAllocHealth"
    SILENT = ""


SERVER_TERMINAL = frozenset({Desired.STOP, Desired.EVICT})
CLIENT_TERMINAL = frozenset({Client.COMPLETE, Client.FAILED, Client.LOST})
EVAL_TERMINAL = frozenset({EvalStatus.COMPLETE, EvalStatus.FAILED, EvalStatus.CANCELED})
ACTIVE_DEPLOYMENT = frozenset({DeploymentStatus.RUNNING, DeploymentStatus.PAUSED})
EVERY_POOL = "all"
DEFAULT_POOL = "default"
DEFAULT_NAMESPACE = "default"
