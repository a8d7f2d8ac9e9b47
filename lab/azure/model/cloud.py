"""The model's root: what exists, what is due, and who is told.

A `Cloud` is driven: it reads time only through the clock it was given, and changes only in `advance` and in the
functions that the routes call (`growth`, `removal`, `actions`). It is not thread-safe; `lab.azure.arm.Arm` holds a lock.
"""

from __future__ import annotations

from collections import deque
from copy import copy
from random import Random
from typing import TYPE_CHECKING, Any
from uuid import UUID

from lab.azure.model.failures import in_terminal_wrapper, resource_not_found
from lab.azure.model.faults import Fault, FaultKind, Faults
from lab.azure.model.metrics import Metrics
from lab.azure.model.network import Network
from lab.azure.model.pace import AZURE_PACE, Pace
from lab.azure.model.quota import Quotas
from lab.azure.model.resources import Instance, InstanceEvent, Operation, ScaleSet, ScaleSetKey
from lab.azure.model.timeline import Timeline
from lab.azure.model.words import Happening, OperationKind, OperationStatus, Provisioning

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from datetime import datetime

    type Observer = Callable[[InstanceEvent], None]

LAB_SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
LAB_TENANT = "99999999-8888-7777-6666-555555555555"
KEPT_OPERATIONS = 2000


class Cloud:
    """Subscriptions, groups, scale sets, operations and everything around them, in one place."""

    def __init__(
        self,
        now: Callable[[], datetime],
        *,
        seed: int = 1,
        pace: Pace = AZURE_PACE,
        quotas: Quotas | None = None,
        subscription: str = LAB_SUBSCRIPTION,
        location: str = "westeurope",
        page_size: int = 100,
    ) -> None:
        self.clock = now
        self.chance = Random(seed)
        self.pace = pace
        self.quotas = quotas or Quotas()
        self.subscription = subscription
        self.location = location
        self.page_size = page_size
        self.groups: dict[str, str] = {}
        self.scale_sets: dict[tuple[str, str, str], ScaleSet] = {}
        self.operations: dict[str, Operation] = {}
        self.running: dict[str, Operation] = {}
        self.restricted_skus: dict[str, frozenset[str]] = {}
        self.timeline = Timeline()
        self.faults = Faults()
        self.metrics = Metrics()
        self.network = Network()
        self.commands: Callable[[str, str], str] = lambda _name, _script: ""
        self.stale: dict[tuple[str, str, str], list[Instance]] = {}
        self._observers: list[Observer] = []
        self._operation_order: deque[str] = deque()
        self._networks = 0

    # Time ---------------------------------------------------------------------------------------------------------

    @property
    def now(self) -> datetime:
        """The present, from the clock that was handed in."""
        return self.clock()

    def advance(self) -> int:
        """Do everything that has fallen due by now, in order; return how many steps that was."""
        return self.timeline.run_due(self.now)

    def next_due(self) -> datetime | None:
        """Return when `advance` will next have something to do."""
        return self.timeline.next_due()

    # Observers and faults -----------------------------------------------------------------------------------------

    def subscribe(self, observer: Observer) -> None:
        """Have `observer` called, on the thread that advanced the model, for everything that befalls a guest.

        An observer must return at once and must not call back into the model or its HTTP face; one that has work to do
        puts the event on a queue of its own.
        """
        self._observers.append(observer)

    def tell(self, happening: Happening, scale_set: ScaleSet, instance: Instance, at: datetime) -> None:
        """Tell the observers what befell an instance; of one that never booted properly they hear nothing."""
        instance.introduced |= happening is Happening.BOOTED
        if not instance.introduced:
            return
        event = InstanceEvent(
            happening=happening,
            at=at,
            name=instance.name,
            instance_id=instance.instance_id,
            scale_set=scale_set.key.name,
            group=scale_set.key.group,
            subscription=scale_set.key.subscription,
            mode=scale_set.mode,
            priority=scale_set.priority,
            sku=instance.sku,
            location=scale_set.location,
            zone=instance.zone,
            tags={**scale_set.tags, **instance.tags},
            ip=instance.ip,
            joins=instance.joins,
        )
        for observer in self._observers:
            observer(event)

    def inject(self, fault: Fault) -> int:
        """Put a fault in force from now; return its number. Stale lists show the instances of this very moment."""
        if fault.kind is FaultKind.STALE_LISTS:
            self.stale = {key: [copy(i) for i in scale_set] for key, scale_set in self.scale_sets.items()}
        return self.faults.inject(fault, self.now)

    # Finding ------------------------------------------------------------------------------------------------------

    def scale_set(self, key: ScaleSetKey) -> ScaleSet:
        """Return a scale set, or raise Azure's 404."""
        found = self.scale_sets.get(key.folded())
        if found is None:
            raise resource_not_found(f"Microsoft.Compute/virtualMachineScaleSets/{key.name}", key.group)
        return found

    def scale_set_named(self, name: str) -> ScaleSet:
        """Return the only scale set of this name, wherever it is: for scripts and tests, which know what they made."""
        return next(found for found in self.scale_sets.values() if found.key.name.lower() == name.lower())

    def in_group(self, subscription: str, group: str) -> list[ScaleSet]:
        """Return the scale sets of a group, in order of creation."""
        wanted = (subscription.lower(), group.lower())
        return [found for key, found in self.scale_sets.items() if key[:2] == wanted]

    def in_subscription(self, subscription: str) -> list[ScaleSet]:
        """Return the scale sets of a subscription, in order of creation."""
        return [found for key, found in self.scale_sets.items() if key[0] == subscription.lower()]

    def next_network(self) -> int:
        """Return a number for a scale set's range of private addresses."""
        self._networks += 1
        return self._networks

    def new_uuid(self) -> str:
        """Return an identifier drawn from the seed."""
        return str(UUID(int=self.chance.getrandbits(128), version=4))

    # Operations ---------------------------------------------------------------------------------------------------

    def start(self, kind: OperationKind, scale_set: ScaleSet, waiting: Iterable[str] = ()) -> Operation:
        """Begin a long-running operation; old ones are forgotten after a while, as in Azure."""
        operation = Operation(
            name=self.new_uuid(),
            kind=kind,
            subscription=scale_set.key.subscription,
            location=scale_set.location,
            started=self.now,
            waiting=set(waiting),
        )
        self.operations[operation.name] = self.running[operation.name] = operation
        self._operation_order.append(operation.name)
        if len(self._operation_order) > KEPT_OPERATIONS:
            self.operations.pop(self._operation_order.popleft(), None)
        return operation

    def finish(
        self, operation: Operation, at: datetime, error: dict[str, Any] | None = None, *, wrapped: bool = False
    ) -> None:
        """End an operation; an operation that has ended stays as it ended."""
        if not operation.running:
            return
        self.running.pop(operation.name, None)
        operation.ended = at
        operation.status = OperationStatus.FAILED if error else OperationStatus.SUCCEEDED
        if error:
            operation.error = in_terminal_wrapper(error) if wrapped else error

    def settle(self, scale_set: ScaleSet, operation: Operation, at: datetime) -> None:
        """End a scale set's model operation once it waits for nothing more; its first failure becomes the outcome."""
        if operation.waiting or not operation.running:
            return
        failed = operation.error
        self.finish(operation, at, failed)
        if scale_set.updating is operation:
            scale_set.updating = None
            scale_set.provisioning = Provisioning.FAILED if failed else Provisioning.SUCCEEDED
            scale_set.status_time = at
