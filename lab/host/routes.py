"""Route templates of HTTP triggers: literals, parameters, constraints, catch-all, and which of several wins."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.host.model import HostError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.host.model import Function

PARAMETER = re.compile(r"\{(\*{0,2})(\w+)((?::(?:regex\([^{}:]*\)|[^{}:?]+))*)(\?)?\}")
SIMPLE = {
    "int": r"-?\d{1,10}",
    "long": r"-?\d{1,19}",
    "bool": r"(?i:true|false)",
    "alpha": r"[A-Za-z]+",
    "guid": r"[0-9A-Fa-f]{8}-(?:[0-9A-Fa-f]{4}-){3}[0-9A-Fa-f]{12}",
    "decimal": r"-?\d+(?:\.\d+)?",
    "double": r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "float": r"-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?",
    "required": r".+",
}
MEASURED = re.compile(r"(min|max|range|length|minlength|maxlength)\((-?\d+)(?:,(-?\d+))?\)")


@dataclass(frozen=True, slots=True)
class Check:
    """One constraint on a parameter's text."""

    pattern: re.Pattern[str]
    low: int | None = None
    high: int | None = None
    of_length: bool = False

    def accepts(self, text: str) -> bool:
        """Tell whether the text satisfies the constraint."""
        if not self.pattern.fullmatch(text):
            return False
        if self.low is None and self.high is None:
            return True
        size = len(text) if self.of_length else int(text)
        return (self.low is None or size >= self.low) and (self.high is None or size <= self.high)


@dataclass(frozen=True, slots=True)
class Route:
    """A compiled route of one function. `methods` is empty when the function takes every method."""

    function: Function
    methods: frozenset[str]
    pattern: re.Pattern[str]
    checks: tuple[tuple[str, Check], ...]
    rank: tuple[int, ...]

    def match(self, path: str) -> dict[str, str] | None:
        """Return the route parameters of a path that this route fits, absent optional ones left out."""
        found = self.pattern.fullmatch(path.strip("/"))
        if not found:
            return None
        values = {name: value for name, value in found.groupdict().items() if value}
        fits = all(check.accepts(values[name]) for name, check in self.checks if name in values)
        return values if fits else None


def compile_route(function: Function, prefix: str) -> Route:
    """Compile a function's route below the app's prefix; HostError for a constraint that does not exist."""
    binding = function.binding
    template = f"{prefix}/{(binding.get('route') or function.name).strip('/')}".strip("/")
    checks: list[tuple[str, Check]] = []
    pattern, rank = "", []
    for position, segment in enumerate(template.split("/")):
        expression, optional, weight = _compile_segment(segment, checks)
        slash = "/" if position else ""
        pattern += f"(?:{slash}{expression})?" if optional else slash + expression
        rank.append(weight)
    methods = frozenset(method.upper() for method in binding.get("methods") or ())
    return Route(function, methods, re.compile(pattern, re.IGNORECASE), tuple(checks), tuple(rank))


def find_route(routes: Iterable[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """Return the most specific route for a request, literals before parameters before catch-alls, segment by segment.

    None also when only the method differs: the Functions host answers 404 then, not 405
    (https://github.com/Azure/azure-functions-host/issues/10098).
    """
    found = [
        (route, values)
        for route in routes
        if (not route.methods or method in route.methods) and (values := route.match(path)) is not None
    ]
    return min(found, key=lambda pair: pair[0].rank, default=None)


def _compile_segment(segment: str, checks: list[tuple[str, Check]]) -> tuple[str, bool, int]:
    """Return the pattern of a segment, whether it may be absent, and its weight: lower is more specific."""
    parameters = list(PARAMETER.finditer(segment))
    expression, end = "", 0
    for found in parameters:
        stars, name, constraints = found[1], found[2], found[3]
        checks += [(name, _check(text)) for text in constraints.split(":")[1:]]
        expression += re.escape(segment[end : found.start()]) + f"(?P<{name}>{'.*' if stars else '[^/]+'})"
        end = found.end()
    expression += re.escape(segment[end:])
    whole = len(parameters) == 1 and parameters[0].span() == (0, len(segment))
    optional = whole and bool(parameters[0][1] or parameters[0][4])
    weight = 0 if not parameters else (4 if parameters[0][1] else 3 if not parameters[0][3] else 2 if whole else 1)
    return expression, optional, weight


def _check(text: str) -> Check:
    if text in SIMPLE:
        return Check(re.compile(SIMPLE[text]))
    if text.startswith("regex(") and text.endswith(")"):
        return Check(re.compile(text[6:-1]))
    if not (found := MEASURED.fullmatch(text)):
        raise HostError(f"route constraint {text!r} is not known")
    kind, first, second = found[1], int(found[2]), int(found[3]) if found[3] else None
    low = None if kind in {"max", "maxlength"} else first
    high = first if kind in {"max", "maxlength"} or (kind == "length" and second is None) else second
    of_length = kind.endswith("length")
    return Check(re.compile(r".*" if of_length else r"-?\d+"), low, high, of_length)
