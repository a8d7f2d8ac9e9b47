"""How a nudge is told: one message on the keeper's storage queue, written with the machine's identity."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from keepernode.clock import rfc3339
from keepernode.identity import STORAGE, Identity
from keepernode.problems import Unreachable

if TYPE_CHECKING:
    from keepernode.watch.pace import Nudge
    from keepernode.wire import Line

API_VERSION = "2021-12-02"
"""Any version since 2017-11-09 takes tokens of Microsoft Entra ID."""

TIME_TO_LIVE = 600
"""Seconds: an older nudge is satisfied by the keeper's own timer, and must not pile up while the keeper is away."""

CREATED = 201
UNAUTHORIZED, FORBIDDEN, NOT_FOUND = 401, 403, 404


def message(nudge: Nudge, node_name: str) -> bytes:
    """Return the message's JSON. `detail` holds ids, the number of sightings it stands for, and their causes."""
    detail: dict[str, object] = {
        **nudge.sighting.ids,
        "sightings": nudge.sightings,
        "causes": [cause.value for cause in nudge.causes],
    }
    body = {
        "kind": "nudge",
        "controller": "autoscale",
        "cause": nudge.sighting.cause.value,
        "at": rfc3339(nudge.at),
        "source": f"watcher/{node_name}",
        "detail": detail,
    }
    return json.dumps(body, separators=(",", ":")).encode()


@dataclass(slots=True)
class NudgeQueue:
    """The keeper's queue; `line` leads to its account. For use by one thread."""

    url: str
    line: Line
    identity: Identity

    def put(self, body: bytes) -> None:
        """Add one message, base64 as the queue trigger expects it; Unreachable when the service did not take it.

        The Put Message call: https://learn.microsoft.com/rest/api/storageservices/put-message
        """
        text = base64.b64encode(body).decode()
        answer = self.line.ask(
            "POST",
            f"{urlsplit(self.url).path.rstrip('/')}/messages?messagettl={TIME_TO_LIVE}",
            headers={
                "Authorization": self.identity.bearer(STORAGE),
                "x-ms-version": API_VERSION,
                "Content-Type": "application/xml",
            },
            body=f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>".encode(),
        )
        if answer.status == CREATED:
            return
        if answer.status in {UNAUTHORIZED, FORBIDDEN}:
            self.identity.forget(STORAGE)
        hint = {
            UNAUTHORIZED: "; the token was refused, a new one is asked for",
            FORBIDDEN: "; give the machine's identity Storage Queue Data Message Sender on this queue",
            NOT_FOUND: "; create the queue, or correct queue_url",
        }.get(answer.status, "")
        code = answer.headers.get("x-ms-error-code", answer.text())
        raise Unreachable(f"the queue {self.url} answers HTTP {answer.status} {code}{hint}", status=answer.status)

    def warm(self) -> None:
        """Have a token ready before the first nudge needs it."""
        self.identity.bearer(STORAGE)
