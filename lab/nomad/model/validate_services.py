"""Problems of services and their checks, in Nomad's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.nomad.model.errors import multierror
from lab.nomad.model.validate_checks import check_problem, needs_port
from lab.nomad.model.validate_networks import port_labels

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_NAME = re.compile(r"(?i:[a-z0-9]|[a-z0-9][a-z0-9\-]{0,61}[a-z0-9])")
_VARIABLE = re.compile(r"\$\{[a-zA-Z0-9_\-.]+\}")
_BAD_NAME = (
    "Service name must be valid per RFC 1123 and can contain only alphanumeric characters or dashes "
    "and must be no longer than 63 characters"
)


def _service(service: Record) -> list[str]:
    found = []
    if not _NAME.fullmatch(_VARIABLE.sub("ENV-VAR", service["Name"])):
        found.append(f'{_BAD_NAME}: "{service["Name"]}"')
    mode = service["AddressMode"]
    if mode in {"host", "driver", "alloc"} and service["Address"]:
        found.append('Service address_mode must be "auto" if address is set')
    elif mode not in {"", "auto", "host", "driver", "alloc"}:
        found.append(f'Service address_mode must be "auto", "host", or "driver"; not "{mode}"')
    if service["OnUpdate"] not in {"", "ignore", "require_healthy", "ignore_warnings"}:
        wanted = '"require_healthy", "ignore_warnings", or "ignore"'
        found.append(f'Service on_update must be {wanted}; not "{service["OnUpdate"]}"')
    if service["Provider"] not in {"consul", "nomad"}:
        return [*found, f'Service provider must be "consul", or "nomad"; not "{service["Provider"]}"']
    found += [text for check in service["Checks"] or () if (text := _check(service, check))]
    if service["Provider"] == "nomad" and service["Connect"] is not None:
        found.append("Service with provider nomad cannot include Connect blocks")
    return found


def _check(service: Record, check: Record) -> str:
    if not service["PortLabel"] and not check["PortLabel"] and needs_port(check):
        why = f'check requires a port but neither check nor service "{service["Name"]}" have a port'
        return f"Check {check['Name']} invalid: {why}"
    problem = check_problem(check, consul=service["Provider"] == "consul")
    return f"Check {check['Name']} invalid: {problem}" if problem and service["Provider"] == "consul" else problem


def group_service_problems(group: Record) -> list[str]:
    """Answer the problems of a group's services, and of how its tasks' services go with them."""
    found: list[str] = []
    seen: list[tuple[str, str, str]] = []
    twice: list[tuple[str, str, str]] = []
    providers: set[str] = set()
    tasks = group["Tasks"] or ()
    owned = [(task["Name"], service) for task in tasks for service in task["Services"] or ()]
    for owner, service in [*owned, *(("group", service) for service in group["Services"] or ())]:
        key = owner, service["Name"], service["PortLabel"]
        (twice if key in seen else seen).append(key)
        providers.add(service["Provider"])
        found += _of_another(owner, service) if owner != "group" else []
    names = {task["Name"] for task in tasks}
    for number, service in enumerate(group["Services"] or ()):
        found += _of_group(number, service, names)
    if twice:
        shown = " ".join(f"{owner}->{name}{f':{port}' if port else ''}" for owner, name, port in dict.fromkeys(twice))
        found.append(f"Services are not unique: [{shown}]")
    if len(providers) > 1:
        found.append("Multiple service providers used: task group services must use the same provider")
    return found


def _of_another(task: str, service: Record) -> list[str]:
    found = []
    if service["TaskName"] not in {"", task}:
        why = f'may only specify task the service belongs to, got "{service["TaskName"]}"'
        found.append(f"Service {service['Name']} is invalid: {why}")
    for check in service["Checks"] or ():
        if check["TaskName"] not in {"", task}:
            why = f'may only specify task the check belongs to, got "{check["TaskName"]}"'
            found.append(f"Check {check['Name']} is invalid: {why}")
    return found


def _of_group(number: int, service: Record, tasks: set[str]) -> list[str]:
    inner = _service(service)
    if inner:
        return [f"Service[{number}] {service['Name']} validation failed: {multierror(inner)}"]
    found = []
    only = 'cannot use address_mode="driver", only {} defined in a "task" {} can use this mode'
    if service["AddressMode"] == "driver":
        found.append(f'service "{service["Name"]}" {only.format("services", "block")}')
    for check in service["Checks"] or ():
        if check["TaskName"] and check["AddressMode"] == "driver":
            found.append(f'Check "{service["Name"]}" invalid: {only.format("checks", "service block")}')
        if check["TaskName"] and check["TaskName"] not in tasks:
            found.append(f"Check {check['Name']} invalid: refers to non-existent task {check['TaskName']}")
    return found


def script_problems(group: Record) -> list[str]:
    """Answer which script checks of a group's services do not say in which task they run."""
    return [
        f"Service [{group['Name']}]->{service['Name']} or Check {check['Name']} must specify task parameter"
        for service in group["Services"] or ()
        for check in service["Checks"] or ()
        if not service["TaskName"] and check["Type"] == "script" and not check["TaskName"]
    ]


def task_service_problems(group: Record, task: Record) -> list[str]:
    """Answer the problems of a task's services."""
    found: list[str] = []
    ports: dict[str, set[str]] = {}
    known: set[str] = set()
    for number, service in enumerate(task["Services"] or ()):
        name, port = service["Name"], service["PortLabel"]
        inner = _service(service)
        if inner:
            found.append(f'service[{number}] "{name}" validation failed: {multierror(inner)}')
        if service["AddressMode"] == "alloc":
            why = 'cannot use address_mode="alloc", only services defined in a "group" block can use this mode'
            found.append(f'service "{name}" {why}')
        if name + port in known:
            found.append(f'service "{name}" is duplicate')
        known.add(name + port)
        if port and not (service["AddressMode"] == "driver" and _number(port) is not None):
            ports.setdefault(port, set()).add(name)
        if service["Connect"] is not None:
            found.append(f'service "{name}" cannot have "connect" block, only services defined in a "group" block can')
        found += _task_checks(service, ports)
    labels = port_labels((group["Networks"] or [])[:1]) | port_labels(task["Resources"]["Networks"])
    missing = sorted(ports.keys() - labels)
    return found + [
        f'port label "{port}" referenced by services {", ".join(sorted(ports[port]))} does not exist'
        for port in missing
    ]


def _task_checks(service: Record, ports: dict[str, set[str]]) -> list[str]:
    found: list[str] = []
    known: set[str] = set()
    for check in service["Checks"] or ():
        if check["Name"] in known:
            found.append(f'check "{check["Name"]}" is duplicate')
        known.add(check["Name"])
        if check["AddressMode"] == "alloc":
            why = 'cannot use address_mode="alloc", only checks defined in a "group" service block can use this mode'
            found.append(f'check "{service["Name"]}" {why}')
        if needs_port(check):
            found += _port(service, check, ports)
    return found


def _port(service: Record, check: Record, ports: dict[str, set[str]]) -> list[str]:
    label = check["PortLabel"] or service["PortLabel"]
    number = _number(label)
    if not label:
        return [f'check "{check["Name"]}" is missing a port']
    if number is None:
        ports.setdefault(label, set()).add(service["Name"])
        return []
    if check["AddressMode"] != "driver":
        return [f'check "{check["Name"]}" cannot use a numeric port {number} without setting address_mode="driver"']
    return [] if number > 0 else [f'check "{check["Name"]}" has invalid numeric port {number}']


def _number(text: str) -> int | None:
    return int(text) if re.fullmatch(r"[+-]?\d+", text) else None
