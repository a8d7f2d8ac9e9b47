"""The certificates controller's second half: access control of Nomad and Consul, and the tokens that others wait for.

Like the first half it goes round observe → plan → act until nothing is left to do now. The servers come to life after their
certificates, so at first this waits, in good health.
"""

import hashlib
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from keeper.certificate_ports import AccessControl
from keeper.controllers.certificate_tick import TEXT, Tick
from keeper.core import access as core
from keeper.core.access import Action, Bootstrap, Choose, Grant, Hand, View, Wanted, Write
from keeper.core.certificates import Audience, Place
from keeper.core.snapshots import Product
from keeper.core.wanted_access import ConsulShape, NomadShape, wanted_of_consul, wanted_of_nomad
from keeper.core.wanted_certificates import BUNDLE
from keeper.errors import Permanent, Unreachable
from keeper.telemetry import Event, event

ROUNDS = 6
"""Secret, bootstrap, policies, tokens, their copies; one more sees that it is done."""


@dataclass(slots=True)
class Turn:
    """One product's access on its way."""

    tick: Tick
    control: AccessControl
    nomad_version: str = ""
    version: str = ""


def set_up(tick: Tick) -> None:
    """Do what is due for each product whose servers answer; one product's trouble keeps no other from its turn."""
    nomad_version = ""
    for control in tick.parts.access:
        turn = Turn(tick, control, nomad_version)
        with tick.attempting(f"access of {control.product}"), _waiting(tick, control.product):
            for _ in range(ROUNDS):
                if not _round(turn):
                    break
        if control.product is Product.NOMAD:
            nomad_version = turn.version


@contextmanager
def _waiting(tick: Tick, product: Product) -> Generator[None]:
    """Servers that do not answer, or have no leader, are waited for."""
    try:
        yield
    except Unreachable as exc:
        tick.waits.append(f"{product} to answer and to have a leader ({exc})"[:300])


def _round(turn: Turn) -> bool:
    """Look, plan, act; whether another look is worth it."""
    if not turn.control.leads():
        turn.tick.waits.append(f"{turn.control.product} to have a leader")
        return False
    view, secrets = _look(turn)
    actions = core.plan(view)
    for action in actions:
        turn.tick.lease.confirm()
        if not _act(turn, action, secrets):
            return False
    return bool(actions)


def _look(turn: Turn) -> tuple[View, dict[str, str]]:
    """How far it is, and the secrets of the tokens of ours, which leave this function for their vaults only."""
    management = Place(Audience.KEEPER, _management(turn))
    chosen = turn.tick.parts.vaults[management.audience].secret(management.name)
    manages = chosen is not None and turn.control.manages()
    if not manages:
        return View(wanted=_wanted(turn), chosen=chosen is not None), {}
    turn.version = turn.control.version()
    wanted = _wanted(turn)
    tokens = dict(turn.control.granted([token.name for token in wanted.tokens]))
    places = {place: _read(turn.tick, place) for place in core.waited_for(wanted)}
    view = View(
        wanted=wanted,
        chosen=True,
        manages=True,
        entries=turn.control.entries(wanted.entries),
        tokens={name: _digest(secret) for name, secret in tokens.items()},
        places={place: held and _digest(held) for place, held in places.items()},
    )
    return view, tokens


def _management(turn: Turn) -> str:
    restores = turn.tick.world.settings.restores
    return restores.token_secret if turn.control.product is Product.NOMAD else restores.consul_token_secret


def _wanted(turn: Turn) -> Wanted:
    settings = turn.tick.world.settings
    if turn.control.product is Product.NOMAD:
        return wanted_of_nomad(
            NomadShape(
                management=_management(turn),
                keeper=settings.nomad.token_secret,
                saver=settings.snapshots.nomad_token_secret,
                version=turn.version,
            )
        )
    machines = [
        each for each in (Audience.SERVERS, Audience.CLIENTS, Audience.CONSUL) if each in turn.tick.parts.vaults
    ]
    return wanted_of_consul(
        ConsulShape(
            management=_management(turn),
            saver=settings.snapshots.consul_token_secret,
            nomad_version=turn.nomad_version,
            machines=tuple(machines),
            keys_url=_keys_url(turn.tick),
            bundle=_read(turn.tick, Place(Audience.SERVERS, BUNDLE)) or "",
        )
    )


def _keys_url(tick: Tick) -> str:
    """Where Consul's servers find Nomad's public keys: on their own machine, or, on machines of their own, by name."""
    ours, nomad = tick.rules, urlsplit(tick.world.settings.nomad.address)
    host = f"nomad.{ours.domain}" if ours.consul_vault and ours.domain else "localhost"
    return f"https://{host}:{nomad.port or 4646}/.well-known/jwks.json"


def _act(turn: Turn, action: Action, secrets: dict[str, str]) -> bool:
    """Carry one action out; False when the rest has to wait."""
    tick, product = turn.tick, turn.control.product
    match action:
        case Choose():
            chosen = str(uuid.UUID(bytes=tick.parts.fresh()[:16], version=4))
            tick.parts.vaults[action.place.audience].put(action.place.name, chosen, TEXT)
            _tell(tick, action.place, "chosen")
        case Bootstrap():
            return _bootstrap(turn)
        case Write():
            turn.control.write(action.entry)
            tick.note(f"write {product} {action.entry.kind} {action.entry.name}", None, "differs")
        case Grant():
            turn.control.grant(action.token)
            tick.note(f"grant {product} token {action.token.name}", None, "missing")
        case Hand():
            tick.parts.vaults[action.place.audience].put(action.place.name, secrets[action.token], TEXT)
            _tell(tick, action.place, action.because)
    return True


def _bootstrap(turn: Turn) -> bool:
    """The first management token, with the secret that is in the vault already."""
    tick, product, name = turn.tick, turn.control.product, _management(turn)
    secret = _read(tick, Place(Audience.KEEPER, name))
    if secret is not None and turn.control.bootstrap(secret):
        event(Event.ACCESS_BOOTSTRAPPED, product=product, secret=name)
        tick.note(f"bootstrap {product}", None, "missing")
        return True
    if turn.control.manages():  # a server that had not heard of the token yet
        return True
    raise Permanent(
        f"{product}'s access control has been set up by somebody else: put the secret of a management token into {name}"
    )


def _tell(tick: Tick, place: Place, because: str) -> None:
    event(Event.SECRET_WRITTEN, place=str(place), why=because)
    tick.note("hand", place, because)


def _read(tick: Tick, place: Place) -> str | None:
    held = tick.parts.vaults[place.audience].secret(place.name)
    return held and held.value


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
