"""Nomad as recorded: a requests transport that gives recorded answers and keeps what was asked."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

import requests
from requests.adapters import BaseAdapter
from urllib3.response import HTTPResponse

from keeper.nomad.cluster import NomadHttp
from keeper.settings import NomadSettings

RECORDINGS = Path(__file__).parents[2] / "recordings" / "nomad-1.6.5"
ADDRESS = "https://10.0.10.10:4646"
LEADER = {"Content-Type": "application/json", "X-Nomad-Index": "7", "X-Nomad-KnownLeader": "true"} | {
    "X-Nomad-LastContact": "0"
}


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: dict
    token: str
    body: object


def recorded(file: str, step: int) -> dict:
    """The recorded answer of that step."""
    steps = json.loads((RECORDINGS / f"{file}.json").read_text())
    return next(each for each in steps if each.get("step") == step)["response"]


def answer(body, *, status=200, headers=None):
    """An answer made up for a case that has no recording."""
    return {"status": status, "headers": LEADER if headers is None else headers, "body": body}


class Replay(BaseAdapter):
    """Gives its answers one after another; an exception among them is raised."""

    def __init__(self, *answers):
        super().__init__()
        self.answers = list(answers)
        self.asked = []

    def send(self, request, stream=False, timeout=None, verify=True, cert=None, proxies=None):  # noqa: ARG002, PLR0917 -- the base class's signature
        parts = urlsplit(request.url)
        body = json.loads(request.body) if request.body else None
        token = request.headers.get("X-Nomad-Token", "")
        self.asked.append(Asked(request.method, unquote(parts.path), dict(parse_qsl(parts.query)), token, body))
        self.last = request
        given = self.answers.pop(0)
        if isinstance(given, Exception):
            raise given
        text = given["body"] if isinstance(given["body"], str) else json.dumps(given["body"])
        response = requests.Response()
        response.status_code = given["status"]
        response.headers.update(given["headers"])
        response.raw = HTTPResponse(io.BytesIO(text.encode()), preload_content=False, status=given["status"])
        response.url = request.url
        response.request = request
        return response

    def close(self):
        pass


def nomad_that_answers(*answers, token=lambda: "token-1", ca=lambda: "no CA"):
    """The adapter in front of those answers, and the transport that saw its requests."""
    replay = Replay(*answers)
    return NomadHttp(NomadSettings(address=ADDRESS), token=token, ca=ca, transport=replay), replay
