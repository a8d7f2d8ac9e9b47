"""Write the small part of HCL that agents' configurations need. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

Value = str | int | bool | Sequence[str] | Mapping[str, "Value"]
Body = Mapping[str, Value]


def render(body: Body, depth: int = 0) -> str:
    """Write attributes as `name = value` and mappings as blocks; a block's labels stand in its name: `plugin "docker"`.

    JSON's strings are HCL's, as no agent reads templates in them.
    """
    pad = "  " * depth
    lines: list[str] = []
    for name, value in body.items():
        if isinstance(value, Mapping):
            lines.append(f"{pad}{name} {{\n{render(value, depth + 1)}{pad}}}\n")
        else:
            lines.append(f"{pad}{name} = {_literal(value)}\n")
    return "".join(lines)


def _literal(value: str | int | bool | Sequence[str]) -> str:
    if isinstance(value, (str, bool, int)):
        return json.dumps(value, ensure_ascii=False)
    return "[" + ", ".join(json.dumps(each, ensure_ascii=False) for each in value) + "]"
