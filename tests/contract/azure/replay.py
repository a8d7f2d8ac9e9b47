"""Replays recorded exchanges against the stand-in and compares the shape of the answers."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from lab.http import Request
from tests.contract.azure.stage import settle

if TYPE_CHECKING:
    from lab.http import Response
    from tests.contract.azure.stage import Stage

RECORDINGS = Path(__file__).parents[2] / "recordings" / "azure"
TELLING_HEADERS = ("azure-asyncoperation", "location", "etag", "www-authenticate", "azure-asyncnotification")


def load(name: str) -> dict[str, Any]:
    """Read a recording by its path below `tests/recordings/azure`."""
    return json.loads((RECORDINGS / name).read_text())


def replay(stage: Stage, exchanges: list[dict[str, Any]], exempt: set[str]) -> list[str]:
    """Send every request and return what differs in shape.

    Operation links and ETags are followed as the stand-in gave them; time passes wherever the recording shows that an
    operation had ended.
    """
    given = _Given({}, {})
    differences: list[str] = []
    for number, exchange in enumerate(exchanges):
        answer = _send(stage, exchange["request"], exchange["response"], given)
        given.remember(exchange["response"], answer)
        found = compare(exchange["response"], answer, f"[{number}]")
        differences += [difference for difference in found if not any(path in difference for path in exempt)]
    return differences


@dataclass
class _Given:
    """What the stand-in answered in place of recorded links and ETags."""

    links: dict[tuple[str, bool], str]
    etags: dict[str, str]

    def remember(self, recorded: dict[str, Any], answer: Response) -> None:
        ours = {name.lower(): value for name, value in answer.headers.items()}
        for name, value in (recorded.get("headers") or {}).items():
            if name.lower() in {"azure-asyncoperation", "location"} and name.lower() in ours:
                self.links[_link_key(value)] = ours[name.lower()]
            if name.lower() == "etag" and "etag" in ours:
                self.etags[value] = ours["etag"]


def _send(stage: Stage, request: dict[str, Any], recorded: dict[str, Any], given: _Given) -> Response:
    url = request["url"]
    link = given.links.get(_link_key(url))
    body = recorded.get("body")
    ended = isinstance(body, dict) and body.get("status") in {"Succeeded", "Failed"}
    if ended or (given.links and request["method"] == "GET" and (link is None or "monitor=true" in url)):
        settle(stage)
    headers = {name.lower(): value for name, value in (request.get("headers") or {}).items()}
    text = "" if request.get("body") is None else json.dumps(request["body"])
    for recorded_etag, ours in given.etags.items():
        text = text.replace(recorded_etag, ours)
    return stage.arm.handle(Request(request["method"], link or url, headers, text.encode()))


def _link_key(url: str) -> tuple[str, bool]:
    return urlsplit(url).path.lower(), "monitor=true" in url


def compare(recorded: dict[str, Any], answer: Response, where: str) -> list[str]:
    """Compare status, telling headers and the shape of the body; the stand-in may add, never miss or retype."""
    found = []
    if recorded["status"] != answer.status:
        found.append(f"{where} status {recorded['status']} became {answer.status}: {answer.body[:300]!r}")
        return found
    ours = {name.lower(): value for name, value in answer.headers.items()}
    theirs = {name.lower(): value for name, value in (recorded.get("headers") or {}).items()}
    found += [
        f"{where} header {name} {'missing' if name in theirs else 'added'}"
        for name in TELLING_HEADERS
        if theirs and (name in theirs) != (name in ours)
    ]
    found += _compare_limits(
        theirs.get("x-ms-ratelimit-remaining-resource", ""), ours.get("x-ms-ratelimit-remaining-resource", ""), where
    )
    if recorded.get("body") is not None:
        found += shape(recorded["body"], answer.json(), where)
    return found


def _compare_limits(theirs: Any, ours: str, where: str) -> list[str]:
    text = ",".join(theirs) if isinstance(theirs, list) else theirs
    names = {part.partition(";")[0] for part in text.split(",") if part}
    have = {part.partition(";")[0] for part in ours.split(",")}
    return [f"{where} limit {name} missing" for name in sorted(names - have)]


def shape(recorded: Any, ours: Any, path: str) -> list[str]:
    """List the keys that are missing and the values whose JSON type differs; null and absent are alike."""
    if recorded is None:
        return []
    if _kind(recorded) != _kind(ours):
        return [f"{path} {_kind(recorded)} became {_kind(ours)}"]
    if isinstance(recorded, dict):
        return [d for key, value in recorded.items() if value is not None for d in _member(key, value, ours, path)]
    if isinstance(recorded, list) and recorded:
        return _elements(recorded, ours, path)
    return []


def _member(key: str, value: Any, ours: dict[str, Any], path: str) -> list[str]:
    if key not in ours:
        return [f"{path}.{key} missing"]
    return shape(value, ours[key], f"{path}.{key}")


def _elements(recorded: list[Any], ours: list[Any], path: str) -> list[str]:
    """Each recorded element must be matched by some element of ours; the best match's differences are reported."""
    if not ours:
        return [f"{path} empty"]
    return [d for element in recorded for d in min((shape(element, o, f"{path}[]") for o in ours), key=len)]


def _kind(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return {str: "string", list: "array", dict: "object", type(None): "nothing"}[type(value)]
