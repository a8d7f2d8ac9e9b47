"""Handlers for scale sets and the batch actions on their instances."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.azure.model import throttle
from lab.azure.model.actions import act, set_orchestration_service
from lab.azure.model.building import put_scale_set
from lab.azure.model.failures import ArmError, etag_mismatch
from lab.azure.model.growth import update_scale_set
from lab.azure.model.removal import delete_instances, delete_scale_set, instances_named
from lab.azure.model.words import OperationKind
from lab.azure.rest.call import Route
from lab.azure.rest.views import scale_set_instance_view, scale_set_view
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.model.throttle import Policy
    from lab.azure.rest.call import Call, CallHandler

GROUP = "/subscriptions/{subscription}/resourceGroups/{group}/providers/Microsoft.Compute"
SCALE_SETS = f"{GROUP}/virtualMachineScaleSets"
SCALE_SET = f"{SCALE_SETS}/{{scale_set}}"
ACTION = "Microsoft.Compute/virtualMachineScaleSets"


def _get(call: Call) -> Response:
    scale_set = call.scale_set()
    view = scale_set_view(scale_set)
    if call.query.get("$expand") == "userData" and "userData" in scale_set.profile:
        view["properties"]["virtualMachineProfile"]["userData"] = scale_set.profile["userData"]
    return Response.of_json(200, view, {"ETag": scale_set.quoted_etag})


def _put(call: Call) -> Response:
    existing = call.cloud.scale_sets.get(call.scale_set_key.folded())
    if existing is not None:
        call.check_etag(existing.quoted_etag)
    elif wanted := call.request.headers.get("if-match"):
        raise etag_mismatch(wanted, "")
    scale_set, operation, created = put_scale_set(call.cloud, call.scale_set_key, call.document())
    headers = {"ETag": scale_set.quoted_etag, **call.operation_headers(operation)}
    return Response.of_json(201 if created else 200, scale_set_view(scale_set), headers)


def _patch(call: Call) -> Response:
    scale_set = call.scale_set()
    call.check_etag(scale_set.quoted_etag)
    operation = update_scale_set(call.cloud, scale_set, call.document())
    headers = {"ETag": scale_set.quoted_etag, **call.operation_headers(operation)}
    return Response.of_json(200, scale_set_view(scale_set), headers)


def _delete(call: Call) -> Response:
    return call.accepted(delete_scale_set(call.cloud, call.scale_set()))


def _list_group(call: Call) -> Response:
    return call.page(call.cloud.in_group(call.params["subscription"], call.params["group"]), scale_set_view)


def _list_all(call: Call) -> Response:
    return call.page(call.cloud.in_subscription(call.params["subscription"]), scale_set_view)


def _instance_view(call: Call) -> Response:
    return Response.of_json(200, scale_set_instance_view(call.scale_set()))


def _delete_instances(call: Call) -> Response:
    scale_set = call.scale_set()
    instance_ids = call.document().get("instanceIds")
    if not instance_ids:
        raise ArmError(
            400, "InvalidParameter", "Required parameter 'instanceIds' is missing (null).", target="instanceIds"
        )
    return call.accepted(delete_instances(call.cloud, scale_set, instances_named(scale_set, instance_ids)))


def _orchestration_service(call: Call) -> Response:
    return call.accepted(set_orchestration_service(call.cloud, call.scale_set(), call.document()))


def _batch(kind: OperationKind) -> CallHandler:
    def handle(call: Call) -> Response:
        scale_set = call.scale_set()
        instance_ids = call.document().get("instanceIds") or ["*"]
        return call.accepted(act(call.cloud, scale_set, kind, instances_named(scale_set, instance_ids)))

    return handle


def _action(name: str, kind: OperationKind, policies: tuple[Policy, ...] = throttle.BATCH_ACTION) -> Route:
    return Route("POST", f"{SCALE_SET}/{name}", f"{ACTION}/{name}/action", _batch(kind), policies)


_STOPPING: dict[str, Any] = {"policies": throttle.BATCH_STOP}

ROUTES: tuple[Route, ...] = (
    Route("GET", SCALE_SET, f"{ACTION}/read", _get, throttle.GET_SCALE_SET),
    Route("PUT", SCALE_SET, f"{ACTION}/write", _put, throttle.PUT_SCALE_SET),
    Route("PATCH", SCALE_SET, f"{ACTION}/write", _patch, throttle.PATCH_SCALE_SET),
    Route("DELETE", SCALE_SET, f"{ACTION}/delete", _delete, throttle.DELETE_SCALE_SET),
    Route("GET", SCALE_SETS, f"{ACTION}/read", _list_group, throttle.LIST_SCALE_SETS),
    Route(
        "GET",
        "/subscriptions/{subscription}/providers/Microsoft.Compute/virtualMachineScaleSets",
        f"{ACTION}/read",
        _list_all,
        throttle.LIST_SCALE_SETS,
    ),
    Route("GET", f"{SCALE_SET}/instanceView", f"{ACTION}/instanceView/read", _instance_view, throttle.VIEW_SCALE_SET),
    Route("POST", f"{SCALE_SET}/delete", f"{ACTION}/delete/action", _delete_instances, throttle.BATCH_ACTION),
    Route(
        "POST",
        f"{SCALE_SET}/setOrchestrationServiceState",
        f"{ACTION}/setOrchestrationServiceState/action",
        _orchestration_service,
        throttle.PATCH_SCALE_SET,
    ),
    _action("restart", OperationKind.RESTART),
    _action("redeploy", OperationKind.REDEPLOY),
    _action("reimage", OperationKind.REIMAGE),
    _action("reimageall", OperationKind.REIMAGE_ALL),
    _action("start", OperationKind.START),
    _action("manualupgrade", OperationKind.MANUAL_UPGRADE),
    _action("poweroff", OperationKind.POWER_OFF, **_STOPPING),
    _action("deallocate", OperationKind.DEALLOCATE, **_STOPPING),
)
