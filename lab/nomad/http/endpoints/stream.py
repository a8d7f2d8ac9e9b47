"""/v1/event/stream: what is asked for. The server sends it, line by line. Held to tests/recordings/nomad-1.6.5/10-events.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.events import Subscription
from lab.nomad.http.call import Answer
from lab.nomad.http.gotext import parse_int
from lab.nomad.http.message import JSON_TYPE
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from lab.nomad.http.call import Call


def stream(call: Call) -> Answer:
    """Subscribe to events. Without the rights for every topic: 500, as recorded."""
    call.only("GET")
    try:
        index = parse_int(call.request.value("index") or "0")
    except ValueError as exc:
        raise Refusal(400, f"Unable to parse index: {exc}") from exc
    acl, token = call.region.acl, call.request.token
    wanted = Subscription(_topics(call), call.namespace, max(0, index), lambda: acl.rights(token))
    try:
        allowed = wanted.allowed()
    except Refusal as refusal:
        return _refused(403, refusal.text)
    if not allowed:
        return _refused(500, "Permission denied")
    headers = {"Cache-Control": "no-cache", "Content-Type": JSON_TYPE}
    return Answer(headers=headers, stream=wanted)


def _refused(status: int, text: str) -> Answer:
    return Answer(status=status, raw=text.encode(), content_type=JSON_TYPE, headers={"Cache-Control": "no-cache"})


def _topics(call: Call) -> dict[str, list[str]]:
    asked = call.request.query.get("topic")
    if not asked:
        return {"*": ["*"]}
    topics: dict[str, list[str]] = {}
    for text in asked:
        parts = text.split(":")
        if len(parts) > 2:
            reason = f"Invalid key value pair for topic, topic: {text}"
            raise Refusal(400, f"Invalid topic query: error parsing topics: {reason}")
        topics.setdefault(parts[0], []).append(parts[1] if len(parts) == 2 else "*")
    return topics
