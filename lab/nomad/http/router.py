"""The router: one request in, one answer out; it never waits, so it serves a server and a simulator alike.

Paths are matched as by Go's mux: an exact path first, else the longest prefix that ends in a slash.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.http.call import NOTHING, Answer, Call
from lab.nomad.http.endpoints.table import ROUTES
from lab.nomad.http.message import JSON_TYPE, TEXT_TYPE, Request, Response, encode
from lab.nomad.http.mux import before_handlers, with_cross_origin
from lab.nomad.model.errors import Refusal
from lab.nomad.servers import NoLeader, ServerFace

if TYPE_CHECKING:
    from lab.nomad.http.endpoints.table import Route
    from lab.nomad.region import Region
    from lab.nomad.servers import Face


class Router:
    """The API of one agent (`face`) of a region."""

    def __init__(self, region: Region, face: Face | None = None) -> None:
        self.region = region
        self.face = face or ServerFace(region.servers.members[0])
        self.answered = 0
        """How many requests were handled, for benchmarks."""

    def handle(self, request: Request) -> Response:
        """Answer a request. Blocking queries are answered as things stand; see `Response.tables` for waiting."""
        self.answered += 1
        ahead = before_handlers(request, ROUTES)
        if ahead is not None:
            return ahead
        route, rest = find(request.path)
        if route is None:
            return Response(404)
        response = self._handle(request, route, rest)
        return with_cross_origin(request, response) if route.cross_origin else response

    def _handle(self, request: Request, route: Route, rest: str) -> Response:
        call = Call(self.region, self.face, request, rest)
        try:
            with self.region.store.lock:
                self._check(call, route)
                answer = route.handler(call)
        except Refusal as refusal:
            return _refused(refusal, route, request)
        return self._respond(call, answer)

    def _check(self, call: Call, route: Route) -> None:
        if not route.rpc:
            return
        if call.request.method == "GET":
            _ = call.wait
        region = call.request.value("region")
        if region and region != self.region.name:
            raise Refusal(500, "No path to region")
        if not (call.stale and call.request.method == "GET" and route.stale):
            self.region.servers.check()

    def _respond(self, call: Call, answer: Answer) -> Response:
        response = Response(answer.status, dict(answer.headers), tables=answer.tables, stream=answer.stream)
        response.needs_leader = answer.needs_leader
        if answer.index is not None:
            response.headers["X-Nomad-Index"] = str(answer.index)
            response.index = answer.index
        if answer.read:
            known, contact = self.region.servers.contact if call.stale else (answer.known_leader, 0)
            response.headers["X-Nomad-Knownleader"] = "true" if known else "false"
            response.headers["X-Nomad-Lastcontact"] = str(contact)
        if answer.next_token:
            response.headers["X-Nomad-Nexttoken"] = answer.next_token
        _fill(response, call, answer)
        return response


def _fill(response: Response, call: Call, answer: Answer) -> None:
    if answer.raw is not None:
        response.body = answer.raw
        response.headers["Content-Type"] = answer.content_type or TEXT_TYPE
        return
    if answer.body is NOTHING:
        return
    pretty = call.request.query.get("pretty")
    response.body = encode(answer.body, pretty=pretty is not None and pretty[0] != "0")
    response.headers["Content-Type"] = answer.content_type or JSON_TYPE
    bad = _bad_stale(call.request)
    if answer.read and bad is not None:
        # The real one writes the complaint, goes on, and writes the whole answer behind it.
        text = f"Expect `true` or `false` for `stale` query string parameter, got {bad}"
        response.status, response.body = 400, text.encode() + response.body
        response.headers = {"Content-Type": TEXT_TYPE}


def _bad_stale(request: Request) -> str | None:
    value = request.value("stale")
    known = {"", "0", "1", "t", "f", "T", "F", "true", "false", "TRUE", "FALSE", "True", "False"}
    return None if value in known else value


def _refused(refusal: Refusal, route: Route, request: Request) -> Response:
    response = Response(refusal.status, {"Content-Type": route.error_type or TEXT_TYPE}, refusal.text.encode())
    if isinstance(refusal, NoLeader) and request.path.startswith("/v1/var/") and request.method != "GET":
        response.headers["X-Nomad-Index"] = "0"  # as every refused write of a variable has it
    response.needs_leader = isinstance(refusal, NoLeader)
    return response


def find(path: str) -> tuple[Route | None, str]:
    """Answer the route of a path and what follows its prefix."""
    route = ROUTES.get(path)
    if route is not None:
        return route, ""
    at = len(path)
    while (at := path.rfind("/", 0, at)) > 0:
        route = ROUTES.get(path[: at + 1])
        if route is not None:
            return route, path[at + 1 :]
    return None, ""
