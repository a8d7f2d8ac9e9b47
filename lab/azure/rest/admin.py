"""The lab's own paths under `/lab/`, which ARM never uses: faults, evictions, health, metrics and the journal.

They need no token and are meant for a person with curl and for scenarios in another process. Everything here can be
done from Python on the `Cloud` as well.
"""

from __future__ import annotations

import json
from dataclasses import fields
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.azure.model.failures import ArmError, Failure, instance_not_found
from lab.azure.model.faults import Fault, FaultKind
from lab.azure.model.health import set_health
from lab.azure.model.notices import NoticeKind, announce
from lab.azure.model.removal import evict
from lab.azure.model.words import Health
from lab.http import Response

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.azure.arm import Arm
    from lab.azure.model.resources import Instance, ScaleSet
    from lab.http import Request

_DURATIONS = frozenset({"duration", "delay"})


def handle(arm: Arm, request: Request) -> Response:
    """Answer a request to `/lab/...`; a body that makes no sense gets 400 and the reason."""
    action = _ACTIONS.get((request.method, request.path.lower().rstrip("/")))
    if action is None:
        known = [f"{method} {path}" for method, path in _ACTIONS]
        return Response.of_json(404, {"error": "unknown path", "known": known})
    try:
        body = json.loads(request.body) if request.body else {}
        return action(arm, body)
    except ArmError as error:
        return error.response()
    except (KeyError, TypeError, ValueError, StopIteration) as error:
        return Response.of_json(400, {"error": f"{type(error).__name__}: {error}"})


def parse_fault(body: dict[str, Any]) -> Fault:
    """Read a fault from JSON: the fields of `Fault`, durations in seconds, enums by value."""
    known = {field.name for field in fields(Fault)}
    unknown = set(body) - known
    if unknown:
        raise ValueError(f"unknown fields {sorted(unknown)}; known are {sorted(known)}")
    values: dict[str, Any] = dict(body)
    values["kind"] = FaultKind(body["kind"])
    if "failure" in body:
        values["failure"] = Failure(body["failure"])
    for name in _DURATIONS & set(body):
        values[name] = timedelta(seconds=float(body[name]))
    return Fault(**values)


def _inject(arm: Arm, body: dict[str, Any]) -> Response:
    return Response.of_json(201, {"number": arm.cloud.inject(parse_fault(body))})


def _list_faults(arm: Arm, _: dict[str, Any]) -> Response:
    rows = [
        {
            "number": number,
            "kind": fault.kind.value,
            "scale_set": fault.scale_set,
            "failure": fault.failure.value,
            "struck": struck,
        }
        for number, fault, struck in arm.cloud.faults.listing(arm.cloud.now)
    ]
    return Response.of_json(200, {"faults": rows})


def _clear_faults(arm: Arm, body: dict[str, Any]) -> Response:
    arm.cloud.faults.clear(body.get("number"))
    return Response(204)


def _evict(arm: Arm, body: dict[str, Any]) -> Response:
    evict(arm.cloud, *_target(arm, body))
    return Response(204)


def _announce(arm: Arm, body: dict[str, Any]) -> Response:
    """Announce a freeze, a reboot or a redeployment; it passes without effect on the machine."""
    _, instance = _target(arm, body)
    wait = timedelta(seconds=float(body.get("notice", 900)))
    announce(arm.cloud, instance, NoticeKind(body["kind"]), wait, lambda _: None)
    return Response(204)


def _set_health(arm: Arm, body: dict[str, Any]) -> Response:
    scale_set, instance = _target(arm, body)
    set_health(arm.cloud, scale_set, instance, Health(body["health"]))
    return Response(204)


def _target(arm: Arm, body: dict[str, Any]) -> tuple[ScaleSet, Instance]:
    scale_set = arm.cloud.scale_set_named(body["scale_set"])
    instance = scale_set.instance_named(str(body["instance"]))
    if instance is None:
        raise instance_not_found()
    return scale_set, instance


def _script_metric(arm: Arm, body: dict[str, Any]) -> Response:
    arm.cloud.metrics.script(body["resource"], body["metric"], float(body["value"]))
    return Response(204)


def _set_quotas(arm: Arm, body: dict[str, Any]) -> Response:
    quotas = arm.cloud.quotas
    quotas.regional = int(body.get("regional", quotas.regional))
    quotas.low_priority = int(body.get("low_priority", quotas.low_priority))
    quotas.families.update({name: int(limit) for name, limit in body.get("families", {}).items()})
    return Response(204)


def _journal(arm: Arm, _: dict[str, Any]) -> Response:
    rows = [
        {
            "at": entry.at.isoformat(),
            "method": entry.method,
            "path": entry.path,
            "status": entry.status,
            "action": entry.action,
            "if_match": entry.if_match,
        }
        for entry in arm.journal
    ]
    return Response.of_json(200, {"requests": rows})


def _clear_journal(arm: Arm, _: dict[str, Any]) -> Response:
    arm.journal.clear()
    return Response(204)


_ACTIONS: dict[tuple[str, str], Callable[[Arm, dict[str, Any]], Response]] = {
    ("POST", "/lab/faults"): _inject,
    ("GET", "/lab/faults"): _list_faults,
    ("DELETE", "/lab/faults"): _clear_faults,
    ("POST", "/lab/evictions"): _evict,
    ("POST", "/lab/notices"): _announce,
    ("PUT", "/lab/health"): _set_health,
    ("PUT", "/lab/metrics"): _script_metric,
    ("PUT", "/lab/quotas"): _set_quotas,
    ("GET", "/lab/journal"): _journal,
    ("DELETE", "/lab/journal"): _clear_journal,
}
