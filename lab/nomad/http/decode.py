"""Decoding of JSON bodies as Go's encoding/json does it: one value is read, field names match in any case, error texts are its own."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lab.nomad.http.gotext import parse_duration, quote
from lab.nomad.http.syntax import complaint
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Mapping

type Kind = str | Struct | ListOf | MapOf
"""A Go type: a scalar by its name ("string", "bool", "int", "uint64", "float64", "time.Duration", "any") or a compound."""

_SIZES = {"int8": 8, "uint8": 8, "int32": 32}
_INTEGERS = frozenset({"int", "int64", "uint64", "time.Duration", *_SIZES})
_BYTES = "[]byte"
_BASE64 = re.compile(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?")


@dataclass(frozen=True, slots=True)
class Struct:
    """A Go struct: its name and the kinds of its fields. Unknown fields of a body are dropped unless `open`.

    The name may say its package (`structs.NodePool`), else it is `api`; a struct without a name is written out in full.
    """

    name: str
    fields: Mapping[str, Kind]
    open: bool = False

    @property
    def shown(self) -> str:
        """The type as Go's errors write it."""
        return self.name if "." in self.name or " " in self.name else f"api.{self.name}"

    @property
    def short(self) -> str:
        """The name as it stands before one of its fields, "" for a struct without a name."""
        return "" if " " in self.name else self.name.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class ListOf:
    """A slice; its structs are told of as pointers unless it holds them as they are."""

    item: Kind
    pointers: bool = True


@dataclass(frozen=True, slots=True)
class MapOf:
    """A map with text keys; its structs are told of as in a slice."""

    item: Kind
    pointers: bool = True


def decode(body: bytes, kind: Kind | None = None) -> Any:  # noqa: ANN401 - any JSON value
    """Read the first JSON value of a body as `kind`; raises Refusal 400 with Go's sentence.

    Fields of structs come out under their Go names, absent ones stay absent. With no kind the value is as it was sent.
    """
    if not body:
        raise Refusal(400, "Request body is empty")
    text = body.decode("utf-8", "replace").lstrip(" \t\r\n")
    try:
        value, _ = json.JSONDecoder(parse_constant=_no_constant).raw_decode(text)
    except ValueError as exc:
        raise Refusal(400, complaint(body) or str(exc)) from exc
    except RecursionError as exc:
        raise Refusal(400, "exceeded max depth") from exc
    return value if kind is None else _fit(value, kind, "", "")


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _fit(value: Any, kind: Kind, struct: str, path: str) -> Any:  # noqa: ANN401 - any JSON value
    if value is None:
        return None
    if isinstance(kind, Struct):
        return _fit_struct(value, kind, struct, path)
    if isinstance(kind, ListOf):
        if not isinstance(value, list):
            raise _mismatch(value, _shown(kind), struct, path)
        return [_fit(item, kind.item, struct, path) for item in value]
    if isinstance(kind, MapOf):
        if not isinstance(value, dict):
            raise _mismatch(value, _shown(kind), struct, path)
        return {name: _fit(item, kind.item, struct, path) for name, item in value.items()}
    return _fit_scalar(value, kind, struct, path)


def _fit_struct(value: Any, kind: Struct, struct: str, path: str) -> dict[str, Any]:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        raise _mismatch(value, kind.shown, struct, path)
    names = {name.lower(): name for name in kind.fields}
    fitted: dict[str, Any] = {}
    for given, item in value.items():
        name = names.get(given.lower())
        if name is not None:
            fitted[name] = _fit(item, kind.fields[name], kind.short, f"{path}.{name}" if path else name)
        elif kind.open:
            fitted[given] = item
    return fitted


def _fit_scalar(value: Any, kind: str, struct: str, path: str) -> Any:  # noqa: ANN401 - any JSON value
    if kind == "any":
        return value
    if kind in _INTEGERS:
        return _fit_integer(value, kind, struct, path)
    if kind == _BYTES:
        return _fit_bytes(value, struct, path)
    wanted = {"float64": (int, float), "bool": bool}.get(kind, str)
    if not isinstance(value, wanted) or (kind == "float64" and isinstance(value, bool)):
        raise _mismatch(value, kind, struct, path)
    return value


def _fit_integer(value: Any, kind: str, struct: str, path: str) -> Any:  # noqa: ANN401 - any JSON value
    if not isinstance(value, (int, float)) or isinstance(value, bool):
        raise _mismatch(value, kind, struct, path)
    size = _SIZES.get(kind, 64)
    least, most = (0, 1 << size) if kind.startswith("uint") else (-1 << size - 1, 1 << size - 1)
    if isinstance(value, float) or not least <= value < most:
        raise _mismatch(value, kind, struct, path, shown=f"number {json.dumps(value)}")
    return value


def _fit_bytes(value: Any, struct: str, path: str) -> str:  # noqa: ANN401 - any JSON value
    if not isinstance(value, str):
        raise _mismatch(value, "[]uint8", struct, path)
    text = value.replace("\r", "").replace("\n", "")
    good = _BASE64.match(text)
    if good is None or good.end() != len(text) or len(text) % 4:
        at = good.end() if good is not None else 0
        raise Refusal(400, f"illegal base64 data at input byte {min(at, len(text))}")
    return value


def _shown(kind: Kind) -> str:
    if isinstance(kind, Struct):
        return kind.shown
    if isinstance(kind, str):
        return {"any": "interface {}", _BYTES: "[]uint8"}.get(kind, kind)
    pointer = "*" if kind.pointers and isinstance(kind.item, Struct) else ""
    return f"{'[]' if isinstance(kind, ListOf) else 'map[string]'}{pointer}{_shown(kind.item)}"


def _mismatch(value: object, kind: str, struct: str, path: str, shown: str = "") -> Refusal:
    names = {str: "string", bool: "bool", dict: "object", list: "array"}
    what = shown or names.get(type(value), "number")
    place = f"struct field {struct}.{path}" if path else "value"
    return Refusal(400, f"json: cannot unmarshal {what} into Go {place} of type {kind}")


def duration(value: object) -> int:
    """Read a field that takes a Go duration as text or as nanoseconds; ValueError when it is neither."""
    if value is None:
        return 0
    if isinstance(value, str):
        return parse_duration(value) if value else 0
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError(f"invalid duration {quote(str(value))}")
