"""Narrow what came over a wire or from a file to the shape a program can rely on, or say what was expected."""

from __future__ import annotations

import json
from typing import cast

from keepernode.problems import Misconfigured

Json = dict[str, object]


def parse_object(text: str | bytes, what: str) -> Json:
    """Parse a JSON object; Misconfigured names `what` when it is none."""
    try:
        return as_object(json.loads(text), what)
    except ValueError as exc:
        raise Misconfigured(f"{what} is not JSON ({exc}); correct it") from exc


def as_object(value: object, what: str) -> Json:
    """Return `value` as a JSON object; Misconfigured names `what` when it is none."""
    if not isinstance(value, dict):
        raise Misconfigured(f"{what} must be a JSON object, not {type(value).__name__}")
    return cast("Json", value)


def as_list(value: object) -> list[object]:
    """Return `value` as a list; null and anything else count as empty, as Go writes an empty list as null."""
    return cast("list[object]", value) if isinstance(value, list) else []


def objects_of(value: object) -> list[Json]:
    """Return the JSON objects in a list; null counts as empty."""
    return [cast("Json", item) for item in as_list(value) if isinstance(item, dict)]


def child(of: Json, name: str) -> Json:
    """Return the object under `name`; null, absent and anything else count as empty."""
    value = of.get(name)
    return cast("Json", value) if isinstance(value, dict) else {}


def text_of(of: Json, name: str) -> str:
    """Return the text under `name`; numbers are taken as their text; Misconfigured names what is missing."""
    value = of.get(name)
    if isinstance(value, str) and value:
        return value
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    raise Misconfigured(f"{name} is missing or empty; it must be text")


def text_or(of: Json, name: str, default: str = "") -> str:
    """Return the text under `name`, or `default` when it is absent, null or no text."""
    value = of.get(name)
    return value if isinstance(value, str) else default


def number_or(of: Json, name: str, default: int = 0) -> int:
    """Return the whole number under `name`, or `default`."""
    value = of.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) else default
