"""A small engine for parsing expression grammars that fails with the same words as pigeon, which go-bexpr is made with.

What is expected at the farthest point reached is gathered while parsing: filter errors of the API are that text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cache
from typing import TYPE_CHECKING, Any, override

from lab.nomad.http.gotext import quote

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class Unparsable(ValueError):
    """The text does not follow the grammar; the message is the parser's."""


class _NoMatch(Exception):
    pass


@dataclass(slots=True)
class State:
    """Where one parse is, and what it would have liked to see at the farthest point."""

    text: str
    rules: Mapping[str, Rule]
    at: int = 0
    farthest: int = 0
    expected: set[str] = field(default_factory=set)
    inverted: bool = False
    errors: list[str] = field(default_factory=list)
    stack: list[str] = field(default_factory=list)

    def saw(self, start: int, want: str, *, matched: bool) -> None:
        """Note an attempt of a terminal at `start`: misses count, inside a negation hits do."""
        if matched is not self.inverted or start < self.farthest:
            return
        if start > self.farthest:
            self.farthest = start
            self.expected.clear()
        self.expected.add(f"!{want}" if self.inverted else want)

    def where(self, at: int) -> str:
        """Write a position as line:column (byte offset)."""
        before = self.text[:at]
        line = before.count("\n") + 1
        column = at - (before.rfind("\n") + 1) + (1 if line == 1 else 0)
        return f"{line}:{column} ({len(before.encode())})"

    def fail(self, at: int, message: str) -> None:
        """Record an error that parsing goes on after; each is told once."""
        rule = f": rule {self.stack[-1]}" if self.stack else ""
        line = f"{self.where(at)}{rule}: {message}"
        if line not in self.errors:
            self.errors.append(line)


class Expr:
    """A grammar expression."""

    def parse(self, state: State) -> Any:  # noqa: ANN401 - values are what the grammar's actions make
        """Move the state on and answer a value, or raise when it does not match."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Lit(Expr):
    """A literal text."""

    want: str

    @override
    def parse(self, state: State) -> str:
        start = state.at
        matched = state.text.startswith(self.want, start)
        state.saw(start, quote(self.want), matched=matched)
        if not matched:
            raise _NoMatch
        state.at += len(self.want)
        return self.want


@dataclass(frozen=True, slots=True)
class Char(Expr):
    """One character of a class, written as in the grammar; "." is any."""

    want: str

    @override
    def parse(self, state: State) -> str:
        start = state.at
        found = _class(self.want).match(state.text, start)
        state.saw(start, self.want, matched=found is not None)
        if found is None:
            raise _NoMatch
        state.at += 1
        return found.group()


@cache
def _class(want: str) -> re.Pattern[str]:
    return re.compile(want.replace("\\pL\\pN-", "\\w\\-"), re.DOTALL)


@dataclass(frozen=True, slots=True)
class Seq(Expr):
    """All parts one after the other; the value is the list of their values."""

    parts: tuple[Expr, ...]

    @override
    def parse(self, state: State) -> list[Any]:
        start = state.at
        try:
            return [part.parse(state) for part in self.parts]
        except _NoMatch:
            state.at = start
            raise


@dataclass(frozen=True, slots=True)
class Alt(Expr):
    """The first part that matches."""

    parts: tuple[Expr, ...]

    @override
    def parse(self, state: State) -> Any:
        for part in self.parts:
            start = state.at
            try:
                return part.parse(state)
            except _NoMatch:
                state.at = start
        raise _NoMatch


@dataclass(frozen=True, slots=True)
class Many(Expr):
    """A part repeated, at least `least` and at most `most` times."""

    part: Expr
    least: int = 0
    most: int | None = None

    @override
    def parse(self, state: State) -> list[Any]:
        values: list[Any] = []
        while self.most is None or len(values) < self.most:
            try:
                values.append(self.part.parse(state))
            except _NoMatch:
                break
        if len(values) < self.least:
            raise _NoMatch
        return values


@dataclass(frozen=True, slots=True)
class Look(Expr):
    """Look ahead without moving: for a match, or with `no` for its absence."""

    part: Expr
    no: bool = False

    @override
    def parse(self, state: State) -> None:
        start = state.at
        state.inverted ^= self.no
        try:
            self.part.parse(state)
            matched = True
        except _NoMatch:
            matched = False
        state.inverted ^= self.no
        state.at = start
        if matched is self.no:
            raise _NoMatch


@dataclass(frozen=True, slots=True)
class Complain(Expr):
    """Never match, and record an error: the grammar's way to name a frequent mistake."""

    message: str

    @override
    def parse(self, state: State) -> None:
        state.fail(state.at, self.message)
        raise _NoMatch


@dataclass(frozen=True, slots=True)
class Act(Expr):
    """A part with a function that makes its value of the matched text and the parts' values."""

    part: Expr
    make: Callable[[str, Any], Any]

    @override
    def parse(self, state: State) -> Any:
        start = state.at
        values = self.part.parse(state)
        try:
            return self.make(state.text[start : state.at], values)
        except ValueError as exc:
            state.fail(start, str(exc))
            return None


@dataclass(frozen=True, slots=True)
class Ref(Expr):
    """A rule by its name."""

    name: str

    @override
    def parse(self, state: State) -> Any:
        rule = state.rules[self.name]
        state.stack.append(quote(rule.shown) if rule.shown else self.name)
        try:
            return rule.expr.parse(state)
        finally:
            state.stack.pop()


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule's expression and the name that errors show instead of its own."""

    expr: Expr
    shown: str = ""


def parse(rules: Mapping[str, Rule], start: str, text: str) -> Any:  # noqa: ANN401 - the start rule's value
    """Parse the whole of `text` from rule `start`; raise Unparsable with every error, one a line."""
    state = State(text, rules)
    try:
        value = Ref(start).parse(state)
    except _NoMatch:
        if not state.errors:
            state.fail(state.farthest, f"no match found, expected: {_listed(state.expected)}")
        value = None
    if state.errors:
        raise Unparsable("\n".join(state.errors))
    return value


def _listed(expected: set[str]) -> str:
    words = sorted(expected - {"!."}) + (["EOF"] if "!." in expected else [])
    if len(words) < 2:
        return "".join(words)
    return f"{', '.join(words[:-1])} or {words[-1]}"
