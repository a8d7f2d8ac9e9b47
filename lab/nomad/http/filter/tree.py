"""The tree that a filter expression becomes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Op(StrEnum):
    """What a match tests. Each negation is the plain operator and `negated`."""

    EQUAL = "=="
    IN = "in"
    EMPTY = "is empty"
    MATCHES = "matches"


@dataclass(frozen=True, slots=True)
class Match:
    """One test of the value at `path`."""

    op: Op
    negated: bool
    path: tuple[str, ...]
    value: str | None


@dataclass(frozen=True, slots=True)
class Not:
    """The opposite of a node."""

    inner: Node


@dataclass(frozen=True, slots=True)
class Both:
    """Two nodes joined by `and` or, when `either`, by `or`."""

    left: Node
    right: Node
    either: bool


@dataclass(frozen=True, slots=True)
class Each:
    """`any` or `all` over a list or map, with the names that its parts are bound to."""

    every: bool
    path: tuple[str, ...]
    index: str
    value: str
    default: str
    inner: Node


type Node = Match | Not | Both | Each
