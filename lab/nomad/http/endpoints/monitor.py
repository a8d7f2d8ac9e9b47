"""/v1/agent/monitor: the log of an agent as frames. The stand-in writes none, and says so in the one line it has."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

from lab.nomad.http.call import Answer
from lab.nomad.http.gotext import parse_bool
from lab.nomad.http.message import JSON_TYPE, encode
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from lab.nomad.http.call import Call

_LEVELS = frozenset({"", "trace", "debug", "info", "warn", "error", "off"})
_LINE = b"[INFO]  the stand-in writes no log\n"


def monitor(call: Call) -> Answer:
    """Check what a real agent checks; then answer one line, in a frame unless `plain` asks for text."""
    call.only("GET")
    call.may(call.rights.read("agent"))
    level = call.request.value("log_level")
    if level.lower() not in _LEVELS:
        raise Refusal(400, f"Unknown log level: {level}")
    text = call.request.value("plain")
    try:
        plain = bool(text) and parse_bool(text)
    except ValueError as exc:
        raise Refusal(400, f"Unable to parse plain query parameter: {exc}") from exc
    if plain:
        return Answer(raw=_LINE, content_type="text/plain")
    return Answer(raw=encode({"Data": base64.b64encode(_LINE).decode()}), content_type=JSON_TYPE)
