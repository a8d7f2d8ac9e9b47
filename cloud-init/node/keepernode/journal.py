"""One line of JSON per thing worth knowing, to standard output: systemd's journal and the Azure Monitor agent read it."""

from __future__ import annotations

import json
import sys

from keepernode.clock import rfc3339, utc_now

Plain = str | int | float | bool | None | list[str] | dict[str, str]


def tell(event: str, **facts: Plain) -> None:
    """Write one line: the moment, the event's dotted name in the past tense, and its facts. Never pass a secret."""
    line = json.dumps({"at": rfc3339(utc_now()), "event": event, **facts}, separators=(",", ":"))
    print(line, file=sys.stdout, flush=True)
