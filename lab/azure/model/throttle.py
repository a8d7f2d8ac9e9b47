"""Compute's request limits as token buckets: refill and burst per minute, per resource and per subscription.

The names and bursts are those that the recordings show in `x-ms-ratelimit-remaining-resource`; the refill of the
per-scale-set buckets is documented (update 4, GET 12, instance view 10, single delete 4, low-cost GET 12 per minute),
and the subscription-wide ones keep the same three-to-one proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.azure.model.failures import throttled

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

MINUTE = timedelta(minutes=1)


class Scope(StrEnum):
    """What shares a bucket."""

    SUBSCRIPTION = "subscription"
    RESOURCE = "resource"


@dataclass(frozen=True, slots=True)
class Policy:
    """One limit: at most `burst` requests at once, `per_minute` in the long run."""

    name: str
    burst: int
    per_minute: int
    scope: Scope


def _limit(name: str, burst: int, per_minute: int) -> Policy:
    return Policy(name, burst, per_minute, Scope.RESOURCE if name.endswith("Resource") else Scope.SUBSCRIPTION)


GET_SCALE_SET = (_limit("GetVMScaleSetSubscriptionMaximum", 2400, 800), _limit("GetVMScaleSetResource", 36, 12))
LIST_SCALE_SETS = (_limit("HighCostGetVMScaleSetSubscriptionMaximum", 1080, 360),)
VIEW_SCALE_SET = (*LIST_SCALE_SETS, _limit("HighCostGetVMScaleSetResource", 30, 10))
LIST_INSTANCES = (*VIEW_SCALE_SET, _limit("VMScaleSetVMViewsSubscriptionMaximum", 30000, 10000))
GET_INSTANCE = (
    _limit("GetVMScaleSetVMSubscriptionMaximum", 6000, 2000),
    _limit("GetVMScaleSetVMResource", 36, 12),
    _limit("VMScaleSetVMViewsSubscriptionMaximum", 30000, 10000),
)
_BATCH = (_limit("VMScaleSetBatchedVMRequestsSubscriptionMaximum", 6000, 2000),)
PUT_SCALE_SET = (
    _limit("CreateVMScaleSetSubscriptionMaximum", 375, 125),
    _limit("CreateVMScaleSetResource", 12, 4),
    *_BATCH,
)
PATCH_SCALE_SET = (
    _limit("VMScaleSetActionsSubscriptionMaximum", 1500, 500),
    _limit("VMScaleSetActionsResource", 12, 4),
    *_BATCH,
)
BATCH_ACTION = (_limit("VMScaleSetActionsSubscriptionMaximum", 1500, 500), *_BATCH)
BATCH_STOP = (_limit("DeleteVMScaleSetSubscriptionMaximum", 525, 175), *_BATCH)
DELETE_SCALE_SET = (
    _limit("DeleteVMScaleSetSubscriptionMaximum", 525, 175),
    _limit("DeleteVMScaleSetResource", 12, 4),
    *_BATCH,
)
INSTANCE_ACTION = (
    _limit("VMScaleSetVMActionsSubscriptionMaximum", 2000, 667),
    _limit("VMScaleSetVMActionsResource", 12, 4),
)
BATCHED_INSTANCE_ACTION = (*INSTANCE_ACTION, *_BATCH)
DELETE_INSTANCE = (
    _limit("DeleteVMScaleSetVMSubscriptionMaximum", 2000, 667),
    _limit("DeleteVMScaleSetVMResource", 12, 4),
    *_BATCH,
)
LIST_MACHINES = (_limit("HighCostGetSubscriptionMaximum", 900, 300),)
GET_MACHINE = (_limit("LowCostGetSubscriptionMaximum", 24000, 8000), _limit("LowCostGetResource", 36, 12))
UPDATE_MACHINE = (_limit("UpdateVMSubscriptionMaximum", 1500, 500), _limit("UpdateVMResource", 12, 4))
DELETE_MACHINE = (_limit("DeleteVMSubscriptionMaximum", 1500, 500), _limit("DeleteVMResource", 12, 4))
GET_OPERATION = (_limit("GetOperationResource", 45, 15), _limit("GetOperationSubscriptionMaximum", 15000, 5000))
GET_USAGE = (_limit("GetSubscriptionInfoSubscriptionMaximum", 360, 120),)


@dataclass(slots=True)
class _Bucket:
    tokens: float
    filled: datetime


class Throttle:
    """All buckets. With `enforced` off the counts are still shown and fall, but never refuse."""

    def __init__(self, *, enforced: bool = True) -> None:
        self.enforced = enforced
        self._buckets: dict[tuple[str, str], _Bucket] = {}

    def take(self, policies: Sequence[Policy], subscription: str, resource: str, now: datetime) -> dict[str, str]:
        """Take a token from every bucket, or none and raise the 429; return the header that tells what is left."""
        chosen = [(policy, self._bucket(policy, subscription, resource, now)) for policy in policies]
        for policy, bucket in chosen:
            if bucket.tokens < 1 and self.enforced:
                wait = MINUTE * ((1 - bucket.tokens) / policy.per_minute)
                raise throttled(
                    policy.name,
                    allowed=policy.burst,
                    measured=policy.burst + 1,
                    window=(now, now + wait),
                )
        for _, bucket in chosen:
            bucket.tokens = max(0.0, bucket.tokens - 1)
        left = ",".join(f"Microsoft.Compute/{policy.name};{int(bucket.tokens)}" for policy, bucket in chosen)
        if policies and policies[-1] is _BATCH[0]:
            left += ",Microsoft.Compute/VmssQueuedVMOperations;0"
        return {"x-ms-ratelimit-remaining-resource": left} if left else {}

    def _bucket(self, policy: Policy, subscription: str, resource: str, now: datetime) -> _Bucket:
        holder = resource if policy.scope is Scope.RESOURCE else subscription
        bucket = self._buckets.setdefault((policy.name, holder.lower()), _Bucket(policy.burst, now))
        bucket.tokens = min(float(policy.burst), bucket.tokens + policy.per_minute * ((now - bucket.filled) / MINUTE))
        bucket.filled = now
        return bucket
