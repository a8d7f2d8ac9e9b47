"""Problems of constraints, affinities, spreads and devices, in Nomad's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from keeper.core.patterns import Unlike, translated
from lab.nomad.model.errors import multierror

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_VERSION_PART = re.compile(r"\s*(=|!=|>=|<=|>|<|~>|)\s*v?\d+(\.\d+)*\S*\s*")
_SETS = frozenset({"set_contains", "set_contains_all", "set_contains_any"})
_COMPARED = frozenset({"=", "==", "is", "!=", "not", "<", "<=", ">", ">="})


def constraint_problems(constraints: list[Record] | None, first: int = 1) -> list[str]:
    """Answer the problems of a list of constraints, one sentence per constraint; the first one has a number."""
    found = []
    for number, constraint in enumerate(constraints or (), start=first):
        inner = _constraint(constraint)
        if inner:
            found.append(f"Constraint {number} validation failed: {multierror(inner)}")
    return found


def affinity_problems(affinities: list[Record] | None) -> list[str]:
    """Answer the problems of a list of affinities."""
    found = []
    for number, affinity in enumerate(affinities or (), start=1):
        inner = _affinity(affinity)
        if inner:
            found.append(f"Affinity {number} validation failed: {multierror(inner)}")
    return found


def spread_problems(spreads: list[Record] | None) -> list[str]:
    """Answer the problems of a list of spreads."""
    found = []
    for number, spread in enumerate(spreads or (), start=1):
        inner = _spread(spread)
        if inner:
            found.append(f"Spread {number} validation failed: {multierror(inner)}")
    return found


def device_problems(devices: list[Record] | None) -> list[str]:
    """Answer the problems of the devices that a task asks for."""
    found = []
    for number, device in enumerate(devices or (), start=1):
        inner = [] if device["Name"] else [_NO_DEVICE]
        for place, one in enumerate(device["Constraints"] or (), start=1):
            if one["Operand"] in {"distinct_hosts", "distinct_property"}:
                inner.append(f'Constraint {place} validation failed: using unsupported operand "{one["Operand"]}"')
            else:
                inner += constraint_problems([one], place)
        inner += affinity_problems(device["Affinities"])
        if inner:
            found.append(f"device {number} failed validation: {multierror(inner)}")
    return found


_NO_DEVICE = "device name must be given as one of the following: type, vendor/type, or vendor/type/name"


def _constraint(constraint: Record) -> list[str]:
    operand, left, right = (constraint[key] for key in ("Operand", "LTarget", "RTarget"))
    found = [] if operand else ["Missing constraint operand"]
    if operand in _SETS:
        found += [] if right else ["Set contains constraint requires an RTarget"]
    elif operand == "distinct_property":
        found += _count(right)
    elif operand in {"is_set", "is_not_set"}:
        found += [f'Operator "{operand}" does not support an RTarget'] if right else []
    elif operand != "distinct_hosts":
        found += _comparison(operand, right, "constraint")
    if not left and operand != "distinct_hosts":
        found.append("No LTarget provided but is required by constraint")
    return found


def _affinity(affinity: Record) -> list[str]:
    operand, right = affinity["Operand"], affinity["RTarget"]
    found = [] if operand else ["Missing affinity operand"]
    if operand in _SETS:
        found += [] if right else ["Set contains operators require an RTarget"]
    else:
        found += _comparison(operand, right, "affinity")
    if not affinity["LTarget"]:
        found.append("No LTarget provided but is required")
    if affinity["Weight"] == 0:
        found.append("Affinity weight cannot be zero")
    if not -100 <= affinity["Weight"] <= 100:
        found.append("Affinity weight must be within the range [-100,100]")
    return found


def _comparison(operand: str, right: str, kind: str) -> list[str]:
    if operand == "regexp":
        return _regexp(right)
    if operand in {"version", "semver"}:
        return _version(operand, right, kind)
    if operand in _COMPARED:
        return [] if right else [f'Operator "{operand}" requires an RTarget']
    return [f'Unknown {"constraint type" if kind == "constraint" else "affinity operator"} "{operand}"']


def _count(right: str) -> list[str]:
    if not right:
        return []
    if not right.isdigit():
        why = f'strconv.ParseUint: parsing "{right}": invalid syntax'
        return [f'Failed to convert RTarget "{right}" to uint64: {why}']
    least = "Distinct Property must have an allowed count of 1 or greater"
    return [] if int(right) > 0 else [f"{least}: {int(right)} < 1"]


def _regexp(text: str) -> list[str]:
    try:
        re.compile("".join(translated(text)))
    except Unlike:
        return []
    except re.error as exc:
        if "missing )" in str(exc):
            return [f"Regular expression failed to compile: error parsing regexp: missing closing ): `{text}`"]
        return [f"Regular expression failed to compile: error parsing regexp: {exc.msg}: `{text}`"]
    return []


def _version(operand: str, text: str, kind: str) -> list[str]:
    bad = next((part for part in text.split(",") if not _VERSION_PART.fullmatch(part)), None)
    if bad is None:
        return []
    return [f"{operand.capitalize()} {kind} is invalid: Malformed constraint: {bad}"]


def _spread(spread: Record) -> list[str]:
    found = []
    if not spread["Attribute"]:
        found.append("Missing spread attribute")
    if not 0 < spread["Weight"] <= 100:
        found.append("Spread block must have a positive weight from 0 to 100")
    seen: set[str] = set()
    for target in spread["SpreadTarget"] or ():
        if target["Value"] in seen:
            found.append(f'Spread target value "{target["Value"]}" already defined')
        seen.add(target["Value"])
        if target["Percent"] > 100:
            found.append(f'Spread target percentage for value "{target["Value"]}" must be between 0 and 100')
    total = sum(target["Percent"] for target in spread["SpreadTarget"] or ())
    if total > 100:
        found.append(f"Sum of spread target percentages must not be greater than 100%; got {total}%")
    return found
