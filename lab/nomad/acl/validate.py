"""What is wrong with a token that somebody wants to write, in the API's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.gotext import nanoseconds, parse_rfc3339
from lab.nomad.model.times import go_duration

if TYPE_CHECKING:
    from collections.abc import Mapping

MINIMUM_TTL = 60 * 1_000_000_000
MAXIMUM_TTL = 24 * 3600 * 1_000_000_000


def token_problems(token: Mapping[str, Any], existing: Mapping[str, Any] | None) -> list[str]:
    """Answer every problem of a token to be written, none when it may be; `existing` is what it would replace."""
    problems = ["token name too long"] if len(token["Name"]) > 256 else []
    problems += _type_problems(token)
    return problems + (_new_problems(token) if existing is None else _update_problems(token, existing))


def _type_problems(token: Mapping[str, Any]) -> list[str]:
    linked = token["Policies"] or token["Roles"]
    match token["Type"]:
        case "client":
            return [] if linked else ["client token missing policies or roles"]
        case "management":
            return ["management token cannot be associated with policies or roles"] if linked else []
        case _:
            return ["token type must be client or management"]


def _new_problems(token: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    if token["ExpirationTTL"] < 0:
        shown = go_duration(token["ExpirationTTL"])
        problems.append(f"token expiration TTL '{shown}' should not be negative")
    if not token["ExpirationTime"]:
        return problems
    span = token["ExpirationTTL"] or (
        nanoseconds(parse_rfc3339(token["ExpirationTime"])) - nanoseconds(parse_rfc3339(token["CreateTime"]))
    )
    if span < 0:
        problems.append("expiration time cannot be before create time")
    bound, word = (MAXIMUM_TTL, "more") if span > MAXIMUM_TTL else (MINIMUM_TTL, "less")
    if span > MAXIMUM_TTL or span < MINIMUM_TTL:
        problems.append(
            f"expiration time cannot be {word} than {go_duration(bound)} in the future (was {go_duration(span)})"
        )
    return problems


def _update_problems(token: Mapping[str, Any], existing: Mapping[str, Any]) -> list[str]:
    problems: list[str] = []
    if existing["Global"] != token["Global"]:
        problems.append("cannot toggle global mode")
    if existing["ExpirationTTL"] != token["ExpirationTTL"]:
        problems.append("cannot update expiration TTL")
    elif token["ExpirationTTL"] == 0 and token["ExpirationTime"] not in {None, existing["ExpirationTime"]}:
        problems.append("cannot update expiration time")
    return problems
