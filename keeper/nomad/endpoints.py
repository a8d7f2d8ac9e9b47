"""The parts of Nomad's API that the keeper reads and writes through python-nomad."""

from enum import StrEnum


class Endpoint(StrEnum):
    """Named as python-nomad names them."""

    NODES = "nodes"
    NODE = "node"
    ALLOCATIONS = "allocations"
    JOBS = "jobs"
    JOB = "job"
    EVALUATIONS = "evaluations"
    DEPLOYMENTS = "deployments"
