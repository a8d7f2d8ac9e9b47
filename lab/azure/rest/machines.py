"""Handlers for virtual machines: the members of Flexible scale sets."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.azure.model import throttle
from lab.azure.model.actions import act, run_command, update_instance
from lab.azure.model.failures import invalid_parameter, resource_not_found
from lab.azure.model.removal import delete_machine, evict
from lab.azure.model.words import Mode, OperationKind
from lab.azure.rest.call import Route
from lab.azure.rest.instances import listed
from lab.azure.rest.machine_views import machine_view
from lab.azure.rest.scale_sets import GROUP
from lab.azure.rest.views import instance_view
from lab.http import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.azure.model.resources import Instance, ScaleSet
    from lab.azure.model.throttle import Policy
    from lab.azure.rest.call import Call, CallHandler

MACHINES = f"{GROUP}/virtualMachines"
MACHINE = f"{MACHINES}/{{machine}}"
ACTION = "Microsoft.Compute/virtualMachines"
_MEMBERS_OF = re.compile(r"^\s*'virtualMachineScaleSet/id'\s+eq\s+'(?P<id>[^']+)'\s*$", re.IGNORECASE)


def _machine(call: Call) -> tuple[ScaleSet, Instance]:
    for scale_set in call.cloud.in_group(call.params["subscription"], call.params["group"]):
        found = scale_set.instances.get(call.params["machine"].lower())
        if scale_set.mode is Mode.FLEXIBLE and found is not None:
            return scale_set, found
    raise resource_not_found(f"Microsoft.Compute/virtualMachines/{call.params['machine']}", call.params["group"])


def _list_group(call: Call) -> Response:
    return _list(call, call.cloud.in_group(call.params["subscription"], call.params["group"]))


def _list_all(call: Call) -> Response:
    return _list(call, call.cloud.in_subscription(call.params["subscription"]))


def _list(call: Call, scale_sets: Sequence[ScaleSet]) -> Response:
    wanted = _wanted_scale_set(call.query.get("$filter"))
    expanded = call.query.get("$expand", "").lower() == "instanceview"
    members = [
        (scale_set, instance)
        for scale_set in scale_sets
        if scale_set.mode is Mode.FLEXIBLE and wanted in {None, scale_set.key.id.lower()}
        for instance in listed(call, scale_set)
    ]

    def render(member: tuple[ScaleSet, Instance]) -> dict[str, Any]:
        return machine_view(*member, expanded=expanded, listed=True)

    return call.page(members, render)


def _wanted_scale_set(text: str | None) -> str | None:
    if not text:
        return None
    match = _MEMBERS_OF.match(text)
    if match is None:
        raise invalid_parameter("$filter", f"The filter '{text}' is not supported.")
    return match["id"].lower()


def _get(call: Call) -> Response:
    scale_set, instance = _machine(call)
    expanded = call.query.get("$expand", "").lower() == "instanceview"
    return Response.of_json(200, machine_view(scale_set, instance, expanded=expanded))


def _instance_view(call: Call) -> Response:
    return Response.of_json(200, instance_view(*_machine(call)))


def _patch(call: Call) -> Response:
    scale_set, instance = _machine(call)
    call.check_etag(f'"{instance.etag}"')
    operation = update_instance(call.cloud, scale_set, instance, call.document())
    return Response.of_json(200, machine_view(scale_set, instance), call.operation_headers(operation))


def _delete(call: Call) -> Response:
    scale_set, instance = _machine(call)
    return call.accepted(delete_machine(call.cloud, scale_set, instance))


def _simulate_eviction(call: Call) -> Response:
    evict(call.cloud, *_machine(call))
    return Response(204)


def _run_command(call: Call) -> Response:
    return call.accepted(run_command(call.cloud, *_machine(call), call.document()))


def _single(kind: OperationKind) -> CallHandler:
    def handle(call: Call) -> Response:
        scale_set, instance = _machine(call)
        return call.accepted(act(call.cloud, scale_set, kind, [instance]))

    return handle


def _action(name: str, kind: OperationKind, policies: tuple[Policy, ...] = throttle.UPDATE_MACHINE) -> Route:
    return Route("POST", f"{MACHINE}/{name}", f"{ACTION}/{name}/action", _single(kind), policies)


ROUTES: tuple[Route, ...] = (
    Route("GET", MACHINES, f"{ACTION}/read", _list_group, throttle.LIST_MACHINES),
    Route(
        "GET",
        "/subscriptions/{subscription}/providers/Microsoft.Compute/virtualMachines",
        f"{ACTION}/read",
        _list_all,
        throttle.LIST_MACHINES,
    ),
    Route("GET", MACHINE, f"{ACTION}/read", _get, throttle.GET_MACHINE),
    Route("GET", f"{MACHINE}/instanceView", f"{ACTION}/instanceView/read", _instance_view, throttle.GET_MACHINE),
    Route("PATCH", MACHINE, f"{ACTION}/write", _patch, throttle.UPDATE_MACHINE),
    Route("DELETE", MACHINE, f"{ACTION}/delete", _delete, throttle.DELETE_MACHINE),
    Route(
        "POST",
        f"{MACHINE}/simulateEviction",
        f"{ACTION}/simulateEviction/action",
        _simulate_eviction,
        throttle.UPDATE_MACHINE,
    ),
    Route("POST", f"{MACHINE}/runCommand", f"{ACTION}/runCommand/action", _run_command, throttle.UPDATE_MACHINE),
    _action("restart", OperationKind.RESTART),
    _action("redeploy", OperationKind.REDEPLOY),
    _action("reimage", OperationKind.REIMAGE),
    _action("start", OperationKind.START),
    _action("powerOff", OperationKind.POWER_OFF),
    _action("deallocate", OperationKind.DEALLOCATE, throttle.DELETE_MACHINE),
)
