"""The services of a job in full, and the constraints that its services, secrets and signals imply."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from lab.nomad.model.canonical_tasks import fill
from lab.nomad.model.times import SECOND

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_SERVICE: Record = {
    "Address": "",
    "AddressMode": "",
    "CanaryMeta": None,
    "CanaryTags": None,
    "Connect": None,
    "EnableTagOverride": False,
    "Meta": None,
    "Name": "",
    "OnUpdate": "",
    "PortLabel": "",
    "Provider": "",
    "TaggedAddresses": None,
    "Tags": None,
    "TaskName": "",
}
_USUAL = {"AddressMode": "auto", "OnUpdate": "require_healthy", "Provider": "consul"}
_CHECK: Record = {
    "AddressMode": "",
    "Args": None,
    "Body": "",
    "Command": "",
    "Expose": False,
    "FailuresBeforeCritical": 0,
    "GRPCService": "",
    "GRPCUseTLS": False,
    "Header": None,
    "InitialStatus": "",
    "Interval": 0,
    "Method": "",
    "Name": "",
    "OnUpdate": "",
    "Path": "",
    "PortLabel": "",
    "Protocol": "",
    "SuccessBeforePassing": 0,
    "TLSServerName": "",
    "TLSSkipVerify": False,
    "TaskName": "",
    "Timeout": 0,
    "Type": "",
}
_RESTART: Record = {"Grace": SECOND, "IgnoreWarnings": False, "Limit": 0}
_VARIABLE = re.compile(r"\$\{([a-zA-Z0-9_\-.]+)\}")


def services(given: list[Record] | None, job: Record, group: str, task: str = "") -> list[Record] | None:
    """Answer services in full; None for none. `task` is the one they belong to, "" for a group's."""
    return [_service(one, job, group, task) for one in given or ()] or None


def _service(own: Record, job: Record, group: str, task: str) -> Record:
    full: dict[str, Any] = fill(_SERVICE, own)
    full |= {key: full[key] or usual for key, usual in _USUAL.items()}
    full |= {key: full[key] or None for key in ("CanaryMeta", "CanaryTags", "Meta", "TaggedAddresses", "Tags")}
    base = "-".join(part for part in (job["Name"], group, task) if part)
    words = {
        "JOB": job["Name"],
        "TASKGROUP": group,
        "TASK": task or "group",
        "BASE": f"{job['Name']}-{group}-{task or 'group'}",
    }
    name = _VARIABLE.sub(lambda match: words.get(match.group(1), match.group()), full["Name"] or base)
    namespace = {"nomad": job["Namespace"], "consul": "default"}.get(full["Provider"], "")
    full |= {"Name": name, "TaskName": full["TaskName"] or task, "Namespace": namespace}
    full["Checks"] = [_check(one, own, full, of_task=bool(task)) for one in own.get("Checks") or ()] or None
    return full


def _check(own: Record, given: Record, service: Record, *, of_task: bool) -> Record:
    full: dict[str, Any] = fill(_CHECK, own)
    restart = _check_restart(given.get("CheckRestart"), own.get("CheckRestart"))
    return full | {
        "Args": full["Args"] or None,
        "CheckRestart": None if restart is None else fill(_RESTART, restart),
        "FailuresBeforeCritical": max(0, full["FailuresBeforeCritical"]),
        "Header": {key: value or None for key, value in (full["Header"] or {}).items()} or None,
        "Name": full["Name"] or f'service: "{service["Name"]}" check',
        "OnUpdate": full["OnUpdate"] or service["OnUpdate"],
        "SuccessBeforePassing": max(0, full["SuccessBeforePassing"]),
        "TaskName": ("" if of_task else full["TaskName"]) or service["TaskName"],
    }


def _check_restart(of_service: Record | None, own: Record | None) -> Record | None:
    if of_service is None or own is None:
        return own if of_service is None else of_service
    limit = own.get("Limit") or 0
    laid = {
        "Grace": own.get("Grace"),
        "IgnoreWarnings": own.get("IgnoreWarnings") or None,
        "Limit": max(0, limit) or None,
    }
    return {**of_service, **{key: value for key, value in laid.items() if value is not None}}


def implied(group: Record) -> list[Record]:
    """Answer a group's constraints with those that it implies and does not have yet."""
    found: list[Record] = list(group["Constraints"] or ())
    tasks = group["Tasks"] or ()
    every = [*(group["Services"] or ()), *(one for task in tasks for one in task["Services"] or ())]
    native = [one for one in every if one["Provider"] == "nomad"]
    signals = sorted({signal for task in tasks for signal in _signals(task)})
    if any(task["Vault"] for task in tasks):
        _add(found, "${attr.vault.version}", "semver", ">= 0.6.1", left=True)
    if signals:
        _add(found, "${attr.os.signals}", "set_contains", ",".join(signals))
    if native:
        _add(found, "${attr.nomad.service_discovery}", "=", "true")
    if any(one["Checks"] for one in native):
        _add(found, "${attr.nomad.version}", "semver", ">= 1.4.0")
    if any(one["Provider"] == "consul" for one in every):
        _add(found, "${attr.consul.version}", "semver", ">= 1.7.0", left=True)
    return found


def _add(found: list[Record], left_target: str, operand: str, right: str, *, left: bool = False) -> None:
    """Add a constraint unless there is one like it, or (`left`) one on the same attribute."""
    one = {"LTarget": left_target, "Operand": operand, "RTarget": right}
    known = any(other["LTarget"] == left_target for other in found) if left else one in found
    if not known:
        found.append(one)


def _signals(task: Record) -> list[str]:
    own = [task["KillSignal"]] if task["KillSignal"] else []
    users = [*([task["Vault"]] if task["Vault"] else ()), *(task["Templates"] or ())]
    return own + [one["ChangeSignal"] for one in users if one["ChangeMode"] == "signal"]
