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


QUOTAS = {
    "lowprioritycores": FailureKind.LOW_PRIORITY_QUOTA,
    "total regional cores": FailureKind.REGIONAL_QUOTA,
    "cores quota": FailureKind.SKU_FAMILY_QUOTA,
}
"""Words of a quota's text, the most special first."""


def to_failure(pool: PoolName, at: datetime, code: str, message: str) -> GrowthFailure:
    """Translate the innermost error of a refused or failed growth."""
    text = message.lower()
    quota = next((kind for words, kind in QUOTAS.items() if words in text), FailureKind.OTHER)
    return GrowthFailure(pool, KINDS.get(code.lower(), quota), at, code, message)
