"""Evaluate what `bicep snapshot` leaves as text: expressions of the ARM template language.

A snapshot keeps an expression when it needs Azure: `[reference('<id>', '<api>').principalId]`, `[environment().suffixes.storage]`.
Here `environment()` is the public cloud and a reference becomes a fixed stand-in, so that names, URLs and userData can be
compared byte for byte. The language: https://learn.microsoft.com/azure/azure-resource-manager/templates/template-functions.
"""

import base64
import json
import re
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

PUBLIC_CLOUD = {
    "name": "AzureCloud",
    "resourceManager": "https://management.azure.com/",
    "authentication": {"loginEndpoint": "https://login.microsoftonline.com/"},
    "suffixes": {"storage": "core.windows.net", "keyvaultDns": ".vault.azure.net"},
}

_TOKEN = re.compile(r"\s*(?:(?P<text>'(?:[^']|'')*')|(?P<number>-?\d+)|(?P<word>[A-Za-z_][\w]*)|(?P<sign>[(),.\[\]]))")


class NotEvaluable(ValueError):
    """The expression uses something that is not known here."""


@dataclass(frozen=True, slots=True)
class Runtime:
    """A value that only a deployment knows: a property of a resource."""

    resource: str
    path: tuple[str, ...] = ()

    def at(self, name: str) -> "Runtime":
        """The property `name` of it."""
        return Runtime(self.resource, (*self.path, name))

    def __str__(self) -> str:
        last = self.path[-1] if self.path else "id"
        if last in {"principalId", "clientId", "tenantId"}:
            return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.resource}#{last}".lower()))
        return f"<{last} of {self.resource.rsplit('/', 1)[-1]}>"


@dataclass(slots=True)
class _Parser:
    """Turns text into nested calls: ("call", name, arguments), ("get", target, key) or ("value", constant)."""

    tokens: list[tuple[str, str]]
    at: int = 0

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) else ""

    def take(self, wanted: str | None = None) -> tuple[str, str]:
        kind, text = self.tokens[self.at]
        if wanted is not None and text != wanted:
            raise NotEvaluable(f"expected {wanted}, got {text}")
        self.at += 1
        return kind, text

    def expression(self) -> tuple[Any, ...]:
        node = self._primary()
        while self.peek() in {".", "["}:
            _, sign = self.take()
            if sign == ".":
                node = ("get", node, ("value", self.take()[1]))
            else:
                node = ("get", node, self.expression())
                self.take("]")
        return node

    def _primary(self) -> tuple[Any, ...]:
        kind, text = self.take()
        if kind == "text":
            return ("value", text[1:-1].replace("''", "'"))
        if kind == "number":
            return ("value", int(text))
        if kind != "word":
            raise NotEvaluable(f"unexpected {text}")
        self.take("(")
        arguments: list[tuple[Any, ...]] = []
        while self.peek() != ")":
            arguments.append(self.expression())
            if self.peek() == ",":
                self.take()
        self.take(")")
        return ("call", text, arguments)


@dataclass(slots=True)
class Evaluator:
    """Evaluates expressions; `variables` are those of the lambda that is being applied."""

    variables: dict[str, Any] = field(default_factory=dict)

    def text(self, expression: str) -> Any:  # noqa: ANN401 -- an expression may have any JSON type
        """The value of `[…]`; other text is returned as it is, `[[` unescaped."""
        if not expression.startswith("[") or not expression.endswith("]"):
            return expression
        if expression.startswith("[["):
            return expression[1:]
        parser = _Parser(list(_tokens(expression[1:-1])))
        node = parser.expression()
        if parser.at != len(parser.tokens):
            raise NotEvaluable(f"unexpected {parser.peek()}")
        return plain(self.value(node))

    def value(self, node: tuple[Any, ...]) -> Any:  # noqa: ANN401 -- see above
        """The value of a parsed expression."""
        match node:
            case ("value", constant):
                return constant
            case ("get", target, key):
                return _get(self.value(target), self.value(key))
            case ("call", name, arguments):
                return self._call(name, arguments)
            case _:
                raise NotEvaluable(str(node))

    def _call(self, name: str, arguments: list[tuple[Any, ...]]) -> Any:  # noqa: ANN401 -- see above
        if name == "if":
            return self.value(arguments[1] if self.value(arguments[0]) else arguments[2])
        if name == "lambdaVariables":
            return self.variables[self.value(arguments[0])]
        if name in _OVER_ITEMS:
            items, *lambdas = arguments
            return _OVER_ITEMS[name](self.value(items), *(partial(self._apply, each) for each in lambdas))
        if name not in _FUNCTIONS:
            raise NotEvaluable(f"the function {name}() is not known here")
        return _FUNCTIONS[name](*[self.value(argument) for argument in arguments])

    def _apply(self, lambda_: tuple[Any, ...], item: Any) -> Any:  # noqa: ANN401 -- see above
        *names, body = lambda_[2]
        return Evaluator({**self.variables, self.value(names[0]): item}).value(body)


