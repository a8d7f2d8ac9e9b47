"""Access control of Nomad and Consul: the first management token, what everybody may do, and the tokens that wait in vaults. Pure.

The secret of the first management token is chosen by the keeper and stands in its vault before a server hears of it. From then on
the servers are the truth: a token is found there by its name, made where it is missing, and its secret is copied to wherever it is
waited for. So being cut anywhere leads to the same end, and no token is made twice.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from keeper.core.certificates import Place, Why
from keeper.core.snapshots import Product


class Kind(StrEnum):
    """What is written on the servers besides tokens."""

    POLICY = "policy"
    """Its body is rules."""
    ROLE = "role"
    """Its body names policies, one a line."""
    METHOD = "auth method"
    """How workloads sign in; its body is JSON."""
    BINDING = "binding rule"
    """What a signed-in workload becomes; its body is JSON."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Something of ours on the servers."""

    kind: Kind
    name: str
    body: str


@dataclass(frozen=True, slots=True)
class Token:
    """A token of ours: its name marks it on the servers, its secret is waited for in `places`."""

    name: str
    places: tuple[Place, ...]
    policies: tuple[str, ...] = ()
    """None: a management token."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What one product's servers and the vaults have to hold."""

    product: Product
    management: Place
    """Where the secret of the first management token lies, in the keeper's own vault."""
    entries: tuple[Entry, ...]
    tokens: tuple[Token, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """How far it is. Secrets are seen by digest; what could not be read has no entry, what is known to be missing is None."""

    wanted: Wanted
    chosen: bool
    """Whether the management token's secret is in the vault."""
    manages: bool = False
    """Whether the servers take it for a management token."""
    entries: Mapping[tuple[Kind, str], str] | None = None
    tokens: Mapping[str, str] | None = None
    """Digest of the secret of each token of ours, by name."""
    places: Mapping[Place, str | None] | None = None


@dataclass(frozen=True, slots=True)
class Choose:
    """Write a fresh secret for the first management token into the vault."""

    place: Place


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """Have the servers make the first management token with that secret."""

    product: Product


@dataclass(frozen=True, slots=True)
class Write:
    """Make an entry what it should be."""

    entry: Entry


@dataclass(frozen=True, slots=True)
class Grant:
    """Make a token."""

    token: Token


@dataclass(frozen=True, slots=True)
class Hand:
    """Copy a token's secret to where it is waited for."""

    token: str
    place: Place
    because: Why


type Action = Choose | Bootstrap | Write | Grant | Hand


def plan(view: View) -> tuple[Action, ...]:
    """What is safe to do now, in order; empty once everything is as it should be."""
    if not view.chosen:
        return (Choose(view.wanted.management),)
    if not view.manages:
        return (Bootstrap(view.wanted.product),)
    return (*_writing(view), *_granting(view), *_handing(view))


def _writing(view: View) -> Iterator[Action]:
    if view.entries is not None:
        for entry in view.wanted.entries:
            if view.entries.get((entry.kind, entry.name)) != entry.body:
                yield Write(entry)


def _granting(view: View) -> Iterator[Action]:
    """Tokens whose policies are there; without them a server would refuse, or make a token that may do nothing."""
    if view.tokens is None or view.entries is None:
        return
    there = {name for kind, name in view.entries if kind is Kind.POLICY}
    for token in view.wanted.tokens:
        if token.name not in view.tokens and set(token.policies) <= there:
            yield Grant(token)


def _handing(view: View) -> Iterator[Action]:
    tokens, places = view.tokens or {}, view.places or {}
    for token in view.wanted.tokens:
        for place in token.places:
            if token.name in tokens and place in places and places[place] != tokens[token.name]:
                yield Hand(token.name, place, Why.MISSING if places[place] is None else Why.DIFFERS)


def waited_for(wanted: Wanted) -> Collection[Place]:
    """Every place that a token's secret is wanted in."""
    return [place for token in wanted.tokens for place in token.places]
