"""What to issue, renew, distribute and retire, so that machines find what they wait for. Pure.

A machine reads only the vault of its own audience (`cloud-init/README.md`). There it finds the bundle of CAs, a certificate for
each agent, and the shared keys of the gossip. The keeper's own vault holds the CA key, which never leaves it, and the masters.

One order holds everywhere: a CA is founded, then distributed in every bundle, then, once it has been there for the overlap, it
signs; the CA before it leaves the bundles only when no certificate needs it any more. Each round plans only what is safe now and
the next look finds the world further on, so being cut between any two writes leads to the same end.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum


class Audience(StrEnum):
    """Whose vault it is: everyone that may read it."""

    KEEPER = "keeper"
    SERVERS = "servers"
    CLIENTS = "clients"
    CONSUL = "consul"
    """Machines of a dedicated Consul."""


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A name in one audience's vault."""

    audience: Audience
    name: str

    def __str__(self) -> str:
        return f"{self.audience}/{self.name}"


@dataclass(frozen=True, slots=True)
class Authority:
    """A CA: `id` is its subject key identifier, `pem` its certificate, which is public."""

    id: str
    begins: datetime
    ends: datetime
    pem: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bundle:
    """The CAs that one audience trusts, by id, and since when just these."""

    authorities: tuple[str, ...]
    since: datetime


@dataclass(frozen=True, slots=True)
class Leaf:
    """A certificate that an agent serves, as far as deciding needs it."""

    names: frozenset[str]
    issuer: str
    begins: datetime
    ends: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Everything that has to exist."""

    master: Place
    """The keeper's own bundle: the truth that the others are copies of."""
    bundles: tuple[Place, ...]
    leaves: Mapping[Place, frozenset[str]]
    """Each certificate and the names and addresses that it is for."""
    shared: Mapping[str, tuple[Audience, ...]]
    """Each shared key and the audiences that need it; the keeper's vault holds the master of each."""


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """Everything as it was seen. What could not be read has no entry and stands in `gaps`; what is known to be missing is None."""

    now: datetime
    wanted: Wanted
    key: str
    """Id of the authority that the newest version of the CA key would be."""
    authorities: tuple[Authority, ...]
    """Those of the master bundle, oldest first."""
    bundles: Mapping[Place, Bundle | None]
    leaves: Mapping[Place, Leaf | None]
    shared: Mapping[Place, str | None]
    """Digest of each copy of each shared key."""
    guests: frozenset[str] = frozenset()
    """Ids of the authorities in the master bundle that somebody else's key made, as another region's: every bundle has them, and
    a person put them there and takes them out."""
    gaps: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Terms:
    """How long things live. A CA is distributed for `overlap` before it signs, and stays for as long after its last need."""

    overlap: timedelta


class Why(StrEnum):
    """Why something is issued or changed."""

    MISSING = "missing"
    AGE = "age"
    """A third of its life is left."""
    NAMES = "names"
    """It is for other names than are wanted."""
    ISSUER = "issuer"
    """Its CA is unknown, or a newer one signs now."""
    DIFFERS = "differs"
    """A copy is not what its master is."""
    UNNEEDED = "unneeded"


@dataclass(frozen=True, slots=True)
class Rotate:
    """Make a new version of the CA key."""

    because: Why


@dataclass(frozen=True, slots=True)
class Found:
    """Sign a CA certificate with the newest version of the key and add it to the master bundle."""

    because: Why


@dataclass(frozen=True, slots=True)
class Publish:
    """Write a bundle of just these authorities."""

    place: Place
    authorities: tuple[str, ...]
    because: Why


@dataclass(frozen=True, slots=True)
class Share:
    """Write a shared key: the master's value to a copy; a copy's value, or a fresh one, to the master."""

    place: Place
    source: Place | None
    """None: a fresh key."""
    because: Why


@dataclass(frozen=True, slots=True)
class Issue:
    """Have the vault make a key, and sign its request."""

    place: Place
    names: frozenset[str]
    signer: str
    because: Why


type Action = Rotate | Found | Publish | Share | Issue


def plan(view: View, terms: Terms) -> tuple[Action, ...]:
    """What is safe to do now, in order. Empty once everything is as it should be. Equal views give equal plans."""
    founding = _founding(view)
    return (*founding, *([] if founding else _publishing(view, terms)), *_sharing(view), *_issuing(view, terms))


def is_old(begins: datetime, ends: datetime, now: datetime) -> bool:
    """Whether no more than a third of a life is left."""
    return ends - now <= (ends - begins) / 3


def common_name(names: frozenset[str]) -> str:
    """The name that a person reads first: the product's own, `server.global.nomad`, when there is one."""
    return min(names, key=lambda name: ("*" in name, not name.endswith((".nomad", ".consul")), name))


