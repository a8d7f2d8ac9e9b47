"""Version constraints as Nomad's `version` and `semver` operators read them.

Both read the version in question leniently, by hashicorp/go-version: missing segments are zero. The bounds of `semver` need a
dash before a pre-release and know no `~>`; pre-releases are ordered by precedence. For `version` a pre-release satisfies a
bound only when the bound names a pre-release of the same version
(https://developer.hashicorp.com/nomad/docs/job-specification/constraint#operator-values).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

_PART = r"[0-9]+[0-9A-Za-z~-]*(?:\.[0-9A-Za-z~-]+)*"
_NAMED = r"[A-Za-z~-]+[0-9A-Za-z~-]*(?:\.[0-9A-Za-z~-]+)*"
_BUILD = r"(?:\+([0-9A-Za-z~-]+(?:\.[0-9A-Za-z~-]+)*))?"
_LENIENT = re.compile(rf"v?((?:0*[0-9]{{1,19}})(?:\.0*[0-9]{{1,19}})*?)(?:-({_PART})|-?({_NAMED}))?{_BUILD}")
_STRICT = re.compile(rf"v?((?:0*[0-9]{{1,19}})(?:\.0*[0-9]{{1,19}})*?)(?:-({_PART})|-({_NAMED}))?{_BUILD}")
_TERM = re.compile(r"[ \t\n\f\r]*(=|!=|>=|<=|>|<|~>|)[ \t\n\f\r]*(\S+)[ \t\n\f\r]*")
_NUMBER = re.compile("[+-]?0*[0-9]{1,19}")

LEAST_SEGMENTS = 3
LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class Version:
    """Number segments, at least three; how many were written; pre-release; build metadata, which tells apart by accident only."""

    segments: tuple[int, ...]
    written: int
    prerelease: str
    build: str


def parse(text: str, *, strict: bool) -> Version | None:
    """The version that `text` spells, or None when it spells none."""
    found = (_STRICT if strict else _LENIENT).fullmatch(text)
    if found is None:
        return None
    numbers, numeric, named, build = found.groups()
    segments = tuple(int(part.lstrip("0") or "0") for part in numbers.split("."))
    if max(segments) >= LARGEST:
        return None
    padded = segments + (0,) * (LEAST_SEGMENTS - len(segments))
    return Version(padded, len(segments), named or numeric or "", build or "")


def satisfies(text: str, constraint: str, *, strict: bool) -> bool | None:
    """Whether the version `text` satisfies every comma-separated term of `constraint`; None for a broken constraint."""
    bounds = [_bound(term, strict=strict) for term in constraint.split(",")]
    known = [bound for bound in bounds if bound is not None]
    if len(known) < len(bounds):
        return None
    actual = parse(text, strict=False)
    return actual is not None and all(_holds(actual, *bound, strict=strict) for bound in known)


def _bound(term: str, *, strict: bool) -> tuple[str, Version] | None:
    found = _TERM.fullmatch(term)
    version = parse(found[2], strict=strict) if found else None
    if found is None or version is None or (strict and found[1] == "~>"):
        return None
    return found[1], version


def _holds(actual: Version, operator: str, bound: Version, *, strict: bool) -> bool:
    if operator == "~>":
        return _pessimistic(actual, bound)
    if not strict and operator in _ORDERED and not _prerelease_allowed(actual, bound):
        return False
    return _TESTS[operator](_order(actual, bound))


def _prerelease_allowed(actual: Version, bound: Version) -> bool:
    if not actual.prerelease:
        return True
    return bool(bound.prerelease) and actual.segments == bound.segments


def _pessimistic(actual: Version, bound: Version) -> bool:
    """`~> 1.2.3` allows 1.2.x from 1.2.3 on, `~> 1.2` allows 1.x from 1.2 on."""
    if not _prerelease_allowed(actual, bound) or (bound.prerelease and not actual.prerelease):
        return False
    if _order(actual, bound) < 0 or len(bound.segments) > len(actual.segments):
        return False
    fixed, last = bound.written - 1, len(bound.segments) - 1
    return actual.segments[:fixed] == bound.segments[:fixed] and actual.segments[last] >= bound.segments[last]


def _order(one: Version, other: Version) -> int:
    """Which is newer. Versions of unlike length are told apart by numbers alone."""
    for left, right in zip_longest(one.segments, other.segments, fillvalue=0):
        if left != right:
            return 1 if left > right else -1
    if len(one.segments) != len(other.segments) or one.prerelease == other.prerelease:
        return 0
    if not one.prerelease or not other.prerelease:
        return -1 if one.prerelease else 1
    parts = zip_longest(one.prerelease.split("."), other.prerelease.split("."), fillvalue="")
    return next((_order_parts(left, right) for left, right in parts if left != right), 0)


def _order_parts(left: str, right: str) -> int:
    """A number comes before a word; a missing part before a number, and after a word."""
    first, second = _number(left), _number(right)
    if not left:
        return -1 if second is not None else 1
    if not right:
        return 1 if first is not None else -1
    if (first is None) != (second is None):
        return -1 if second is None else 1
    if first is not None and second is not None:
        return 1 if first > second else -1
    return 1 if left > right else -1


def _number(part: str) -> int | None:
    if _NUMBER.fullmatch(part) is None:
        return None
    number = int(part.lstrip("+-0") or "0") * (-1 if part.startswith("-") else 1)
    return number if -LARGEST <= number < LARGEST else None


_TESTS: dict[str, Callable[[int], bool]] = {
    "": lambda order: order == 0,
    "=": lambda order: order == 0,
    "!=": lambda order: order != 0,
    ">": lambda order: order > 0,
    ">=": lambda order: order >= 0,
    "<": lambda order: order < 0,
    "<=": lambda order: order <= 0,
}
_ORDERED = frozenset({">", ">=", "<", "<="})
