"""Constraints and affinities of a job against one node: targets, operators, and which of them escape node classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keeper.core import numbers, patterns, versions

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.store import Record

DISTINCT = frozenset({"distinct_hosts", "distinct_property"})
_NODE_TARGETS = {
    "${node.unique.id}": "ID",
    "${node.datacenter}": "Datacenter",
    "${node.unique.name}": "Name",
    "${node.class}": "NodeClass",
    "${node.pool}": "NodePool",
}


def resolve(target: str, node: Record) -> str | None:
    """Answer the value of a target on a node: itself when it is no interpolation, None when the node has none."""
    if not target.startswith("${"):
        return target
    field = _NODE_TARGETS.get(target)
    if field is not None:
        return node[field]
    for prefix, table in (("${attr.", "Attributes"), ("${meta.", "Meta")):
        if target.startswith(prefix):
            return node[table].get(target.removeprefix(prefix).removesuffix("}"))
    return None


def meets(constraint: Record, node: Record) -> bool:
    """Answer whether a node meets a constraint; those on distinctness hold here, other checks look at them."""
    return compare(constraint["Operand"], resolve(constraint["LTarget"], node), resolve(constraint["RTarget"], node))


def compare(operand: str, left: str | None, right: str | None) -> bool:
    """Answer `left operand right` by Nomad's operators; None stands for a value that is not there."""
    if operand in DISTINCT:
        return True
    if operand in {"!=", "not"}:
        return left != right
    if operand == "is_set":
        return left is not None
    if operand == "is_not_set":
        return left is None
    if left is None or right is None:
        return False
    check = _OPERATORS.get(operand)
    return check is not None and check(left, right)


def sentence(constraint: Record) -> str:
    """Answer a constraint as it is named in metrics: `${node.class} = gpu`."""
    return f"{constraint['LTarget']} {constraint['Operand']} {constraint['RTarget']}"


def escapes(constraint: Record) -> bool:
    """Answer whether a constraint can tell apart nodes of one computed class."""
    unique = ("${node.unique.", "${attr.unique.", "${meta.unique.")
    return any(constraint[side].startswith(unique) for side in ("LTarget", "RTarget"))


def _order(test: Callable[[int], bool]) -> Callable[[str, str], bool]:
    def check(left: str, right: str) -> bool:
        order = numbers.order(left, right)
        return order is not None and test(order)

    return check


def _version(*, strict: bool) -> Callable[[str, str], bool]:
    return lambda left, right: versions.satisfies(left, right, strict=strict) is True


def _members(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


def _equal(left: str, right: str) -> bool:
    return left == right


_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": _equal,
    "==": _equal,
    "is": _equal,
    "<": _order(lambda order: order < 0),
    ">": _order(lambda order: order > 0),
    "<=": _order(lambda order: order <= 0),
    ">=": _order(lambda order: order >= 0),
    "version": _version(strict=False),
    "semver": _version(strict=True),
    "regexp": lambda left, right: patterns.matches(left, right) is True,
    "set_contains": lambda left, right: _members(right) <= _members(left),
    "set_contains_all": lambda left, right: _members(right) <= _members(left),
    "set_contains_any": lambda left, right: bool(_members(right) & _members(left)),
}
OPERANDS = frozenset(_OPERATORS) | DISTINCT | {"!=", "not", "is_set", "is_not_set"}
