"""The `ScaleSets` port over Azure Resource Manager."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

from keeper.azure.adapter import SdkAdapter
from keeper.azure.answers import in_our_words, meaning, of_refusal, refusal_of
from keeper.azure.arm import arm_options
from keeper.azure.instances import MachineBody, ScaleSetBody, by_pool, to_instance
from keeper.azure.network import Subnets
from keeper.clock import Clock
from keeper.core.failures import classify
from keeper.core.model import Instance, Mode, Pool, PoolName, ScaleSet
from keeper.errors import Changed, Gone, Permanent
from keeper.ports import GrowthRefused, OperationResult, OperationStatus
from keeper.settings import AzureSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential
    from azure.core.pipeline import PipelineResponse
    from azure.mgmt.compute import ComputeManagementClient

    from keeper.azure.arm import Transport

ALL = "*"
"""Azure's word for every instance of a scale set; never sent."""

UNKNOWN_INSTANCE = "is not an active"
REFUSED_GROWTH = frozenset({HTTPStatus.BAD_REQUEST, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY})
ENDED = {"succeeded": OperationStatus.SUCCEEDED, "failed": OperationStatus.FAILED, "canceled": OperationStatus.FAILED}


class ScaleSetsArm(SdkAdapter):
    """The `ScaleSets` port. It translates; it never decides. Nothing here waits for a long-running operation.

    azure-mgmt-compute is loaded when the first method is called. `transport` replaces the network.
    """

    def __init__(
        self,
        settings: AzureSettings,
        pools: Iterable[Pool],
        *,
        credential: "TokenCredential",
        clock: Clock,
        transport: "Transport | None" = None,
    ) -> None:
        super().__init__(settings, credential=credential, transport=transport)
        self._pools = tuple(pools)
        self._clock = clock
        self._subnets = Subnets(settings, credential=credential, transport=transport)

    @cached_property
    def _client(self) -> "ComputeManagementClient":
        from azure.mgmt.compute import ComputeManagementClient  # noqa: PLC0415 -- an SDK, loaded when first used

        options = arm_options(self._settings.arm, self._transport)
        return ComputeManagementClient(self._credential, self._settings.subscription, **options)

    def scale_sets(self) -> Mapping[PoolName, ScaleSet]:
        """See the port."""
        listed: dict[tuple[str, str], ScaleSetBody] = {}
        for group in sorted({pool.resource_group.lower() for pool in self._pools}):
            with in_our_words(f"list the scale sets of {group}"):
                for each in self._client.virtual_machine_scale_sets.list(group):
                    body = cast("ScaleSetBody", each)
                    listed[group, body["name"].lower()] = body
        return by_pool(self._pools, listed)

    def instances(self, pool: Pool) -> tuple[Instance, ...]:
        """See the port."""
        with in_our_words(f"list the instances of {pool.scale_set}"):
            found = [to_instance(pool.name, body) for body in self._machines(pool)]
        return tuple(sorted(found, key=lambda instance: instance.name))

    def _machines(self, pool: Pool) -> Iterable[MachineBody]:
        if pool.mode is Mode.UNIFORM:
            view = self._client.virtual_machine_scale_set_vms
            return cast("Iterable[MachineBody]", view.list(pool.resource_group, pool.scale_set, expand="instanceView"))
        mine = f"'virtualMachineScaleSet/id' eq '{self._id(pool)}'"
        view = self._client.virtual_machines
        return cast("Iterable[MachineBody]", view.list(pool.resource_group, filter=mine, expand="instanceView"))

    def _id(self, pool: Pool) -> str:
        return (
            f"/subscriptions/{self._settings.subscription}/resourceGroups/{pool.resource_group}"
            f"/providers/Microsoft.Compute/virtualMachineScaleSets/{pool.scale_set}"
        )

    def free_addresses(self, subnets: Iterable[str]) -> Mapping[str, int]:
        """See the port."""
        return {subnet: self._subnets.free(subnet) for subnet in subnets}

    def grow(self, pool: Pool, current: ScaleSet, target: int) -> str | None:
        """See the port. The current capacity as the target is sent too: Azure then makes up what never came."""
        if target < current.capacity:
            raise ValueError(f"{pool.name}: capacity is never lowered ({current.capacity} to {target})")
        from azure.core import MatchConditions  # noqa: PLC0415 -- an SDK, loaded when first used
        from azure.core.exceptions import AzureError, HttpResponseError  # noqa: PLC0415 -- the same

        doing = f"grow {pool.scale_set} from {current.capacity} to {target}"
        condition = MatchConditions.IfNotModified if current.etag else None
        try:
            asked = self._client.virtual_machine_scale_sets.begin_update(
                pool.resource_group,
                pool.scale_set,
                cast("Any", {"sku": {"name": current.sku, "capacity": target}}),
                etag=current.etag,
                match_condition=condition,
                polling=False,
                cls=_operation,
            )
            return cast("str | None", asked.result())
        except HttpResponseError as exc:
            refusal = refusal_of(exc)
            if refusal.status in REFUSED_GROWTH:
                why = classify(pool.name, self._clock.now(), refusal.body or refusal.message, status=refusal.status)
                raise GrowthRefused(why) from exc
            raise of_refusal(doing, refusal) from exc
        except AzureError as exc:
            raise meaning(doing, exc) from exc

    def outcome(self, pool: Pool, operation: str) -> OperationResult:
        """See the port. The request carries the keeper's token, so an operation at another place is as good as forgotten."""
        from azure.core.rest import HttpRequest  # noqa: PLC0415 -- an SDK, loaded when first used

        asked, ours = urlsplit(operation), urlsplit(self._settings.arm)
        if (asked.scheme, asked.netloc.lower()) != (ours.scheme, ours.netloc.lower()):
            return OperationResult(OperationStatus.SUCCEEDED)
        try:
            with in_our_words(f"tell how the growth of {pool.scale_set} went"):
                response = self._client.send_request(HttpRequest("GET", operation))
                response.raise_for_status()
        except Gone:
            return OperationResult(OperationStatus.SUCCEEDED)
        body = cast("dict[str, Any]", response.json())
        status = ENDED.get(str(body.get("status", "")).lower(), OperationStatus.RUNNING)
        if status is not OperationStatus.FAILED:
            return OperationResult(status)
        return OperationResult(status, classify(pool.name, self._clock.now(), body))

    def delete(self, pool: Pool, ids: Sequence[str]) -> None:
        """See the port. Azure refuses the whole batch when one id is unknown; the known ones are then asked for again."""
        if ALL in ids:
            raise ValueError(f"{pool.name}: instances are deleted by name only")
        if not ids:
            return
        try:
            self._delete(pool, ids)
        except (Gone, Permanent) as exc:
            if not isinstance(exc, Gone) and UNKNOWN_INSTANCE not in str(exc):
                raise
            known = {instance.id.lower() for instance in self.instances(pool)}
            left = [each for each in ids if each.lower() in known]
            if left == list(ids):
                raise Changed(f"{pool.scale_set}: a list still shows instances that Azure says are gone") from exc
            if left:
                self._delete(pool, left)

    def _delete(self, pool: Pool, ids: Sequence[str]) -> None:
        with in_our_words(f"delete {', '.join(ids)} of {pool.scale_set}"):
            self._client.virtual_machine_scale_sets.begin_delete_instances(
                pool.resource_group, pool.scale_set, cast("Any", {"instanceIds": [*ids]}), polling=False
            )


def _operation(response: "PipelineResponse[Any, Any]", *_: object) -> str | None:
    """Where to ask how it went; absent when it was over at once."""
    return response.http_response.headers.get("Azure-AsyncOperation")