def evaluated(value: Any) -> Any:  # noqa: ANN401 -- any JSON, keys included
    """`value` with every expression in it replaced by what it evaluates to."""
    if isinstance(value, str):
        return Evaluator().text(value) if value.startswith("[") and not value.startswith('[{"') else value
    if isinstance(value, list):
        return [evaluated(item) for item in value]
    if isinstance(value, dict):
        return {evaluated(key): evaluated(item) for key, item in value.items()}
    return value


def plain(value: Any) -> Any:  # noqa: ANN401 -- any JSON
    """`value` with run-time parts as their stand-ins."""
    if isinstance(value, Runtime):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise NotEvaluable(f"cannot read {text[at : at + 40]!r}")
        yield str(found.lastgroup), found.group(str(found.lastgroup))
        at = found.end()


def _get(target: Any, key: Any) -> Any:  # noqa: ANN401 -- see above
    if isinstance(target, Runtime):
        return target.at(str(key))
    if isinstance(target, list):
        return target[int(key)]
    return next(value for name, value in target.items() if name.lower() == str(key).lower())


def _string(value: Any) -> str:  # noqa: ANN401 -- any JSON
    shown = plain(value)
    return shown if isinstance(shown, str) else json.dumps(shown, separators=(",", ":"), ensure_ascii=False)


def _format(pattern: str, *values: Any) -> str:  # noqa: ANN401 -- any JSON
    return re.sub(r"\{(\d+)\}", lambda found: _string(values[int(found.group(1))]), pattern)


def _object(*pairs: Any) -> dict[str, Any]:  # noqa: ANN401 -- any JSON
    return dict(zip(pairs[::2], pairs[1::2], strict=True))


def _resource_id(*parts: Any) -> str:  # noqa: ANN401 -- any JSON
    """`resourceId([subscription, [group,]] type, names…)` as a snapshot writes it, with both given."""
    subscription, group, kind, *names = (str(part) for part in parts)
    provider, *types = kind.split("/")
    levels = "/".join(f"{level}/{name}" for level, name in zip(types, names, strict=True))
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{provider}/{levels}"


_OVER_ITEMS: dict[str, Callable[..., Any]] = {
    "filter": lambda items, keep: [item for item in items if keep(item)],
    "map": lambda items, change: [change(item) for item in items],
    "toObject": lambda items, key, value: {key(item): value(item) for item in items},
}

_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "true": lambda: True,
    "false": lambda: False,
    "null": lambda: None,
    "environment": lambda: PUBLIC_CLOUD,
    "reference": lambda resource, *_: Runtime(str(resource)),
    "createObject": _object,
    "createArray": lambda *items: list(items),
    "string": _string,
    "format": _format,
    "concat": lambda *parts: "".join(map(_string, parts)),
    "base64": lambda text: base64.b64encode(_string(text).encode()).decode(),
    "resourceId": _resource_id,
    "items": lambda value: [{"key": key, "value": value[key]} for key in sorted(value)],
    "split": lambda text, mark: _string(text).split(mark),
    "last": lambda items: items[-1],
    "empty": lambda value: not value,
    "not": lambda value: not value,
    "equals": lambda one, other: plain(one) == plain(other),
    "coalesce": lambda *values: next((value for value in values if value is not None), None),
    "json": json.loads,
}
