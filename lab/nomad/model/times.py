"""Times as Nomad writes them: whole nanoseconds since the epoch inside, RFC 3339 in some fields."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICRO = timedelta(microseconds=1)
ZERO_TIME = "0001-01-01T00:00:00Z"


def nanoseconds(moment: datetime) -> int:
    """Answer the moment (timezone-aware) as nanoseconds since the epoch."""
    return (moment - _EPOCH) // _MICRO * 1000


def moment(ns: int) -> datetime:
    """Answer the datetime (UTC) of nanoseconds since the epoch; parts below a microsecond are cut."""
    return _EPOCH + timedelta(microseconds=ns // 1000)


def rfc3339(ns: int, *, whole_seconds: bool = False) -> str:
    """Answer RFC 3339 text in UTC with as many fraction digits as needed, none with `whole_seconds`."""
    seconds, fraction = divmod(ns, SECOND)
    text = (_EPOCH + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%S")
    if whole_seconds or not fraction:
        return text + "Z"
    return f"{text}.{fraction:09d}".rstrip("0") + "Z"


def from_rfc3339(text: str) -> int:
    """Answer the nanoseconds of an RFC 3339 text in UTC, fraction included."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    seconds = (datetime.fromisoformat(whole).replace(tzinfo=UTC) - _EPOCH) // timedelta(seconds=1)
    return seconds * SECOND + int(fraction.ljust(9, "0")[:9] or 0)


def go_duration(nanoseconds: int) -> str:
    """Write a duration as Go does: "1m0s", "24h0m0s", "13.357656ms", "0s"."""
    if nanoseconds == 0:
        return "0s"
    sign, left = ("-", -nanoseconds) if nanoseconds < 0 else ("", nanoseconds)
    if left < SECOND:
        unit, size = next((u, s) for u, s in (("ms", 1_000_000), ("µs", 1_000), ("ns", 1)) if left >= s)
        return f"{sign}{_decimal(left, size)}{unit}"
    minutes, rest = divmod(left, 60 * SECOND)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(rest, SECOND)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else f"{sign}{text}"


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    digits = f"{part:0{len(str(size)) - 1}d}".rstrip("0") if size > 1 else ""
    return f"{whole}.{digits}" if digits else str(whole)
