"""Azure's reasons for not growing a scale set, in the words the planner works with."""

from datetime import datetime

from keeper.core.memory import FailureKind, GrowthFailure
from keeper.core.model import PoolName

KINDS = {
    "skunotavailable": FailureKind.SKU_NOT_AVAILABLE,
    "zonalallocationfailed": FailureKind.ZONAL_ALLOCATION,
    "allocationfailed": FailureKind.ALLOCATION,
    "overconstrainedallocationrequest": FailureKind.OVERCONSTRAINED,
    "overconstrainedzonalallocationrequest": FailureKind.OVERCONSTRAINED_ZONAL,
    "operationpreempted": FailureKind.PREEMPTED,
    "conflict": FailureKind.CONFLICT,
    "toomanyrequests": FailureKind.THROTTLED,
}


def to_failure(pool: PoolName, at: datetime, code: str, message: str) -> GrowthFailure:
    """Translate the innermost error of a refused or failed growth."""
    return GrowthFailure(pool, KINDS.get(code.lower(), FailureKind.OTHER), at, code, message)
