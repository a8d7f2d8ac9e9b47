"""Version numbers and the constraints on them, as the `version` and `semver` operators read them."""

from __future__ import annotations

import re
from functools import lru_cache

_LOOSE = re.compile(
    r"v?(\d+(?:\.\d+)*?)(?:-(\d+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*)|-?([A-Za-z\-~]+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*))?"
    r"(?:\+[0-9A-Za-z\-~]+(?:\.[0-9A-Za-z\-~]+)*)?\??"
)
_STRICT = re.compile(
    r"v?(\d+(?:\.\d+)*?)(?:-(\d+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*)|-([A-Za-z\-~]+[0-9A-Za-z\-~]*(?:\.[0-9A-Za-z\-~]+)*))?"
    r"(?:\+[0-9A-Za-z\-~]+(?:\.[0-9A-Za-z\-~]+)*)?\??"
)
_CONSTRAINT = re.compile(r"\s*(=|!=|>=|<=|>|<|~>|)\s*(\S+)\s*")

Parsed = tuple[tuple[int, ...], int, str]
"""Segments padded to three, how many were written, pre-release text."""


@lru_cache(maxsize=4096)
def parse(text: str, *, strict: bool = False) -> Parsed | None:
    """Answer the parsed version, None when it is none."""
    match = (_STRICT if strict else _LOOSE).fullmatch(text)
    if match is None:
        return None
    written = [int(part) for part in match[1].split(".")]
    padded = written + [0] * (3 - len(written))
    return tuple(padded), len(written), match[2] or match[3] or ""


@lru_cache(maxsize=4096)
def satisfies(text: str, wanted: str, *, strict: bool = False) -> bool:
    """Answer whether a version meets all comma-separated constraints; False when either does not parse.

    A pre-release meets a plain constraint only as `version` (loose) reads it if the constraint has the same segments;
    `semver` (strict) compares by precedence alone.
    """
    version = parse(text, strict=strict)
    if version is None:
        return False
    for part in wanted.split(","):
        match = _CONSTRAINT.fullmatch(part)
        bound = parse(match[2], strict=strict) if match else None
        if match is None or bound is None or not _holds(match[1], version, bound, strict=strict):
            return False
    return True


def _holds(operator: str, version: Parsed, bound: Parsed, *, strict: bool) -> bool:
    order = _order(version, bound)
    if operator in {"", "="}:
        return order == 0
    if operator == "!=":
        return order != 0
    if not strict and not _prerelease_may(version, bound):
        return False
    if operator == "~>":
        return order >= 0 and _pessimistic(version, bound)
    return {">": order > 0, "<": order < 0, ">=": order >= 0, "<=": order <= 0}[operator]


def _pessimistic(version: Parsed, bound: Parsed) -> bool:
    fixed = max(bound[1] - 1, 1) if bound[1] > 1 else 0
    return version[0][:fixed] == bound[0][:fixed] and version[0][fixed] >= bound[0][fixed]


def _prerelease_may(version: Parsed, bound: Parsed) -> bool:
    if bool(version[2]) and bool(bound[2]):
        return version[0] == bound[0]
    return not version[2] or bool(bound[2])


def _order(left: Parsed, right: Parsed) -> int:
    size = max(len(left[0]), len(right[0]))
    a, b = (x[0] + (0,) * (size - len(x[0])) for x in (left, right))
    if a != b:
        return 1 if a > b else -1
    if left[2] == right[2]:
        return 0
    if not left[2] or not right[2]:
        return -1 if left[2] else 1
    return _prerelease_order(left[2].split("."), right[2].split("."))


def _prerelease_order(left: list[str], right: list[str]) -> int:
    for a, b in zip(left, right, strict=False):
        if a == b:
            continue
        if a.isdigit() and b.isdigit():
            return 1 if int(a) > int(b) else -1
        if a.isdigit() != b.isdigit():
            return -1 if a.isdigit() else 1
        return 1 if a > b else -1
    return (len(left) > len(right)) - (len(left) < len(right))
