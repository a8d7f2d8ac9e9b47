"""What Go's mux answers before any handler is asked: redirects, the place of the web UI, headers for browsers."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING

from lab.nomad.http.message import Request, Response

if TYPE_CHECKING:
    from collections.abc import Collection

_HTML = "text/html; charset=utf-8"
_NO_UI = b"<!DOCTYPE html>\n<html>\n<p>The stand-in has no web UI.</p>\n</html>\n"


def before_handlers(request: Request, routes: Collection[str]) -> Response | None:
    """Answer what needs no handler, None for what does."""
    clean = _cleaned(request.path)
    if clean != request.path:
        return _redirect(301, "Moved Permanently", clean)
    if request.path == "/":
        return _redirect(307, "Temporary Redirect", "/ui/")
    if request.path.startswith("/ui/"):
        return Response(200, {"Content-Type": _HTML}, _NO_UI)
    if request.path == "/ui" or (request.path not in routes and f"{request.path}/" in routes):
        return _redirect(301, "Moved Permanently", f"{request.path}/")
    return None


def _cleaned(path: str) -> str:
    clean = f"/{posixpath.normpath(path).lstrip('/')}"
    return f"{clean}/" if path.endswith("/") and clean != "/" else clean


def _redirect(status: int, text: str, place: str) -> Response:
    return Response(status, {"Content-Type": _HTML, "Location": place}, f'<a href="{place}">{text}</a>.\n\n'.encode())


def with_cross_origin(request: Request, response: Response) -> Response:
    """Add what lets a browser's page of another origin read the answer."""
    response.headers["Vary"] = "Origin"
    origin = request.headers.get("origin")
    if origin:
        response.headers |= {"Access-Control-Allow-Credentials": "true", "Access-Control-Allow-Origin": "*"}
    return response
