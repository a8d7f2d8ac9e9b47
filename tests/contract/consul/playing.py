"""Plays a script against a server, writes down what it answers, and compares that with what was written down."""

import json
import re
from pathlib import Path

import requests

from tests.contract.consul.script import NO_LEADER, SCRIPTS, SETUP, TOKENS, archives

RECORDED = Path(__file__).resolve().parents[2] / "recordings" / "consul-1.19"
HEADERS = ("X-Consul-Index", "X-Consul-Knownleader", "X-Consul-Results-Filtered-By-Acls", "Digest")
OF_LISTS = {"agent/self": ("Config",)}
"""What is kept of an answer that says far more than anybody asks for."""


class Player:
    """One server, asked as one token or another."""

    def __init__(self, side):
        self.side = side
        self.archives = {}

    def ask(self, step):
        """The answer to one step."""
        body = self.archives[step.archive] if step.archive else step.body
        if isinstance(body, dict):
            body = json.dumps(body)
        with requests.Session() as session:
            session.trust_env = False
            return session.request(
                step.method,
                f"{self.side.url}/v1/{step.path}",
                data=body,
                headers={"X-Consul-Token": TOKENS[step.who]} if TOKENS[step.who] else {},
                verify=str(self.side.ca),
                timeout=30,
            )

    def furnish(self):
        """Make the state that the scripts ask of, and keep an archive of it."""
        for step in SETUP:
            answer = self.ask(step)
            assert answer.ok, (step, answer.text)
        return self.save()

    def save(self):
        """The archive of what is there, kept for the steps that restore."""
        with requests.Session() as session:
            session.trust_env = False
            headers = {"X-Consul-Token": TOKENS["management"]}
            answer = session.get(self.side.url + "/v1/snapshot", headers=headers, verify=str(self.side.ca), timeout=30)
        self.archives = archives(answer.content)
        return answer.content

    def play(self, name):
        """All answers to a script, as they are written down."""
        if name == "no-leader":
            self.archives = {"a picture": b"GIF89a"}
            return [written(step, self.ask(step)) for step in NO_LEADER]
        return [written(step, self.ask(step)) for step in SCRIPTS[name]]


def written(step, answer):
    """One step as it stands in a recording; a body of JSON is decoded, an archive is only named."""
    request = {"method": step.method, "path": step.path, "token": step.who}
    if step.archive or step.body is not None:
        request["body"] = f"<archive: {step.archive}>" if step.archive else step.body
    kind = answer.headers.get("Content-Type", "")
    body = answer.text
    if kind == "application/x-gzip":
        body = "<archive>"
    elif kind == "application/json":
        body = answer.json()
        for name in OF_LISTS.get(step.path, ()):
            body = {name: body[name]}
    headers = {name: answer.headers[name] for name in HEADERS if name in answer.headers}
    return {
        "request": request,
        "response": {"status": answer.status_code, "type": kind, "headers": headers, "body": body},
    }


def unlike(recorded, seen):
    """What differs between two answers, in short sentences; nothing when they are alike as far as anybody may rely on it."""
    was, now = recorded["response"], seen["response"]
    found = [f"{name}: {now[name]!r}, recorded {was[name]!r}" for name in ("status", "type") if now[name] != was[name]]
    if was["status"] == 200:
        marks = [{name: name == HEADERS[0] or value for name, value in each["headers"].items()} for each in (was, now)]
        if marks[0] != marks[1]:
            found.append(f"headers: {now['headers']}, recorded {was['headers']}")
    if isinstance(was["body"], str) or isinstance(now["body"], str):
        texts = [
            re.sub(r"\b\d+ unread|offset \d+|index: \d+|:\d{4,5}$|(?<=missing for ).*", "#", str(each["body"]))
            for each in (was, now)
        ]
        return found if texts[0] == texts[1] else [*found, f"{now['body']!r:.300}, recorded {was['body']!r:.300}"]
    return found + _unlike_json("", was["body"], now["body"])


def _unlike_json(where, was, now):
    """Every key that is shown is shown by Consul, too, with a value of its kind; lists are as long."""
    if isinstance(was, dict) and isinstance(now, dict):
        found = [f"{where}.{key} is not Consul's" for key in now.keys() - was.keys() if where]
        if not where and now.keys() - was.keys():
            found += [f"{sorted(now)}, recorded {sorted(was)}"]
        return found + [
            each for key in now.keys() & was.keys() for each in _unlike_json(f"{where}.{key}", was[key], now[key])
        ]
    if isinstance(was, list) and isinstance(now, list):
        if len(was) != len(now) or (was and isinstance(was[0], str) and was[0].count(":") == 0 and was != now):
            return [f"{where}: {now!r:.200}, recorded {was!r:.200}"]
        shown = set().union(*(each for each in was if isinstance(each, dict)))
        return [
            f"{where}.{key} is not Consul's" for each in now if isinstance(each, dict) for key in each.keys() - shown
        ]
    return [] if type(was) is type(now) else [f"{where}: {now!r:.80}, recorded {was!r:.80}"]


def load(name):
    """A recording."""
    return json.loads((RECORDED / f"{name}.json").read_text(encoding="utf-8"))
