"""Text as Go writes and reads it: durations, numbers, quoted strings, times. Error texts of the API are made of these."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal

NANOSECONDS = 1_000_000_000
_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": NANOSECONDS,
    "m": 60 * NANOSECONDS,
    "h": 3600 * NANOSECONDS,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h)")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def parse_duration(text: str) -> int:
    """Read a Go duration ("1m30s", "-2h", "0") into nanoseconds; ValueError with Go's sentence when it is none."""
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text.removeprefix("+"))
    if rest == "0":
        return 0
    parts = _PART.findall(rest)
    if not parts or "".join(number + unit for number, unit in parts) != rest:
        missing = re.fullmatch(r"[\d.]*\d[\d.]*", rest)
        reason = "missing unit in duration" if missing else "invalid duration"
        raise ValueError(f"time: {reason} {quote(text)}")
    return sign * int(sum(Decimal(number) * _UNITS[unit] for number, unit in parts))


def quote(text: str) -> str:
    """Write `text` between double quotes, escaped as Go's %q does for common characters."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    for raw, name in (("\n", "\\n"), ("\t", "\\t"), ("\r", "\\r")):
        escaped = escaped.replace(raw, name)
    return f'"{escaped}"'


_ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\", '"': '"'}
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)


def unquote(literal: str) -> str:
    """Read a Go string literal in double quotes or backquotes; ValueError("invalid syntax") when it is none."""
    inner = literal[1:-1]
    if literal.startswith("`"):
        return inner.replace("\r", "")
    if "\n" in inner or re.search(r"(?<!\\)(\\\\)*\\$", inner):
        raise ValueError("invalid syntax")
    return _ESCAPE.sub(_unescape, inner)


def _unescape(match: re.Match[str]) -> str:
    code = match.group(1)
    if code[0] in "xuU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if len(code) == 3:
        return chr(int(code, 8))
    if code not in _ESCAPES:
        raise ValueError("invalid syntax")
    return _ESCAPES[code]


def parse_uint(text: str, call: str = "ParseUint") -> int:
    """Read an unsigned decimal; ValueError with strconv's sentence when it is none."""
    if not re.fullmatch(r"\d+", text):
        raise ValueError(f"strconv.{call}: parsing {quote(text)}: invalid syntax")
    if int(text) >= 1 << 64:
        raise ValueError(f"strconv.{call}: parsing {quote(text)}: value out of range")
    return int(text)


def parse_int(text: str, call: str = "Atoi") -> int:
    """Read a signed decimal; ValueError with strconv's sentence when it is none."""
    if not re.fullmatch(r"[+-]?\d+", text):
        raise ValueError(f"strconv.{call}: parsing {quote(text)}: invalid syntax")
    return int(text)


_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})


def parse_bool(text: str) -> bool:
    """Read a boolean; ValueError with strconv's sentence when it is none."""
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    raise ValueError(f"strconv.ParseBool: parsing {quote(text)}: invalid syntax")


def nanoseconds(moment: datetime) -> int:
    """Answer a moment as Go's UnixNano."""
    passed = moment - _EPOCH
    return ((passed.days * 86400 + passed.seconds) * 1_000_000 + passed.microseconds) * 1000


def from_nanoseconds(value: int) -> datetime:
    """Answer the moment of a UnixNano (to the microsecond)."""
    return _EPOCH + timedelta(microseconds=value // 1000)


def rfc3339(moment: datetime) -> str:
    """Write a moment as Go's RFC3339Nano in UTC: no trailing zeros in the fraction."""
    text = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    fraction = f"{moment.microsecond:06d}".rstrip("0")
    return f"{text}.{fraction}Z" if fraction else f"{text}Z"


def parse_rfc3339(text: str) -> datetime:
    """Read an RFC 3339 time (digits beyond the microsecond are dropped); ValueError when it is none."""
    trimmed = re.sub(r"(\.\d{6})\d+", r"\1", text)
    return datetime.fromisoformat(trimmed)
