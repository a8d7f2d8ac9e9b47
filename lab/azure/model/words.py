"""The closed vocabularies of the model; each value is spelt as Azure spells it on the wire."""

from __future__ import annotations

from enum import StrEnum


class Mode(StrEnum):
    """How a scale set keeps its instances."""

    UNIFORM = "Uniform"
    FLEXIBLE = "Flexible"


class Priority(StrEnum):
    """What an instance is bought as."""

    REGULAR = "Regular"
    SPOT = "Spot"


class EvictionPolicy(StrEnum):
    """What becomes of an evicted Spot instance; a deallocated one still counts as capacity."""

    DEALLOCATE = "Deallocate"
    DELETE = "Delete"


class Provisioning(StrEnum):
    """The provisioning state of a scale set or an instance."""

    CREATING = "Creating"
    UPDATING = "Updating"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    DELETING = "Deleting"


class Power(StrEnum):
    """The power state in an instance view, after `PowerState/`."""

    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    DEALLOCATING = "deallocating"
    DEALLOCATED = "deallocated"


class Health(StrEnum):
    """What the application health extension reports, after `HealthState/`."""

    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    UNKNOWN = "unknown"


class OperationStatus(StrEnum):
    """The state of a long-running operation of Compute."""

    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


class OperationKind(StrEnum):
    """What a long-running operation does to a scale set or its instances."""

    UPDATE = "update"
    DELETE_SCALE_SET = "delete scale set"
    DELETE_INSTANCES = "delete instances"
    UPDATE_INSTANCE = "update instance"
    RESTART = "restart"
    REDEPLOY = "redeploy"
    REIMAGE = "reimage"
    REIMAGE_ALL = "reimageAll"
    START = "start"
    POWER_OFF = "powerOff"
    DEALLOCATE = "deallocate"
    MANUAL_UPGRADE = "manualUpgrade"
    ORCHESTRATION_SERVICE = "setOrchestrationServiceState"
    RUN_COMMAND = "runCommand"


class Happening(StrEnum):
    """What a lifecycle observer is told: the guest's life, as the machine's owner would feel it."""

    BOOTED = "booted"
    STOPPED = "stopped"
    REIMAGED = "reimaged"
    EVICTED = "evicted"
    DELETED = "deleted"
