"""Whether a place satisfies a job's constraints: it does, it does not, or one cannot tell yet.

Operators are Nomad's (https://developer.hashicorp.com/nomad/docs/job-specification/constraint). What cannot be told is
kept apart from what fails: a node that was never seen may still turn out to be right.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from keeper.core import numbers, patterns, versions
from keeper.core.model import Constraint, Operand


class Verdict(Enum):
    """Three-valued truth."""

    HOLDS = "holds"
    FAILS = "fails"
    UNKNOWN = "unknown"

    @classmethod
    def of(cls, truth: bool | None) -> "Verdict":
        """None is unknown."""
        return cls.UNKNOWN if truth is None else cls.HOLDS if truth else cls.FAILS


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a place: values by target (`attr.kernel.name`, `node.class`, `meta.rack`)."""

    values: Mapping[str, str]
    complete: bool
    """Whether a target that is not in `values` is known to be absent."""
    uncertain: frozenset[str] = field(default_factory=frozenset[str])
    """Targets that differ between places that are alike otherwise, such as the zone."""
    unseen: bool = False
    """A place that does not exist yet: nothing can be said of what will be unique to it."""
    unique: frozenset[str] | None = None
    """The unique targets that such a place has, whatever their values; None when not known."""


class _Absent(Enum):
    ABSENT = 0
    UNKNOWN = 1
    UNIQUE = 2


type _Value = str | _Absent


def judge(constraint: Constraint, place: Known) -> Verdict:
    """Whether `place` satisfies `constraint`. Distinct hosts say nothing about a single place; a distinct property must be there."""
    if constraint.operand is Operand.DISTINCT_HOSTS:
        return Verdict.HOLDS
    left, right = _resolve(constraint.left, place), _resolve(constraint.right, place)
    if constraint.operand is Operand.DISTINCT_PROPERTY:
        return Verdict.FAILS if left is _Absent.ABSENT else Verdict.HOLDS
    if _Absent.UNKNOWN in {left, right}:
        return Verdict.UNKNOWN
    if _Absent.UNIQUE in {left, right}:
        return Verdict.of(constraint.operand in {Operand.NOT_EQUAL, Operand.IS_SET})
    return Verdict.of(_compare(constraint.operand, left, right))


def is_unique(target: str) -> bool:
    """Whether no two nodes share the value of that target, so that it can be waited for but never bought."""
    return target.startswith(("${node.unique.", "${attr.unique.", "${meta.unique."))


def is_uncertain(target: str, place: Known) -> bool:
    """Whether places that are alike otherwise differ in that target."""
    return _name(target) in place.uncertain


def value_at(target: str, place: Known) -> str | None:
    """The value of an interpolated target at a place, or None when it is absent or not known."""
    value = _resolve(target, place)
    return value if isinstance(value, str) else None


NODE_TARGETS = frozenset({"node.unique.id", "node.unique.name", "node.datacenter", "node.class", "node.pool"})
"""All that Nomad knows of a node beside its attributes and metadata; any other interpolation has no value anywhere."""


def _name(target: str) -> str | None:
    """What an interpolation names, or None when Nomad knows no such thing."""
    name = target.removeprefix("${").removesuffix("}")
    if name.startswith(("attr.", "meta.")):
        return name
    return name if name in NODE_TARGETS and target.endswith("}") else None


def _resolve(target: str, place: Known) -> _Value:
    if not target.startswith("${"):
        return target
    name = _name(target)
    if name is None:
        return _Absent.ABSENT
    if name in place.values and name not in place.uncertain:
        return place.values[name]
    if is_unique(target):
        return _unique(name, place)
    return _Absent.ABSENT if place.complete and name not in place.uncertain else _Absent.UNKNOWN


def _unique(name: str, place: Known) -> _Value:
    if place.complete and place.unique is not None and name not in NODE_TARGETS and name not in place.unique:
        return _Absent.ABSENT
    return _Absent.UNIQUE if place.unseen else _Absent.UNKNOWN


def _compare(operand: Operand, left: _Value, right: _Value) -> bool | None:
    if operand is Operand.IS_SET:
        return isinstance(left, str)
    if operand is Operand.IS_NOT_SET:
        return not isinstance(left, str)
    if operand is Operand.NOT_EQUAL:
        return _text(left) != _text(right)
    if not (isinstance(left, str) and isinstance(right, str)):
        return False
    return _OPERATORS[operand](left, right)


def _text(value: _Value) -> str:
    """What is absent is not equal to anything but the empty text."""
    return value if isinstance(value, str) else ""


def _members(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


_OPERATORS: dict[Operand, Callable[[str, str], bool | None]] = {
    Operand.EQUAL: lambda left, right: left == right,
    Operand.LESS: lambda left, right: numbers.order(left, right) == -1,
    Operand.LESS_OR_EQUAL: lambda left, right: numbers.order(left, right) in {-1, 0},
    Operand.GREATER: lambda left, right: numbers.order(left, right) == 1,
    Operand.GREATER_OR_EQUAL: lambda left, right: numbers.order(left, right) in {0, 1},
    Operand.REGEXP: patterns.matches,
    Operand.VERSION: lambda text, bound: versions.satisfies(text, bound, strict=False),
    Operand.SEMVER: lambda text, bound: versions.satisfies(text, bound, strict=True),
    Operand.SET_CONTAINS: lambda have, want: _members(want) <= _members(have),
    Operand.SET_CONTAINS_ALL: lambda have, want: _members(want) <= _members(have),
    Operand.SET_CONTAINS_ANY: lambda have, want: bool(_members(want) & _members(have)),
}
