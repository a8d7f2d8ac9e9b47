"""Devices of a node: which group of instances matches an ask, and which instances are free."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.constraints import compare

if TYPE_CHECKING:
    from lab.nomad.model.store import Record
    from lab.nomad.model.usage import NodeUse

DeviceId = tuple[str, str, str]


def could_serve(node: Record, group: Record) -> bool:
    """Answer whether a node has devices for all asks of a group, whoever uses them now."""
    free = {id(device): len(_healthy(device)) for device in node["NodeResources"]["Devices"] or ()}
    for ask in (ask for task in group["Tasks"] for ask in task["Resources"]["Devices"] or ()):
        for device in node["NodeResources"]["Devices"] or ():
            if _matches(device, ask) and free[id(device)] >= ask["Count"]:
                free[id(device)] -= ask["Count"]
                break
        else:
            return False
    return True


def assign(node: Record, use: NodeUse, taken: set[tuple[DeviceId, str]], ask: Record) -> tuple[Record, float] | None:
    """Answer the allocated device resource for an ask with the sum of its matching affinity weights; None: not free.

    `taken` is what this allocation was given already; what is given now is added to it.
    """
    best: tuple[float, Record, DeviceId, list[str]] | None = None
    for device in node["NodeResources"]["Devices"] or ():
        identity = (device["Vendor"], device["Type"], device["Name"])
        free = [i for i in _healthy(device) if not use.devices.get((identity, i)) and (identity, i) not in taken]
        if not _matches(device, ask) or len(free) < ask["Count"]:
            continue
        score = sum(a["Weight"] for a in ask["Affinities"] or () if _holds(device, a))
        if best is None or score > best[0]:
            best = (score, device, identity, free[: ask["Count"]])
    if best is None:
        return None
    score, device, identity, chosen = best
    taken.update((identity, instance) for instance in chosen)
    return {"DeviceIDs": chosen, "Name": device["Name"], "Type": device["Type"], "Vendor": device["Vendor"]}, score


def _healthy(device: Record) -> list[str]:
    return [instance["ID"] for instance in device["Instances"] if instance["Healthy"]]


def _matches(device: Record, ask: Record) -> bool:
    parts = ask["Name"].split("/", 2)
    own = {1: (device["Type"],), 2: (device["Vendor"], device["Type"])}.get(
        len(parts), (device["Vendor"], device["Type"], device["Name"])
    )
    return tuple(parts) == own and all(_holds(device, constraint) for constraint in ask["Constraints"] or ())


def _holds(device: Record, constraint: Record) -> bool:
    return compare(
        constraint["Operand"], _target(device, constraint["LTarget"]), _target(device, constraint["RTarget"])
    )


def _target(device: Record, target: str) -> str | None:
    if not target.startswith("${"):
        return target
    name = target.removeprefix("${device.").removesuffix("}")
    if name in {"model", "vendor", "type"}:
        return device[{"model": "Name", "vendor": "Vendor", "type": "Type"}[name]]
    found = device["Attributes"].get(name.removeprefix("attr."))
    if isinstance(found, dict):
        value = next((v for key, v in found.items() if key != "Unit"), None)
        return None if value is None else f"{value}{' ' + found['Unit'] if found.get('Unit') else ''}"
    return found
