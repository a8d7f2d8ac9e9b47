"""Memory as JSON text and back, without loss. Unknown keys are ignored, missing ones take their defaults.

The form follows the dataclasses: times in ISO form, enums by value, mappings whose keys are no text as pairs.
"""

import json
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from datetime import datetime
from enum import Enum
from functools import singledispatch
from types import UnionType
from typing import Any, TypeAliasType, cast, get_args, get_origin, get_type_hints

from keeper.core.memory import Memory
from keeper.core.messages import parse_time
from keeper.core.problems import FieldError

VERSION = 1
"""Raised when the meaning of a field changes; a newer version than ours is refused, an older one is read."""

type Hint = Any
"""A type as `get_type_hints` tells it."""


def to_json(memory: Memory) -> str:
    """The text that `from_json` reads back to an equal memory."""
    return json.dumps({"version": VERSION, **cast("dict[str, object]", _encode(memory))}, separators=(",", ":"))


def from_json(text: str) -> Memory:
    """The memory of that text; raises `FieldError`, a ValueError, naming where it is damaged."""
    try:
        parsed: object = json.loads(text)
    except ValueError:
        raise FieldError("memory", "JSON", text) from None
    given = _object(parsed, "memory")
    version = given.get("version")
    if not isinstance(version, int) or version > VERSION:
        raise FieldError("memory.version", f"at most {VERSION}", version)
    return _decode_class(Memory, given, "memory")


@singledispatch
def _encode(value: object) -> object:
    if is_dataclass(value):
        return {field.name: _encode(getattr(value, field.name)) for field in fields(value)}
    return value


@_encode.register
def _(value: datetime) -> object:
    return value.isoformat()


@_encode.register
def _(value: Enum) -> object:
    return value.value


@_encode.register(tuple)
def _(value: tuple[object, ...]) -> object:
    return [_encode(each) for each in value]


@_encode.register(frozenset)
def _(value: frozenset[str]) -> object:
    return sorted(value)


@_encode.register(dict)
def _(value: dict[object, object]) -> object:
    if all(isinstance(key, str) for key in value):
        return {str(key): _encode(each) for key, each in value.items()}
    return [[_encode(key), _encode(each)] for key, each in value.items()]


def _decode_class[C](kind: type[C], given: object, where: str) -> C:
    known, hints = _object(given, where), get_type_hints(kind)
    values: dict[str, object] = {}
    for field in fields(cast("Any", kind)):
        if field.name in known:
            values[field.name] = _decode(hints[field.name], known[field.name], f"{where}.{field.name}")
        elif field.default is MISSING and field.default_factory is MISSING:
            raise FieldError(f"{where}.{field.name}", "a value")
    return kind(**values)


def _decode(hint: Hint, given: object, where: str) -> object:
    if isinstance(hint, TypeAliasType):
        return _decode(hint.__value__, given, where)
    if hasattr(hint, "__supertype__"):
        return _decode(hint.__supertype__, given, where)
    if isinstance(hint, UnionType):
        return None if given is None else _decode(get_args(hint)[0], given, where)
    if get_origin(hint) is Mapping:
        return _decode_mapping(get_args(hint), given, where)
    if get_origin(hint) in {tuple, frozenset}:
        return _decode_items(hint, given, where)
    return _decode_one(hint, given, where)


def _decode_mapping(kinds: tuple[Hint, ...], given: object, where: str) -> dict[object, object]:
    """An object when its keys are text, else a list of pairs."""
    pairs = list(cast("dict[object, object]", given).items()) if isinstance(given, dict) else _list(given, where)
    decoded = (_decode_fixed(kinds, list(cast("tuple[object, object]", pair)), where) for pair in pairs)
    return {key: value for key, value in cast("list[tuple[object, object]]", list(decoded))}  # noqa: C416 -- the pairs are decoded lazily above


def _decode_items(hint: Hint, given: object, where: str) -> object:
    kinds, items = get_args(hint), _list(given, where)
    if get_origin(hint) is frozenset:
        return frozenset(_decode(kinds[0], each, where) for each in items)
    if kinds[-1] is Ellipsis:
        kinds = (kinds[0],) * len(items)
    return _decode_fixed(kinds, items, where)


def _decode_fixed(kinds: tuple[Hint, ...], items: list[object], where: str) -> tuple[object, ...]:
    if len(kinds) != len(items):
        raise FieldError(where, f"{len(kinds)} items", items)
    return tuple(_decode(kind, each, f"{where}[{n}]") for n, (kind, each) in enumerate(zip(kinds, items, strict=True)))


def _decode_one(hint: Hint, given: object, where: str) -> object:
    if is_dataclass(hint):
        return _decode_class(cast("type[object]", hint), given, where)
    if hint is datetime:
        return parse_time(where, given)
    if issubclass(hint, tuple):
        named = cast("Any", hint)
        return named(*_decode_fixed(tuple(get_type_hints(named).values()), _list(given, where), where))
    if issubclass(hint, Enum):
        if given not in [each.value for each in hint]:
            raise FieldError(where, "one of " + ", ".join(str(each.value) for each in hint), given)
        return hint(given)
    accepted = (int, float) if hint is float else (hint,)
    if not isinstance(given, accepted) or (isinstance(given, bool) and hint is not bool):
        raise FieldError(where, f"{hint.__name__}", given)
    return given


def _object(given: object, where: str) -> Mapping[str, object]:
    if not isinstance(given, dict):
        raise FieldError(where, "an object", given)
    return cast("dict[str, object]", given)


def _list(given: object, where: str) -> list[object]:
    if not isinstance(given, list):
        raise FieldError(where, "a list", given)
    return cast("list[object]", given)
