"""What Nomad's errors mean for the caller.

Nomad answers 500 for a lost leader, for user errors and for unknown nodes alike, in plain text, so the text decides
(`tests/recordings/nomad-1.6.5/README.md`, "Status codes and errors").
"""

from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus
from typing import TYPE_CHECKING

from keeper.errors import Forbidden, Gone, KeeperError, Permanent, Throttled, Unreachable

if TYPE_CHECKING:
    import requests

LEADERLESS = (
    "no cluster leader",
    "rpc error",
    "failed to get conn",
    "lead thread didn't get connection",
    "connection refused",
    "connection reset",
    "leadership lost",
    "node is not the leader",
    "raft is already shutdown",
    "context deadline exceeded",
    "i/o timeout",
    "eof",
)
"""Parts of 500 answers that say: no leader at the moment, or the way to it broke. An election is over within seconds."""

UNKNOWN_NODE = "node not found"
MOST_TEXT = 200
ELECTION = timedelta(seconds=10)
CROWDED = timedelta(seconds=30)
GATEWAY = frozenset({HTTPStatus.BAD_GATEWAY, HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.GATEWAY_TIMEOUT})


class Untrusted(Unreachable):
    """The servers' certificate does not verify against the CAs at hand."""


@dataclass(frozen=True, slots=True)
class Call:
    """What a call does, in words that follow "refused to", and the ACL rule it needs."""

    what: str
    right: str


def refusal(call: Call, response: "requests.Response") -> KeeperError:
    """Translate an answer that is no success."""
    text = response.text.strip()[:MOST_TEXT]
    said = f"Nomad refused to {call.what}: {response.status_code} {text}".rstrip()
    status, lower = response.status_code, text.lower()
    if status == HTTPStatus.FORBIDDEN or "permission denied" in lower:
        return Forbidden(f"the keeper's Nomad token was refused to {call.what}; that needs {call.right} ({text})")
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return Throttled(said, retry_after=_asked_patience(response))
    if status in GATEWAY or (status == HTTPStatus.INTERNAL_SERVER_ERROR and _is_leaderless(lower)):
        return Unreachable(said, retry_after=ELECTION)
    if status == HTTPStatus.NOT_FOUND or UNKNOWN_NODE in lower:
        return Gone(said)
    return Permanent(said)


def no_answer(call: Call, exc: Exception) -> Unreachable:
    """Translate a connection that failed, timed out or broke."""
    return Unreachable(f"no answer from Nomad to {call.what}: {type(exc).__name__} {exc}"[: 2 * MOST_TEXT])


def stale(call: Call, age: str) -> Unreachable:
    """An answer that no leader stands behind."""
    return Unreachable(f"Nomad's answer to {call.what} is stale: no leader stands behind it ({age} ms)")


def _is_leaderless(text: str) -> bool:
    return any(part in text for part in LEADERLESS)


def _asked_patience(response: "requests.Response") -> timedelta:
    asked = response.headers.get("Retry-After", "")
    return timedelta(seconds=int(asked)) if asked.isdecimal() else CROWDED
