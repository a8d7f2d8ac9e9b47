"""Certificates and secrets: makes what machines wait for, renews it in time, and changes CAs without a gap.

One tick goes round observe → plan → guard → act until nothing is left to do now, under the lease `certificates`, and reports once.
Each round starts from a new look, so that a tick that is cut between any two writes is finished by the next. No private key and no
secret's value reaches a record or a log line.
"""

import base64
import hashlib
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from keeper.certificate_ports import Held
from keeper.controllers import access
from keeper.controllers.certificate_tick import PEM, TEXT, Tick
from keeper.controllers.ledger import Ledger
from keeper.core import certificate_guards
from keeper.core import certificates as core
from keeper.core.certificates import Action, Audience, Authority, Bundle, Found, Issue, Place, Publish, Rotate, Share
from keeper.core.messages import Controller, Kind, Message
from keeper.core.wanted_certificates import Shape, wanted
from keeper.errors import GuardBroken, Permanent
from keeper.ports import World
from keeper.settings import Settings
from keeper.telemetry import Event, event

LEASE = "certificates"
ROUNDS = 5
"""An empty cluster takes three: CA and shared keys, their copies, certificates. One more sees that it is done."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick came to."""

    done: tuple[Mapping[str, object], ...] = ()
    problems: tuple[str, ...] = ()
    waits: tuple[str, ...] = ()
    sentence: str = ""


@dataclass(slots=True)
class Look:
    """One look at all vaults: the view for planning, and the values that copying needs."""

    authorities: tuple[Authority, ...] = ()
    guests: tuple[Authority, ...] = ()
    bundles: dict[Place, Bundle | None] = field(default_factory=dict[Place, Bundle | None])
    leaves: dict[Place, core.Leaf | None] = field(default_factory=dict[Place, core.Leaf | None])
    values: dict[Place, Held | None] = field(default_factory=dict[Place, Held | None], repr=False)
    gaps: set[str] = field(default_factory=set[str])


def run(world: World, message: Message) -> Outcome:
    """One tick because of `message`; raises `LostLease` at once when another tick has its turn.

    A timer's tick that met what will not mend by itself raises in the end.
    """
    parts = world.certificates
    if parts is None or Audience.SERVERS not in parts.vaults:
        return Outcome(sentence="no vaults are configured")
    with world.leases.hold(LEASE) as lease:
        tick = Tick(world, parts, lease, world.clock.now())
        for _ in range(ROUNDS):
            if not _round(tick):
                break
        access.set_up(tick)
        return _report(tick, message)


def shape_of(settings: Settings) -> Shape:
    """What the settings say runs where."""
    ours, consul = settings.certificates, settings.snapshots
    with_consul = bool(consul.consul_address)
    return Shape(
        region=settings.nomad.region,
        own_bundles=(settings.nomad.ca_secret, *([consul.consul_ca_secret] if with_consul else [])),
        clients=bool(ours.clients_vault),
        consul_server=consul.consul_name if with_consul else "",
        dedicated_consul=with_consul and bool(ours.consul_vault),
        with_vault=ours.with_vault,
        domain=ours.domain,
    )


def _round(tick: Tick) -> bool:
    """Look, plan, guard, act; whether another look is worth it."""
    looked, view = _look(tick)
    if view is None:
        return False
    terms = core.Terms(overlap=tick.rules.overlap)
    actions = core.plan(view, terms)
    for guard, what in certificate_guards.broken(actions, view, terms):
        raise GuardBroken(guard, what)
    before = len(tick.problems)
    for action in actions:
        with tick.attempting(_about(action)):
            tick.lease.confirm()
            _act(tick, looked, action)
    return bool(actions) and len(tick.problems) == before


def _look(tick: Tick) -> tuple[Look, core.View | None]:
    """Everything that is wanted, as it is. None when not even the CA key could be read."""
    needed, looked, key = wanted(shape_of(tick.world.settings)), Look(), ""
    with tick.attempting(f"CA key {tick.rules.key}"):
        key = tick.parts.authorities.newest()
    for place in needed.bundles:
        with _seeing(tick, looked, place):
            looked.bundles[place] = _bundle(tick, looked, place, key=key if place == needed.master else "")
    for place in needed.leaves:
        with _seeing(tick, looked, place):
            looked.leaves[place] = tick.parts.vaults[place.audience].leaf(place.name)
    for name, audiences in needed.shared.items():
        for place in (Place(audience, name) for audience in (Audience.KEEPER, *audiences)):
            with _seeing(tick, looked, place):
                looked.values[place] = tick.parts.vaults[place.audience].secret(place.name)
    view = core.View(
        now=tick.now,
        wanted=needed,
        key=key,
        authorities=looked.authorities,
        bundles=looked.bundles,
        leaves=looked.leaves,
        guests=frozenset(each.id for each in looked.guests),
        shared={place: held and _digest(held.value) for place, held in looked.values.items()},
        gaps=frozenset(looked.gaps),
    )
    return looked, view if key else None


