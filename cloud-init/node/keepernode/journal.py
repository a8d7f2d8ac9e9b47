"""One line of JSON per thing worth knowing, to standard output: systemd's journal and the Azure Monitor agent read it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence

from keepernode.clock import rfc3339, utc_now

Plain = str | int | float | bool | None | Sequence[str] | dict[str, str]

ERROR = "<3>" if "JOURNAL_STREAM" in os.environ else ""  # noqa: TID251 - systemd says by this variable that it reads our output
"""systemd takes this prefix as the line's severity and drops it, so that a failure is an error in Log Analytics too."""


def tell(event: str, **facts: Plain) -> None:
    """Write one line: the moment, the event's dotted name in the past tense, and its facts. Never pass a secret."""
    _write("", event, facts)


def complain(event: str, **facts: Plain) -> None:
    """Write one line as an error: something that a person may have to look at, and what to do."""
    _write(ERROR, event, facts)


def _write(severity: str, event: str, facts: dict[str, Plain]) -> None:
    line = json.dumps({"at": rfc3339(utc_now()), "event": event, **facts}, separators=(",", ":"))
    print(f"{severity}{line}", file=sys.stdout, flush=True)
