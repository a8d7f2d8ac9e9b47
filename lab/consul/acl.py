"""Who may do what: rules of policies, and refusals in Consul's words (`tests/recordings/consul-1.19/rights.json`)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.consul.state import ANONYMOUS

if TYPE_CHECKING:
    from lab.consul.state import Record, State

RULE = re.compile(r'(\w+)(?:\s+"([^"]*)")?\s*(?:=\s*"(\w+)"|\{\s*policy\s*=\s*"(\w+)"[^}]*\})')
LEVELS = ("deny", "list", "read", "write")
UNKNOWN = "ACL not found"
IMPLICIT = ". The anonymous token is used implicitly when a request does not specify a token."


class DeniedError(Exception):
    """403; the text is Consul's."""


@dataclass(frozen=True, slots=True)
class Caller:
    """A token and its rules."""

    token: Record
    rules: str

    @classmethod
    def of(cls, state: State, secret: str) -> Caller:
        """The caller with that secret; raises `DeniedError` when nobody has it."""
        token = state.token(secret)
        if token is None:
            raise DeniedError(UNKNOWN)
        return cls(token, state.rules(token))

    @property
    def anonymous(self) -> bool:
        """Whether no token was given."""
        return self.token["SecretID"] == ANONYMOUS

    def may(self, kind: str, level: str, name: str = "") -> bool:
        """Whether the rules allow it; the most exact rule counts."""
        best, granted = -1, "deny"
        for what, pattern, plain, block in RULE.findall(self.rules):
            exact = what == kind and pattern == name
            prefixed = what == f"{kind}_prefix" and name.startswith(pattern)
            rank = len(pattern) + (1 if exact else 0)
            if (exact or prefixed) and rank >= best:
                best, granted = rank, plain or block
        return LEVELS.index(granted) >= LEVELS.index(level)

    def require(self, kind: str, level: str, name: str = "") -> None:
        """Raise `DeniedError` unless it is allowed."""
        if self.may(kind, level, name):
            return
        who = "anonymous token" if self.anonymous else f"token with AccessorID '{self.token['AccessorID']}'"
        what = f"lacks permission '{kind}:{level}'" + (f' on "{name}"' if name else "")
        raise DeniedError(f"Permission denied: {who} {what}" + (IMPLICIT if self.anonymous else ""))