@contextmanager
def _seeing(tick: Tick, looked: Look, place: Place) -> Generator[None]:
    looked.gaps.add(str(place))
    with tick.attempting(f"read {place}"):
        yield
        looked.gaps.discard(str(place))


def _bundle(tick: Tick, looked: Look, place: Place, *, key: str) -> Bundle | None:
    """A bundle by its authorities; `key` is the newest one's id for the master, and empty for its copies.

    A copy that is none counts as one of nobody's; a master that is none is a person's matter.
    """
    held = tick.parts.vaults[place.audience].secret(place.name)
    if held is None:
        return None
    try:
        found = tick.parts.authorities.read(held.value)
    except ValueError as exc:
        if key:
            raise Permanent(f"{place} is no bundle of CAs: {exc}"[:300]) from exc
        return Bundle((), held.since)
    if key:
        ids = {each.id for each in found}
        own = ids if ids <= {key} else tick.parts.authorities.made()
        looked.authorities = tuple(each for each in found if each.id in own)
        looked.guests = tuple(each for each in found if each.id not in own)
    return Bundle(tuple(each.id for each in found), held.since)


def _act(tick: Tick, looked: Look, action: Action) -> None:
    match action:
        case Rotate():
            tick.parts.authorities.rotate()
            tick.note("rotate", None, action.because)
        case Found():
            _found(tick, looked, action)
        case Publish():
            kept = [each for each in looked.authorities if each.id in action.authorities]
            _publish(tick, action.place, [*looked.guests, *kept])
            tick.note("publish", action.place, action.because, authorities=list(action.authorities))
        case Share():
            _share(tick, looked, action)
        case Issue():
            _issue(tick, looked, action)


def _found(tick: Tick, looked: Look, action: Found) -> None:
    made = tick.parts.authorities.found(tick.now, tick.rules.ca_life)
    master = wanted(shape_of(tick.world.settings)).master
    tick.lease.confirm()
    _publish(tick, master, [*looked.guests, *looked.authorities, made])
    event(Event.AUTHORITY_FOUNDED, authority=made.id, ends=made.ends, why=action.because)
    tick.note("found", master, action.because, authority=made.id)


def _publish(tick: Tick, place: Place, authorities: list[Authority]) -> None:
    tick.parts.vaults[place.audience].put(place.name, "".join(each.pem for each in authorities), PEM)
    event(Event.BUNDLE_PUBLISHED, place=str(place), authorities=[each.id for each in authorities])


def _share(tick: Tick, looked: Look, action: Share) -> None:
    held = looked.values[action.source] if action.source else None
    value = held.value if held else base64.b64encode(tick.parts.fresh()).decode()
    tick.parts.vaults[action.place.audience].put(action.place.name, value, TEXT)
    event(Event.SECRET_WRITTEN, place=str(action.place), why=action.because)
    tick.note("share", action.place, action.because)


def _issue(tick: Tick, looked: Look, action: Issue) -> None:
    """A key in the machine's vault, a signature in the keeper's: a tick that is cut in between is taken up by the next."""
    vault = tick.parts.vaults[action.place.audience]
    issuer = next(each for each in looked.authorities if each.id == action.signer)
    asked = vault.request(action.place.name, core.common_name(action.names), tick.rules.life)
    chain = tick.parts.authorities.sign(asked, action.names, issuer, tick.now, tick.rules.life)
    tick.lease.confirm()
    vault.merge(action.place.name, chain)
    names = sorted(action.names)
    event(Event.CERTIFICATE_ISSUED, place=str(action.place), names=names, issuer=issuer.id, why=action.because)
    tick.note("issue", action.place, action.because, names=names, issuer=issuer.id)


def _about(action: Action) -> str:
    match action:
        case Rotate() | Found():
            return type(action).__name__.lower()
        case _:
            return f"{type(action).__name__.lower()} {action.place}"


def _digest(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()


def _report(tick: Tick, message: Message) -> Outcome:
    took = tick.world.clock.now() - tick.now
    said = [f"{each['action']} {each['place'] or ''}".rstrip() + f" ({each['because']})" for each in tick.done]
    sentence = "; ".join([*said, *(f"waits for {what}" for what in tick.waits), *tick.problems.values()])
    event(Event.TICK_DONE, controller=Controller.CERTIFICATES, actions=len(tick.done), took=took)
    record = {
        "at": tick.now.isoformat(),
        "controller": Controller.CERTIFICATES,
        "cause": message.cause,
        "kind": message.kind,
        "reason": "failed" if tick.problems else "issued" if tick.done else "waiting" if tick.waits else "steady",
        "sentence": sentence or "nothing is due",
        "chose": tick.done,
        "waits": tick.waits,
        "problems": [{"what": what, "why": why} for what, why in tick.problems.items()],
        "seconds": took.total_seconds(),
    }
    Ledger(tick.world.records).decide(Controller.CERTIFICATES, record, tick.now)
    if tick.wrong and message.kind is Kind.TIMER:
        raise Permanent("; ".join(tick.problems.values()))
    return Outcome(tuple(tick.done), tuple(tick.problems.values()), tuple(tick.waits), str(record["sentence"]))
