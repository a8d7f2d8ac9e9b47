"""HCL 1 as far as ACL rules need it: attributes, blocks with labels, lists, objects, comments, here-documents.

Grammar: https://github.com/hashicorp/hcl/tree/hcl1 (JSON is a subset of what it reads; so it is here).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*|//[^\n]*|/\*.*?\*/)
    |(?P<heredoc><<-?(?P<mark>\w+)\n(?P<text>.*?)\n?[ \t]*(?P=mark)(?=\n|$))
    |(?P<string>"(?:[^"\\\n]|\\.)*")
    |(?P<number>-?\d+(?:\.\d+)?)
    |(?P<word>[A-Za-z_][\w.\-]*)
    |(?P<mark1>[{}\[\],=:])""",
    re.VERBOSE | re.DOTALL,
)


class Malformed(ValueError):
    """The text is no HCL; the message says where and why, as Nomad puts it behind its own words."""


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a body: `name "label" { ... }` or `name = value`; a block's value is a Body."""

    name: str
    labels: tuple[str, ...]
    value: Any


@dataclass(slots=True)
class Body:
    """The items of a block or file, in order; a name may stand more than once."""

    items: list[Item] = field(default_factory=list)

    def named(self, name: str) -> list[Item]:
        """Answer the items of a name (HCL 1 compares names without regard to case)."""
        return [item for item in self.items if item.name.lower() == name.lower()]

    def value(self, name: str) -> Any:  # noqa: ANN401 - any HCL value
        """Answer the value of the last attribute of a name, None when there is none."""
        found = self.named(name)
        return found[-1].value if found else None


def parse(text: str) -> Body:
    """Read HCL or JSON; raises Malformed."""
    reader = _Reader(text)
    if reader.kind == "{":
        reader.take("{")
        return reader.body(end="}")
    return reader.body(end="EOF")


class _Reader:
    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.kind = ""
        self.value = ""
        self._next()

    def _next(self) -> None:
        while match := _TOKEN.match(self.text, self.at):
            self.at = match.end()
            if match.lastgroup != "space":
                self.kind, self.value = self._meaning(match)
                return
        if self.at < len(self.text):
            raise Malformed(f"At {self.where()}: illegal character")
        self.kind, self.value = "EOF", ""

    @staticmethod
    def _meaning(match: re.Match[str]) -> tuple[str, str]:
        if match.group("heredoc"):
            return "string", match.group("text") + "\n"
        if match.group("mark1"):
            return match.group("mark1"), match.group()
        if match.group("string"):
            return "string", json.loads(match.group(), strict=False)
        return ("number" if match.group("number") else "word"), match.group()

    def where(self) -> str:
        line = self.text.count("\n", 0, self.at) + 1
        return f"{line}:{self.at - self.text.rfind('\n', 0, self.at)}"

    def take(self, kind: str) -> str:
        if self.kind != kind:
            raise Malformed(f"At {self.where()}: expected: {kind} got: {self.kind}")
        value = self.value
        self._next()
        return value

    def skip(self, *kinds: str) -> None:
        while self.kind in kinds:
            self._next()

    def body(self, end: str) -> Body:
        body = Body()
        while self.kind != end:
            body.items += self._item()
            self.skip(",")
        if end != "EOF":
            self.take(end)
        return body

    def _item(self) -> list[Item]:
        if self.kind not in {"word", "string"}:
            raise Malformed(f"At {self.where()}: expected: IDENT | STRING got: {self.kind}")
        name, labels = self.value, []
        self._next()
        while self.kind in {"word", "string"}:
            labels.append(self.value)
            self._next()
        if self.kind == "{":
            return [Item(name, tuple(labels), self._value())]
        if self.kind not in {"=", ":"}:
            raise Malformed(f"At {self.where()}: key '{name}' expected start of object ('{{') or assignment ('=')")
        self._next()
        return _labelled(name, self._value())

    def _value(self) -> Any:  # noqa: ANN401 - any HCL value
        if self.kind == "{":
            self._next()
            return self.body("}")
        if self.kind == "[":
            self._next()
            return self._list()
        if self.kind == "number":
            text = self.take("number")
            return float(text) if "." in text else int(text)
        if self.kind == "word" and self.value in {"true", "false"}:
            return self.take("word") == "true"
        if self.kind != "string":
            raise Malformed(f"At {self.where()}: Unknown token: {self.kind} {self.value}")
        return self.take("string")

    def _list(self) -> list[Any]:
        values: list[Any] = []
        while self.kind != "]":
            values.append(self._value())
            if self.kind not in {",", "]"}:
                raise Malformed(f"At {self.where()}: error parsing list, expected comma or list end, got: {self.kind}")
            self.skip(",")
        self.take("]")
        return values


_LABELLED = frozenset({"namespace", "node_pool", "host_volume", "path"})


def _labelled(name: str, value: Any) -> list[Item]:  # noqa: ANN401 - any HCL value
    # JSON writes a labelled block as an object in an object: {"namespace": {"default": {...}}}.
    if name.lower() in _LABELLED and isinstance(value, Body) and all(isinstance(i.value, Body) for i in value.items):
        return [Item(name, (inner.name,), inner.value) for inner in value.items]
    return [Item(name, (), value)]
