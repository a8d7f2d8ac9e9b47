"""Differences of the larger parts of a job: networks, resources, scaling, services, templates, volumes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.diffing import (
    by_fields,
    everything,
    fields,
    free_form,
    made,
    named,
    ordered,
    primitive,
    texts,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.store import Record

_TARGET = ("Target[Job]", "Target[Group]", "Target[Namespace]")
_LEAST_SCORE = 2
"""Services count as one when they score more: 3 for the same name, 2 for the same port, 1 for the same place."""


def resources(old: Record | None, new: Record | None) -> list[Record]:
    """Answer the difference of a task's resources."""
    return whole("Resources", old, new, _resource_parts)


def _resource_parts(old: Record, new: Record) -> list[Record]:
    devices = named(old.get("Devices") or (), new.get("Devices") or (), "Name", lambda a, b: whole("Device", a, b))
    return [*networks(old.get("Networks"), new.get("Networks")), *ordered([one for found in devices for one in found])]


def networks(old: list[Record] | None, new: list[Record] | None) -> list[Record]:
    """Answer the differences of networks: each is there or not."""
    # A network without a host name is told without one, but compared as having an empty one.
    before, after = ([{"Hostname": "", **net} for net in side or ()] for side in (old, new))
    hidden = ("Device", "CIDR", "IP")
    found = [one for net in before if net not in after for one in whole("Network", net, None, _ports, hidden)]
    found += [one for net in after if net not in before for one in whole("Network", None, net, _ports, hidden)]
    return ordered(found)


def _ports(old: Record, new: Record) -> list[Record]:
    found: list[Record] = []
    for name, key, hidden in (("Static Port", "ReservedPorts", ()), ("Dynamic Port", "DynamicPorts", ("Value",))):
        pairs = named(
            old.get(key) or (),
            new.get(key) or (),
            "Label",
            lambda a, b, name=name, hidden=hidden: by_fields(name, a, b, without=hidden),
        )
        found += ordered([one for pair in pairs for one in pair])
    before, after = old.get("DNS"), new.get("DNS")
    if before == after:
        return found
    kind = "Added" if before is None else "Deleted" if after is None else "Edited"
    return [*found, made("DNS", kind, fields(_dns(before), _dns(after), context=True))]


def _dns(record: Record | None) -> dict[str, str]:
    return {key: ",".join(value) for key, value in (record or {}).items() if value}


def scaling(old: Record | None, new: Record | None) -> list[Record]:
    """Answer the difference of a scaling policy."""
    if old == new:
        return []
    hidden = ("CreateIndex", "ModifyIndex", "ID", "Type", *_TARGET)
    flat = [primitive(side, without=hidden) for side in (old, new)]
    kind = "Added" if old is None else "Deleted" if new is None else "Edited"
    policy = free_form("Policy", (old or {}).get("Policy"), (new or {}).get("Policy"), context=False)
    return [made("Scaling", kind, fields(*flat, context=False), policy)]


def services(old: list[Record] | None, new: list[Record] | None) -> list[Record]:
    """Answer the differences of services, of which an old one is taken for the new one that is most like it."""
    return _matched(old or [], new or [], _like_service, lambda a, b: whole("Service", a, b, _below_service))


def _below_service(old: Record, new: Record) -> list[Record]:
    checks = named(
        old.get("Checks") or (), new.get("Checks") or (), "Name", lambda a, b: whole("Check", a, b, _below_check)
    )
    return [
        *texts("CanaryTags", old.get("CanaryTags"), new.get("CanaryTags")),
        *texts("Tags", old.get("Tags"), new.get("Tags")),
        *ordered([one for found in checks for one in found]),
        *whole("ConsulConnect", old.get("Connect"), new.get("Connect")),
    ]


def _below_check(old: Record, new: Record) -> list[Record]:
    return [
        *free_form("Header", old.get("Header"), new.get("Header")),
        *whole("CheckRestart", old.get("CheckRestart"), new.get("CheckRestart")),
    ]


def _like_service(old: Record, place: int, new: list[Record], taken: set[int]) -> int | None:
    best, most = None, _LEAST_SCORE
    for number, other in enumerate(new):
        score = (number == place) + 2 * (old["PortLabel"] == other["PortLabel"]) + 3 * (old["Name"] == other["Name"])
        if number not in taken and score > most:
            best, most = number, score
    return best


def templates(old: list[Record] | None, new: list[Record] | None) -> list[Record]:
    """Answer the differences of templates, told apart by where they are rendered to."""
    return _matched(old or [], new or [], _like_template, lambda a, b: whole("Template", a, b, _below_template))


def _like_template(old: Record, _place: int, new: list[Record], taken: set[int]) -> int | None:
    fits = (n for n, other in enumerate(new) if n not in taken and other["DestPath"] == old["DestPath"])
    return next(fits, None)


def _below_template(old: Record, new: Record) -> list[Record]:
    before, after = old.get("Wait"), new.get("Wait")
    found: list[Record] = []
    if before != after:
        kind = "Added" if before is None else "Deleted" if after is None else "Edited"
        found.append(made("Template", kind, fields(everything(before or {}), everything(after or {}), context=True)))
    return found + whole("ChangeScript", old.get("ChangeScript"), new.get("ChangeScript"), _arguments)


def _arguments(old: Record, new: Record) -> list[Record]:
    return texts("Args", old.get("Args"), new.get("Args"))


def _matched(
    old: list[Record],
    new: list[Record],
    match: Callable[[Record, int, list[Record], set[int]], int | None],
    diff: Callable[[Record | None, Record | None], list[Record]],
) -> list[Record]:
    if len(old) == len(new) == 1:
        return diff(old[0], new[0])
    taken: set[int] = set()
    found: list[Record] = []
    for place, one in enumerate(old):
        other = match(one, place, new, taken)
        if other is not None:
            taken.add(other)
        found += diff(one, None if other is None else new[other])
    for number, one in enumerate(new):
        if number not in taken:
            found += diff(None, one)
    return ordered(found)


def volumes(old: dict[str, Record] | None, new: dict[str, Record] | None) -> list[Record]:
    """Answer the differences of volumes by name."""
    before, after = old or {}, new or {}
    names = [*before, *(name for name in after if name not in before)]
    return [part for name in names for part in whole("Volume", before.get(name), after.get(name), _below_volume)]


def _below_volume(old: Record, new: Record) -> list[Record]:
    return whole("MountOptions", old.get("MountOptions"), new.get("MountOptions"), _flags)


def _flags(old: Record, new: Record) -> list[Record]:
    return texts("MountFlags", old.get("MountFlags"), new.get("MountFlags"))
