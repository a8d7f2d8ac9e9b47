"""What a server does around the router: hold a request back until its answer changes, a leader appears or time is up.

Held to tests/recordings/nomad-1.6.5/12-blocking-leader.json.
"""

from __future__ import annotations

import random
from time import monotonic  # noqa: TID251 - how long a socket is held back is the machine's time, not the model's
from typing import TYPE_CHECKING

from lab.nomad.http.call import Call
from lab.nomad.model.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.http.message import Request, Response
    from lab.nomad.http.router import Router

DEFAULT_WAIT = 300.0
LONGEST_WAIT = 600.0
LEADER_WAIT = 5.0
"""How long a request waits for a leader (rpc_hold_timeout)."""
_LOOK = 0.05
"""How often a request that waits for a leader looks again: elections move with the clock and wake nobody."""


def answer(router: Router, request: Request, stopped: Callable[[], bool]) -> Response:
    """Answer a request as a server does. `stopped` ends every wait early."""
    response = _led(router, request, stopped)
    if response.tables and response.status < 500 and request.method == "GET":
        index, seconds = _wanted(router, request)
        if index:
            return _changed(router, request, response, (index, seconds), stopped)
    return response


def _wanted(router: Router, request: Request) -> tuple[int, float]:
    try:
        return Call(router.region, router.face, request).wait
    except Refusal:
        return 0, 0.0


def _led(router: Router, request: Request, stopped: Callable[[], bool]) -> Response:
    deadline = monotonic() + LEADER_WAIT
    response = router.handle(request)
    store = router.region.store
    while response.needs_leader and monotonic() < deadline and not stopped():
        with store.changed:
            store.changed.wait(_LOOK)
        response = router.handle(request)
    return response


def _changed(
    router: Router, request: Request, response: Response, wanted: tuple[int, float], stopped: Callable[[], bool]
) -> Response:
    index, seconds = wanted
    store, tables = router.region.store, response.tables
    limit = min(seconds or DEFAULT_WAIT, LONGEST_WAIT)
    # The real one adds up to a sixteenth, so that callers do not come back all at once.
    deadline = monotonic() + limit + random.uniform(0, limit / 16)
    while response.index <= index and not stopped():
        with store.changed:
            seen = [store.table_index(table) for table in tables]
            woken = store.changed.wait_for(
                lambda seen=seen: stopped() or seen != [store.table_index(table) for table in tables],
                max(0.0, deadline - monotonic()),
            )
        if not woken:
            return response
        response = _led(router, request, stopped)
        if response.status >= 500:
            return response
    return response