def signer(view: View, terms: Terms) -> Authority | None:
    """The authority that signs now: the newest that everyone has trusted for the overlap, else the oldest that everyone trusts.

    Who has no bundle yet believes nobody, and will get a whole one. Who could not be asked keeps a newer one from signing.
    Machines whose certificates are a guest's have yet to hear of ours: nobody signs before the overlap is over.
    """
    held = [bundle for place in view.wanted.bundles if (bundle := view.bundles.get(place)) is not None]
    trusted = [each for each in view.authorities if all(each.id in bundle.authorities for bundle in held)]
    alive = [each for each in trusted if each.ends > view.now]
    if not held or not alive:
        return None
    if is_settled(view, terms):
        return alive[-1]
    believes_guests = any(leaf is not None and leaf.issuer in view.guests for leaf in view.leaves.values())
    return None if believes_guests else alive[0]


def is_settled(view: View, terms: Terms) -> bool:
    """Whether everyone's bundle is known to have been what it is for the overlap."""
    held = [view.bundles.get(place) for place in view.wanted.bundles]
    return all(bundle is not None and view.now - bundle.since >= terms.overlap for bundle in held)


def trusts(view: View, audience: Audience, authority: str) -> bool:
    """Whether an audience has that authority in a bundle."""
    held = [view.bundles.get(place) for place in view.wanted.bundles if place.audience is audience]
    return any(bundle is not None and authority in bundle.authorities for bundle in held)


def _founding(view: View) -> list[Action]:
    if view.wanted.master not in view.bundles:
        return []
    ids = [each.id for each in view.authorities]
    if not ids:
        return [Found(Why.MISSING)]
    if view.key not in ids:
        return [Found(Why.AGE)]
    newest = view.authorities[-1]
    return [Rotate(Why.AGE)] if is_old(newest.begins, newest.ends, view.now) else []


def _publishing(view: View, terms: Terms) -> Iterator[Action]:
    """The master without those that nobody needs, then every copy of it."""
    if not view.authorities:
        return
    kept = tuple(each.id for each in view.authorities if not _is_unneeded(each, view, terms))
    if len(kept) < len(view.authorities):
        yield Publish(view.wanted.master, kept, Why.UNNEEDED)
        return
    for place in view.wanted.bundles:
        if place == view.wanted.master or place not in view.bundles:
            continue
        bundle = view.bundles[place]
        if bundle is None or {*bundle.authorities} != {*kept, *view.guests}:
            yield Publish(place, kept, Why.MISSING if bundle is None else Why.DIFFERS)


def _is_unneeded(authority: Authority, view: View, terms: Terms) -> bool:
    """Whether an authority may go: not the signer nor newer, nothing served is of it, and that has been so for the overlap."""
    current = signer(view, terms)
    if current is None or view.gaps or not _is_older(authority.id, current, view):
        return False
    leaves = [view.leaves.get(place) for place in view.wanted.leaves]
    return all(
        leaf is not None and leaf.issuer != authority.id and view.now - leaf.begins >= terms.overlap for leaf in leaves
    )


def _is_older(authority: str, than: Authority, view: View) -> bool:
    ids = [each.id for each in view.authorities]
    return authority in ids[: ids.index(than.id)]


def _sharing(view: View) -> Iterator[Action]:
    for name, audiences in sorted(view.wanted.shared.items()):
        master = Place(Audience.KEEPER, name)
        copies = [Place(audience, name) for audience in audiences]
        if not {master, *copies} <= set(view.shared):
            continue
        truth = view.shared[master]
        if truth is None:
            yield Share(master, next((copy for copy in copies if view.shared[copy] is not None), None), Why.MISSING)
            continue
        for copy in copies:
            if view.shared[copy] != truth:
                yield Share(copy, master, Why.MISSING if view.shared[copy] is None else Why.DIFFERS)


def _issuing(view: View, terms: Terms) -> Iterator[Action]:
    current = signer(view, terms)
    if current is None:
        return
    for place, names in sorted(view.wanted.leaves.items()):
        why = _why_issue(place, names, view, current)
        if why is not None and trusts(view, place.audience, current.id):
            yield Issue(place, names, current.id, why)


def _why_issue(place: Place, names: frozenset[str], view: View, current: Authority) -> Why | None:
    if place not in view.leaves:
        return None
    leaf = view.leaves[place]
    if leaf is None:
        return Why.MISSING
    if leaf.names != names:
        return Why.NAMES
    if leaf.issuer not in {each.id for each in view.authorities} or _is_older(leaf.issuer, current, view):
        return Why.ISSUER
    return Why.AGE if is_old(leaf.begins, leaf.ends, view.now) else None
