"""The doors behind a real socket, for the command line: requests go in as the host would hand them on."""

import azure.functions as func

from functions import operations
from lab.http import Request, Response

DOORS = {
    ("GET", ("status",)): operations.status,
    ("GET", ("decisions",)): operations.decisions,
    ("POST", ("operations",)): operations.start_operation,
    ("GET", ("operations", "{id}")): operations.read_operation,
    ("POST", ("operations", "{id}", "cancel")): operations.cancel_operation,
}


def handle(request: Request) -> Response:
    """Answer as the function app would."""
    parts = tuple(request.path.removeprefix("/api/").split("/"))
    for (method, shape), door in DOORS.items():
        given = dict(zip(shape, parts, strict=False))
        if method == request.method and parts == tuple(
            given.get(word, "") if word == "{id}" else word for word in shape
        ):
            return _of(door(_request(request, given.get("{id}", ""))))
    return Response(404)


def _request(request: Request, route: str) -> func.HttpRequest:
    return func.HttpRequest(
        method=request.method,
        url=request.url,
        headers=dict(request.headers),
        params=request.query,
        route_params={"id": route},
        body=request.body,
    )


def _of(answer: func.HttpResponse) -> Response:
    return Response(answer.status_code, dict(answer.headers), answer.get_body())
