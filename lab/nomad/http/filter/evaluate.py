"""Evaluation of a filter on a record, with the error texts of go-bexpr and of the Go types behind the record."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from lab.nomad.http.filter.grammar import read
from lab.nomad.http.filter.peg import Unparsable
from lab.nomad.http.filter.tree import Both, Each, Match, Node, Not, Op
from lab.nomad.http.gotext import parse_bool, quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

MAP_FIELDS = frozenset(
    [
        "Meta",
        "Attributes",
        "Drivers",
        "Links",
        "HostVolumes",
        "HostNetworks",
        "TaskStates",
        "Summary",
        "DeviceIDs",
        "ClassEligibility",
        "QueuedAllocations",
        "FailedTGAllocs",
        "PlacedCanaries",
        "Capabilities",
        "Items",
        "Env",
        "Config",
        "Options",
        "Labels",
        "TaskResources",
        "Tasks",
        "TaskLifecycles",
        "CSIControllerPlugins",
        "CSINodePlugins",
        "Details",
    ]
)
"""Names of fields that are maps in Go. A missing key of a map is no error; a missing field of a struct is one.

In a deployment `TaskGroups` is a map too, in a job it is a list: the record tells them apart by itself.
"""


class Unfilterable(ValueError):
    """The filter cannot be applied to the record; the message is that of the API."""


def compiled(text: str) -> Callable[[Mapping[str, Any]], bool]:
    """Answer a predicate for a filter text; raises Unparsable (a ValueError) when it does not parse."""
    node = _read(text)
    return lambda record: evaluate(node, record, ())


@lru_cache(maxsize=256)
def _read(text: str) -> Node:
    return read(text)


type Local = tuple[str, tuple[str, ...], object]
"""A name bound by `any` or `all`: the name, the path that it stands for (or none), else its value."""


def evaluate(node: Node, record: Mapping[str, Any], local: tuple[Local, ...]) -> bool:
    """Tell whether `record` satisfies `node`; raises Unfilterable when the record has no such field."""
    match node:
        case Match():
            return _match(node, record, local)
        case Not(inner):
            return not evaluate(inner, record, local)
        case Both(left, right, either):
            if evaluate(left, record, local) is either:
                return either
            return evaluate(right, record, local)
        case Each():
            return _each(node, record, local)


_ABSENT = object()


def _match(node: Match, record: Mapping[str, Any], local: tuple[Local, ...]) -> bool:
    value = _value(node.path, record, local)
    if value is _ABSENT:
        # Absent map keys: the negated operators hold, and so does "is empty".
        return node.op is Op.EMPTY if not node.negated else node.op is not Op.EMPTY
    return _TESTS[node.op](value, node) is not node.negated


def _equal(value: object, node: Match) -> bool:
    if isinstance(value, (list, dict)) or value is None:
        raise Unfilterable("unable to find suitable primitive comparison function for matching")
    try:
        return _coerced(node.value or "", value) == value
    except ValueError as exc:
        raise Unfilterable(f"error getting match value in expression: {exc}") from exc


def _contains(value: object, node: Match) -> bool:
    wanted = node.value or ""
    if isinstance(value, dict):
        return wanted in value
    if isinstance(value, str):
        return wanted in value
    if value is None:
        return False
    if isinstance(value, list):
        return any(_equal(item, node) for item in value if not isinstance(item, (dict, list)))
    kind = "bool" if isinstance(value, bool) else "int"
    raise Unfilterable(
        f"Cannot perform in/contains operations on type {kind} for selector: {quote('.'.join(node.path))}"
    )


def _empty(value: object, _node: Match) -> bool:
    if value is None:
        return True
    if isinstance(value, (str, list, dict)):
        return len(value) == 0
    kind = "bool" if isinstance(value, bool) else "int"
    raise Unfilterable(f"reflect: call of reflect.Value.Len on {kind} Value")


def _matches(value: object, node: Match) -> bool:
    if not isinstance(value, str):
        kind = "bool" if isinstance(value, bool) else type(value).__name__
        raise Unfilterable(f"Value of type {kind} is not convertible to []byte")
    try:
        return re.search(_go_pattern(node.value or ""), value) is not None
    except re.error as exc:
        raise Unfilterable(
            f"Failed to compile regular expression {quote(node.value or '')}: error parsing regexp: {exc.msg}"
        ) from exc


_TESTS: dict[Op, Callable[[Any, Match], bool]] = {
    Op.EQUAL: _equal,
    Op.IN: _contains,
    Op.EMPTY: _empty,
    Op.MATCHES: _matches,
}


def _go_pattern(pattern: str) -> str:
    return re.sub(r"\\z$", r"\\Z", pattern)


def _coerced(raw: str, like: object) -> object:
    if isinstance(like, bool):
        return parse_bool(raw)
    if isinstance(like, int):
        if not re.fullmatch(r"[+-]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]*|[1-9]\d*)", raw):
            raise ValueError(f"strconv.ParseInt: parsing {quote(raw)}: invalid syntax")
        return int(raw, 0) if not re.fullmatch(r"[+-]?0\d+", raw) else int(raw, 8)
    if isinstance(like, float):
        try:
            return float(raw)
        except ValueError:
            raise ValueError(f"strconv.ParseFloat: parsing {quote(raw)}: invalid syntax") from None
    return raw


def _value(path: tuple[str, ...], record: Mapping[str, Any], local: tuple[Local, ...]) -> object:
    for name, stands_for, bound in reversed(local):
        if path and path[0] == name:
            if not stands_for:
                if len(path) > 1:
                    raise Unfilterable(f"/{name} references a string so /{'/'.join(path)} is invalid")
                return bound
            path = (*stands_for, *path[1:])
    return _walk(path, record)


def _walk(path: tuple[str, ...], record: Mapping[str, Any]) -> object:
    current: Any = record
    parent = ""
    for number, part in enumerate(path):
        where = f"/{'/'.join(path)}"
        if isinstance(current, dict):
            if part not in current:
                return _missing(path, number, parent)
            current = current[part]
        elif isinstance(current, list):
            current = _element(current, part, f"{where} at part {number}")
        elif current is None and parent in MAP_FIELDS:
            return _ABSENT
        else:
            kind = "invalid" if current is None else "string" if isinstance(current, str) else "int"
            raise Unfilterable(f"error finding value in datum: {where}: at part {number}, invalid value kind: {kind}")
        parent = part
    return current


def _missing(path: tuple[str, ...], number: int, parent: str) -> object:
    # Only the last part of a path may be missing, and only from a map.
    if parent in MAP_FIELDS and number == len(path) - 1:
        return _ABSENT
    name = quote(path[number])
    what = f" {name}" if parent in MAP_FIELDS else f": struct field with name {name}"
    raise Unfilterable(f"error finding value in datum: /{'/'.join(path)} at part {number}: couldn't find key{what}")


def _element(values: list[Any], part: str, where: str) -> object:
    if not re.fullmatch(r"[+-]?[0-9]+", part):
        raise Unfilterable(f"error finding value in datum: {where}: couldn't convert value {quote(part)} to type int")
    if not 0 <= int(part) < len(values):
        raise Unfilterable(
            f"error finding value in datum: {where}: index {int(part)} is out of range (length = {len(values)})"
        )
    return values[int(part)]


def _each(node: Each, record: Mapping[str, Any], local: tuple[Local, ...]) -> bool:
    value = _value(node.path, record, local)
    if value is _ABSENT or value is None:
        return node.every
    if not isinstance(value, (list, dict)):
        raise Unfilterable(f"{'ALL' if node.every else 'ANY'} is not supported for {quote('.'.join(node.path))}")
    for key in range(len(value)) if isinstance(value, list) else value:
        inner = local + _bound(node, key, is_map=isinstance(value, dict))
        if evaluate(node.inner, record, inner) is not node.every:
            return not node.every
    return node.every


def _bound(node: Each, key: object, *, is_map: bool) -> tuple[Local, ...]:
    element = (*node.path, str(key))
    names: list[Local] = []
    if node.default:
        names.append((node.default, () if is_map else element, key))
    if node.index:
        names.append((node.index, (), key))
    if node.value:
        names.append((node.value, element, None))
    return tuple(names)


__all__ = ["Unfilterable", "Unparsable", "compiled", "evaluate"]
