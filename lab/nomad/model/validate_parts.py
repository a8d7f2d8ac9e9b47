"""Problems of constraints, affinities, spreads and networks, in Nomad's words."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from lab.nomad.model.constraints import OPERANDS
from lab.nomad.model.errors import multierror

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_MAX_PORT = 65535
_VERSION_PART = re.compile(r"\s*(=|!=|>=|<=|>|<|~>|)\s*v?\d+(\.\d+)*\S*\s*")
_NO_LEFT = frozenset({"distinct_hosts"})
_NO_RIGHT = frozenset({"distinct_hosts", "distinct_property", "is_set", "is_not_set"})


def constraint_problems(constraints: list[Record] | None) -> list[str]:
    """Answer the problems of a list of constraints, one sentence per constraint."""
    found = []
    for number, constraint in enumerate(constraints or (), start=1):
        inner = _constraint(constraint)
        if inner:
            found.append(f"Constraint {number} validation failed: {multierror(inner)}")
    return found


def affinity_problems(affinities: list[Record] | None) -> list[str]:
    """Answer the problems of a list of affinities."""
    found = []
    for number, affinity in enumerate(affinities or (), start=1):
        inner = _constraint(affinity, kind="affinity")
        if affinity["Weight"] == 0:
            inner.append("Affinity weight cannot be zero")
        elif not -100 <= affinity["Weight"] <= 100:
            inner.append("Affinity weight must be within the range [-100,100]")
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


def network_problems(networks: list[Record] | None) -> list[str]:
    """Answer the problems of a group's networks."""
    found: list[str] = []
    static: dict[int, str] = {}
    labels: set[str] = set()
    for network in networks or ():
        for port in (*(network["ReservedPorts"] or ()), *(network["DynamicPorts"] or ())):
            if port["Label"] in labels:
                found.append(f"Port label {port['Label']} already in use by taskgroup network")
            labels.add(port["Label"])
        for port in network["ReservedPorts"] or ():
            number = port["Value"]
            if number in static:
                found.append(f"Static port {number} already reserved by taskgroup network:{static[number]}")
            elif number > _MAX_PORT:
                found.append(f"Port {port['Label']} ({number}) cannot be greater than 65535")
            else:
                static[number] = port["Label"]
    return [f"Task group network validation failed: {multierror(found)}"] if found else []


def _constraint(constraint: Record, *, kind: str = "constraint") -> list[str]:
    operand, left, right = (constraint[key] for key in ("Operand", "LTarget", "RTarget"))
    if operand not in OPERANDS:
        return (
            [f'Unknown {kind} type "{operand}"'] if kind == "constraint" else [f'Unknown affinity operator "{operand}"']
        )
    found = []
    if operand == "regexp":
        found += _regexp(right)
    elif operand in {"version", "semver"}:
        found += _version(operand, right)
    elif operand == "distinct_property" and right and not (right.isdigit() and int(right) > 0):
        why = f'strconv.ParseUint: parsing "{right}": invalid syntax'
        zero = f"Distinct Property must have an allowed count of 1 or greater: {right} < 1"
        found.append(zero if right.isdigit() else f'Failed to convert RTarget "{right}" to uint64: {why}')
    if not left and operand not in _NO_LEFT:
        found.append("No LTarget provided but is required by constraint")
    if not right and operand not in _NO_RIGHT:
        found.append(f'Operator "{operand}" requires an RTarget')
    return found


def _regexp(text: str) -> list[str]:
    try:
        re.compile(text)
    except re.error as exc:
        if "missing )" in str(exc):
            return [f"Regular expression failed to compile: error parsing regexp: missing closing ): `{text}`"]
        return [f"Regular expression failed to compile: error parsing regexp: {exc.msg}: `{text}`"]
    return []


def _version(operand: str, text: str) -> list[str]:
    bad = next((part for part in text.split(",") if not _VERSION_PART.fullmatch(part)), None)
    if bad is None:
        return []
    return [f"{'Version' if operand == 'version' else 'Semver'} constraint is invalid: Malformed constraint: {bad}"]


def _spread(spread: Record) -> list[str]:
    found = []
    if not spread["Attribute"]:
        found.append("Missing spread attribute")
    if not 0 < spread["Weight"] <= 100:
        found.append("Spread block must have a positive weight from 0 to 100")
    values = [target["Value"] for target in spread["SpreadTarget"] or ()]
    found += [f'Spread target value "{v}" already defined' for v in sorted({v for v in values if values.count(v) > 1})]
    total = sum(target["Percent"] for target in spread["SpreadTarget"] or ())
    if total > 100:
        found.append(f"Sum of spread target percentages must not be greater than 100%; got {total}%")
    return found
