"""Which function a request reaches."""

import pytest

from lab.host.model import Function, HostError, Trigger
from lab.host.routes import compile_route, find_route


def function(name: str, route: str | None = None, methods: list[str] | None = None) -> Function:
    binding = {"type": "httpTrigger", "name": "req", "route": route, "methods": methods}
    return Function(name, name, Trigger.HTTP, binding, {})


ROUTES = [
    compile_route(found, "api")
    for found in (
        function("status", "status", ["GET"]),
        function("plain"),
        function("anything", "things/{name}"),
        function("numbered", "things/{id:int}"),
        function("special", "things/special"),
        function("operation", "operations/{id:guid}/{part?}", ["GET", "DELETE"]),
        function("rest", "files/{*path}"),
        function("small", "small/{n:range(1,10)}"),
        function("short", "short/{word:length(2,4):alpha}"),
        function("mixed", "log-{day}.txt"),
        function("matched", r"matched/{word:regex(^a[0-9]$)}"),
    )
]
GUID = "0b6fdb0c-6c6c-4a07-9b0e-3f4c3d2b1a00"


@pytest.mark.parametrize(
    ("method", "path", "name", "parameters"),
    [
        ("GET", "/api/status", "status", {}),
        ("GET", "/API/Status/", "status", {}),
        ("DELETE", "/api/plain", "plain", {}),
        ("GET", "/api/things/special", "special", {}),
        ("GET", "/api/things/42", "numbered", {"id": "42"}),
        ("GET", "/api/things/other", "anything", {"name": "other"}),
        ("GET", f"/api/operations/{GUID}", "operation", {"id": GUID}),
        ("GET", f"/api/operations/{GUID}/log", "operation", {"id": GUID, "part": "log"}),
        ("GET", "/api/files/a/b/c.txt", "rest", {"path": "a/b/c.txt"}),
        ("GET", "/api/files", "rest", {}),
        ("GET", "/api/small/10", "small", {"n": "10"}),
        ("GET", "/api/short/abcd", "short", {"word": "abcd"}),
        ("GET", "/api/log-monday.txt", "mixed", {"day": "monday"}),
        ("GET", "/api/matched/a7", "matched", {"word": "a7"}),
    ],
)
def test_the_most_specific_route_wins(method: str, path: str, name: str, parameters: dict[str, str]):
    found = find_route(ROUTES, method, path)

    assert found is not None
    assert (found[0].function.name, found[1]) == (name, parameters)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/status"),
        ("GET", "/status"),
        ("GET", "/api/operations/not-a-guid"),
        ("GET", "/api/small/11"),
        ("GET", "/api/short/abcde"),
        ("GET", "/api/short/a1"),
        ("GET", "/api/matched/b7"),
        ("GET", "/api"),
    ],
)
def test_what_fits_no_route_or_only_by_another_method_reaches_nothing(method: str, path: str):
    assert find_route(ROUTES, method, path) is None


def test_an_empty_prefix_puts_functions_at_the_root():
    assert find_route([compile_route(function("status"), "")], "GET", "/status") is not None


def test_an_unknown_constraint_is_refused_by_name():
    with pytest.raises(HostError, match="colour"):
        compile_route(function("painted", "{shade:colour}"), "api")
