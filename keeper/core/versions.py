"""Version constraints as Nomad's `version` and `semver` operators read them.

`version` follows hashicorp/go-version: missing segments are zero and a pre-release satisfies a constraint only when the
constraint names a pre-release of the same version. `semver` is strict and compares pre-releases by precedence
(https://developer.hashicorp.com/nomad/docs/job-specification/constraint#operator-values).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import zip_longest

_LENIENT = re.compile(r"v?(\d+(?:\.\d+)*)(?:-?([0-9A-Za-z.~-]+))?(?:\+[0-9A-Za-z.~-]+)?")
_STRICT = re.compile(r"(\d+\.\d+\.\d+)(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_TERM = re.compile(r"\s*(=|!=|>=|<=|>|<|~>|)\s*(\S+)\s*")

type _Rank = tuple[int, int, str]


@dataclass(frozen=True, slots=True)
class Version:
    """Number segments and pre-release identifiers; build metadata never decides."""

    segments: tuple[int, ...]
    prerelease: tuple[str, ...]

    def precedence(self, width: int) -> tuple[tuple[int, ...], bool, tuple[_Rank, ...]]:
        """A key that sorts versions by precedence when all are given the same width."""
        padded = self.segments + (0,) * (width - len(self.segments))
        return padded, not self.prerelease, tuple(_rank(part) for part in self.prerelease)


def _rank(identifier: str) -> _Rank:
    return (0, int(identifier), "") if identifier.isdigit() else (1, 0, identifier)


def parse(text: str, *, strict: bool) -> Version | None:
    """The version that `text` spells, or None when it spells none."""
    found = (_STRICT if strict else _LENIENT).fullmatch(text.strip())
    if found is None:
        return None
    numbers, prerelease = found.groups()
    return Version(tuple(int(part) for part in numbers.split(".")), tuple(prerelease.split(".")) if prerelease else ())


def satisfies(text: str, constraint: str, *, strict: bool) -> bool | None:
    """Whether the version `text` satisfies every comma-separated term of `constraint`; None for a broken constraint."""
    terms = [_TERM.fullmatch(term) for term in constraint.split(",")]
    wanted = [(term[1], parse(term[2], strict=strict)) for term in terms if term is not None]
    if len(wanted) < len(terms):
        return None
    actual = parse(text, strict=strict)
    if actual is None:
        return False
    outcomes = [None if bound is None else _holds(actual, operator, bound, strict=strict) for operator, bound in wanted]
    return None if None in outcomes else all(outcomes)


def _holds(actual: Version, operator: str, bound: Version, *, strict: bool) -> bool:
    if not strict and operator not in {"", "=", "!="} and not _prerelease_allowed(actual, bound):
        return False
    width = max(len(actual.segments), len(bound.segments))
    return _TERMS[operator](actual, bound, width)


def _prerelease_allowed(actual: Version, bound: Version) -> bool:
    if not actual.prerelease:
        return True
    same = all(a == b for a, b in zip_longest(actual.segments, bound.segments, fillvalue=0))
    return bool(bound.prerelease) and same


def _pessimistic(actual: Version, bound: Version, width: int) -> bool:
    """`~> 1.2.3` allows 1.2.x from 1.2.3 on, `~> 1.2` allows 1.x from 1.2 on."""
    fixed = max(len(bound.segments) - 1, 1)
    padded = actual.segments + (0,) * (width - len(actual.segments))
    return actual.precedence(width) >= bound.precedence(width) and padded[:fixed] == bound.segments[:fixed]


_TERMS: dict[str, Callable[[Version, Version, int], bool]] = {
    "": lambda a, b, w: a.precedence(w) == b.precedence(w),
    "=": lambda a, b, w: a.precedence(w) == b.precedence(w),
    "!=": lambda a, b, w: a.precedence(w) != b.precedence(w),
    ">": lambda a, b, w: a.precedence(w) > b.precedence(w),
    ">=": lambda a, b, w: a.precedence(w) >= b.precedence(w),
    "<": lambda a, b, w: a.precedence(w) < b.precedence(w),
    "<=": lambda a, b, w: a.precedence(w) <= b.precedence(w),
    "~>": _pessimistic,
}
