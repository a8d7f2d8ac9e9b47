"""The node program's only sight of time; everything else is handed a moment or one of these functions."""

from __future__ import annotations

import time
from datetime import datetime, timezone


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(tz=timezone.utc)  # noqa: TID251 - this module is where the node program reads the clock


def ticking() -> float:
    """Return seconds that only ever grow: for intervals, not for dates."""
    return time.monotonic()  # noqa: TID251 - this module is where the node program reads the clock


def pause(seconds: float) -> None:
    """Let `seconds` pass."""
    time.sleep(seconds)  # noqa: TID251 - a machine's own program may wait; the keeper's ticks may not


def rfc3339(moment: datetime) -> str:
    """Write an aware moment as RFC 3339 in UTC with milliseconds, such as `2026-01-31T05:00:00.250Z`."""
    return moment.astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z")
