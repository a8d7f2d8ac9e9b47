"""What Nomad 1.6.5 warns of when a job is registered, planned or validated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.errors import multierror

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_NETWORKS = "task network resources have been deprecated as of Nomad 0.12.0. Please configure networking via group network block."
_IOPS = "IOPS has been deprecated as of Nomad 0.9.0. Please remove IOPS from resource block."
_MBITS = "mbits has been deprecated as of Nomad 0.12.0. Please remove mbits from the network block"
_GRACE = (
    "VaultGrace has been deprecated as of Nomad 0.11 and ignored since Vault 0.5. "
    "Please remove VaultGrace / vault_grace from template block."
)


def warnings_of(job: Record, *, oversubscription: bool) -> str:
    """Answer the warnings that registering a job gives, as one text."""
    groups = job["TaskGroups"] or ()
    found = [
        f'Group "{group["Name"]}" has warnings: {multierror(inner)}' for group in groups if (inner := _of_group(group))
    ]
    updates = [group["Update"] for group in groups if group["Update"]]
    if any(one["AutoPromote"] for one in updates) and any(one["Canary"] and not one["AutoPromote"] for one in updates):
        found.append("auto_promote must be true for all groups to enable automatic promotion")
    if job["Periodic"] and job["Periodic"]["Spec"]:
        found.append("cron is deprecated and may be removed in a future release. Use crons instead")
    found += [] if oversubscription else _oversubscribed(job)
    if not found:
        return ""
    several = "s" if len(found) > 1 else ""
    return f"{len(found)} warning{several}:\n\n" + "\n".join(f"* {text.rstrip()}" for text in found)


def _oversubscribed(job: Record) -> list[str]:
    return [
        f'Memory oversubscription is not enabled; Task "{group["Name"]}.{task["Name"]}" memory_max value will be ignored. '
        "Update the Scheduler Configuration to allow oversubscription."
        for group in job["TaskGroups"] or ()
        for task in group["Tasks"] or ()
        if task["Resources"]["MemoryMaxMB"]
    ]


def _of_group(group: Record) -> list[str]:
    found = []
    update, count = group["Update"], group["Count"]
    if update and count > 1 and update["MaxParallel"] > count:
        found.append(
            f"Update max parallel count is greater than task group count ({update['MaxParallel']} > {count}). "
            "A destructive change would result in the simultaneous replacement of all allocations."
        )
    if group["Networks"] and group["Networks"][0]["MBits"] > 0:
        found.append(_MBITS)
    for task in group["Tasks"] or ():
        inner = _of_task(task)
        if inner:
            found.append(multierror([f'Task "{task["Name"]}": {text}' for text in inner]))
    return found


def _of_task(task: Record) -> list[str]:
    found = []
    if task["Resources"]["IOPS"]:
        found.append(_IOPS)
    if task["Resources"]["Networks"]:
        found.append(_NETWORKS)
    for number, template in enumerate(task["Templates"] or ()):
        if template["VaultGrace"]:
            found.append(multierror([f"Template[{number}] {_GRACE}"]))
    return found
