"""Handlers for the instances of a scale set, one at a time or listed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.azure.model import throttle
from lab.azure.model.actions import act, run_command, update_instance
from lab.azure.model.failures import instance_not_found
from lab.azure.model.removal import delete_instances, evict, instances_named
from lab.azure.model.words import Mode, OperationKind
from lab.azure.rest.call import Route
from lab.azure.rest.machine_views import member_view
from lab.azure.rest.scale_sets import SCALE_SET
from lab.azure.rest.views import instance_view, uniform_instance_view
from lab.http import Response

if TYPE_CHECKING:
    from typing import Any

    from lab.azure.model.resources import Instance, ScaleSet
    from lab.azure.model.throttle import Policy
    from lab.azure.rest.call import Call, CallHandler

INSTANCES = f"{SCALE_SET}/virtualMachines"
INSTANCE = f"{INSTANCES}/{{instance}}"
ACTION = "Microsoft.Compute/virtualMachineScaleSets/virtualMachines"


def instance_of(call: Call, scale_set: ScaleSet) -> Instance:
    """Return the instance that the path names, or raise Compute's own 404."""
    found = scale_set.instances.get(call.params["instance"].lower())
    if found is None:
        raise instance_not_found()
    return found


def listed(call: Call, scale_set: ScaleSet) -> list[Instance]:
    """Return the instances as a list shows them now, or as it showed them when lists went stale."""
    if call.stale:
        return call.cloud.stale.get(scale_set.key.folded(), [])
    return list(scale_set)


def _view(scale_set: ScaleSet, instance: Instance, *, expanded: bool) -> dict[str, Any]:
    if scale_set.mode is Mode.FLEXIBLE:
        return member_view(scale_set, instance)
    return uniform_instance_view(scale_set, instance, expanded=expanded)


def _list(call: Call) -> Response:
    scale_set = call.scale_set()
    expanded = call.query.get("$expand", "").lower() == "instanceview"
    return call.page(listed(call, scale_set), lambda i: _view(scale_set, i, expanded=expanded))


def _get(call: Call) -> Response:
    scale_set = call.scale_set()
    instance = instance_of(call, scale_set)
    expanded = call.query.get("$expand", "").lower() == "instanceview"
    return Response.of_json(200, _view(scale_set, instance, expanded=expanded), {"ETag": f'"{instance.etag}"'})


def _put(call: Call) -> Response:
    scale_set = call.scale_set()
    instance = instance_of(call, scale_set)
    call.check_etag(f'"{instance.etag}"')
    operation = update_instance(call.cloud, scale_set, instance, call.document())
    headers = {"ETag": f'"{instance.etag}"', **call.operation_headers(operation)}
    return Response.of_json(200, _view(scale_set, instance, expanded=False), headers)


def _delete(call: Call) -> Response:
    scale_set = call.scale_set()
    return call.accepted(delete_instances(call.cloud, scale_set, [instance_of(call, scale_set)]))


def _instance_view(call: Call) -> Response:
    scale_set = call.scale_set()
    return Response.of_json(200, instance_view(scale_set, instance_of(call, scale_set)))


def _simulate_eviction(call: Call) -> Response:
    scale_set = call.scale_set()
    evict(call.cloud, scale_set, instance_of(call, scale_set))
    return Response(204)


def _run_command(call: Call) -> Response:
    scale_set = call.scale_set()
    return call.accepted(run_command(call.cloud, scale_set, instance_of(call, scale_set), call.document()))


def _single(kind: OperationKind) -> CallHandler:
    def handle(call: Call) -> Response:
        scale_set = call.scale_set()
        if call.params["instance"] == "*":
            return call.accepted(act(call.cloud, scale_set, kind, instances_named(scale_set, ["*"])))
        return call.accepted(act(call.cloud, scale_set, kind, [instance_of(call, scale_set)]))

    return handle


def _action(name: str, kind: OperationKind, policies: tuple[Policy, ...] = throttle.BATCHED_INSTANCE_ACTION) -> Route:
    return Route("POST", f"{INSTANCE}/{name}", f"{ACTION}/{name}/action", _single(kind), policies)


ROUTES: tuple[Route, ...] = (
    Route("GET", INSTANCES, f"{ACTION}/read", _list, throttle.LIST_INSTANCES),
    Route("GET", INSTANCE, f"{ACTION}/read", _get, throttle.GET_INSTANCE),
    Route("PUT", INSTANCE, f"{ACTION}/write", _put, throttle.BATCHED_INSTANCE_ACTION),
    Route("DELETE", INSTANCE, f"{ACTION}/delete", _delete, throttle.DELETE_INSTANCE),
    Route("GET", f"{INSTANCE}/instanceView", f"{ACTION}/instanceView/read", _instance_view, throttle.GET_INSTANCE),
    Route(
        "POST",
        f"{INSTANCE}/simulateEviction",
        f"{ACTION}/simulateEviction/action",
        _simulate_eviction,
        throttle.INSTANCE_ACTION,
    ),
    Route(
        "POST", f"{INSTANCE}/runCommand", f"{ACTION}/runCommand/action", _run_command, throttle.BATCHED_INSTANCE_ACTION
    ),
    _action("restart", OperationKind.RESTART),
    _action("redeploy", OperationKind.REDEPLOY),
    _action("reimage", OperationKind.REIMAGE),
    _action("reimageall", OperationKind.REIMAGE_ALL),
    _action("start", OperationKind.START),
    _action("poweroff", OperationKind.POWER_OFF, throttle.DELETE_INSTANCE),
    _action("deallocate", OperationKind.DEALLOCATE, throttle.DELETE_INSTANCE),
)
