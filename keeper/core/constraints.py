"""Whether a place satisfies a job's constraints: it does, it does not, or one cannot tell yet.

Operators are Nomad's (https://developer.hashicorp.com/nomad/docs/job-specification/constraint). What cannot be told is
kept apart from what fails: a node that was never seen may still turn out to be right.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum

from keeper.core import versions
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


class _Absent(Enum):
    ABSENT = 0
    UNKNOWN = 1
    UNIQUE = 2


type _Value = str | _Absent


def judge(constraint: Constraint, place: Known) -> Verdict:
    """Whether `place` satisfies `constraint`. Distinct operands say nothing about a single place: they hold."""
    if constraint.operand in {Operand.DISTINCT_HOSTS, Operand.DISTINCT_PROPERTY}:
        return Verdict.HOLDS
    left, right = _resolve(constraint.left, place), _resolve(constraint.right, place)
    if _Absent.UNKNOWN in {left, right}:
        return Verdict.UNKNOWN
    if _Absent.UNIQUE in {left, right}:
        return Verdict.of(constraint.operand in {Operand.NOT_EQUAL, Operand.IS_SET})
    return Verdict.of(_compare(constraint.operand, left, right))


def is_unique(target: str) -> bool:
    """Whether no two nodes share the value of that target, so that it can be waited for but never bought."""
    return ".unique." in _name(target)


def is_uncertain(target: str, place: Known) -> bool:
    """Whether places that are alike otherwise differ in that target."""
    return _name(target) in place.uncertain


def value_at(target: str, place: Known) -> str | None:
    """The value of an interpolated target at a place, or None when it is absent or not known."""
    value = _resolve(target, place)
    return value if isinstance(value, str) else None


def _name(target: str) -> str:
    return target.strip().removeprefix("${").removesuffix("}")


def _resolve(target: str, place: Known) -> _Value:
    if not target.strip().startswith("${"):
        return target
    name = _name(target)
    if name in place.values and name not in place.uncertain:
        return place.values[name]
    if place.unseen and is_unique(target):
        return _Absent.UNIQUE
    known_absent = place.complete and name not in place.uncertain and not is_unique(target)
    return _Absent.ABSENT if known_absent else _Absent.UNKNOWN


def _compare(operand: Operand, left: _Value, right: _Value) -> bool | None:
    if operand is Operand.IS_SET:
        return isinstance(left, str)
    if operand is Operand.IS_NOT_SET:
        return not isinstance(left, str)
    if operand is Operand.NOT_EQUAL:
        return left != right
    if not (isinstance(left, str) and isinstance(right, str)):
        return False
    return _OPERATORS[operand](left, right)


def _ordered(test: Callable[[float], bool]) -> Callable[[str, str], bool]:
    """Whole numbers, then decimal numbers, then text: the first reading that suits both sides decides."""

    def compare(left: str, right: str) -> bool:
        for read in (int, float):
            try:
                first, second = read(left), read(right)
            except ValueError:
                continue
            return test((first > second) - (first < second))
        return test((left > right) - (left < right))

    return compare


def _matches(text: str, pattern: str) -> bool | None:
    """Nomad's patterns are Go's (https://github.com/google/re2/wiki/Syntax). What Python does not read alike is not judged."""
    if "[:" in pattern:  # a class such as [[:alpha:]], which Python takes for a set of letters
        return None
    try:
        return re.search(pattern, text, re.ASCII) is not None
    except re.error:
        return None


def _members(text: str) -> set[str]:
    return {part.strip() for part in text.split(",")}


_OPERATORS: dict[Operand, Callable[[str, str], bool | None]] = {
    Operand.EQUAL: lambda left, right: left == right,
    Operand.LESS: _ordered(lambda sign: sign < 0),
    Operand.LESS_OR_EQUAL: _ordered(lambda sign: sign <= 0),
    Operand.GREATER: _ordered(lambda sign: sign > 0),
    Operand.GREATER_OR_EQUAL: _ordered(lambda sign: sign >= 0),
    Operand.REGEXP: _matches,
    Operand.VERSION: lambda text, bound: versions.satisfies(text, bound, strict=False),
    Operand.SEMVER: lambda text, bound: versions.satisfies(text, bound, strict=True),
    Operand.SET_CONTAINS: lambda have, want: _members(want) <= _members(have),
    Operand.SET_CONTAINS_ALL: lambda have, want: _members(want) <= _members(have),
    Operand.SET_CONTAINS_ANY: lambda have, want: bool(_members(want) & _members(have)),
}
