"""Rehearsal: keeps the canaries, has the newest snapshot restored into a throw-away server, and reads old ones anew.

The restoring is a batch job of the cluster itself (`nomad-jobs/restore-drill.nomad.hcl`), never this process: a tick dispatches it
and ends, a later one reads what it left. One problem keeps none of the rest from being done.
"""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keeper.controllers.copying import keystore_of
from keeper.controllers.ledger import Ledger
from keeper.controllers.taking import Paced, load_manifest, storing, unlocking
from keeper.core import canaries, rehearsals
from keeper.core.archive import ArchiveCheck, Limits
from keeper.core.canaries import Canary
from keeper.core.messages import Controller, Kind, Message
from keeper.core.rehearsals import Memory, Pending, Verdict
from keeper.core.retention import Held, Listing
from keeper.core.snapshots import BadSnapshot, Part, Product, parse_stem, rehearsal_record
from keeper.errors import Changed, LostLease, Permanent, Refused, Transient
from keeper.ports import Lease, World
from keeper.restore_ports import Restores
from keeper.snapshot_ports import Snapshots
from keeper.telemetry import Event, event

LEASE = "rehearsal"
FOLLOW_UP = "follow-up"
SOON = timedelta(seconds=30)
"""While a drill is under way, how soon to look for its verdict without waiting for the timer."""


@dataclass(slots=True)
class Tick:
    """One tick on its way."""

    world: World
    backups: Snapshots
    restores: Restores
    lease: Lease
    memory: Memory
    now: datetime
    said: list[str] = field(default_factory=list[str])
    problems: list[str] = field(default_factory=list[str])

    @property
    def cluster(self) -> str:
        """Whose snapshots these are."""
        return self.world.settings.snapshots.cluster

    @contextmanager
    def attempting(self, failed: Event, /, **facts: object) -> Generator[None]:
        """Do something that may fail without stopping the rest; a failure is said."""
        try:
            yield
        except (LostLease, Changed):
            raise
        except (BadSnapshot, Transient, Permanent, Refused) as exc:
            event(failed, why=str(exc), **facts)
            self.problems.append(str(exc))


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick came to."""

    sentence: str = ""
    problems: tuple[str, ...] = ()


def run(world: World, message: Message) -> Outcome:
    """One tick because of `message`; raises `LostLease` at once when another tick has its turn. A failed timer tick raises in the end."""
    backups, restores = world.snapshots, world.restores
    if backups is None or restores is None or not world.settings.snapshots.cluster:
        return Outcome("no snapshots are configured")
    with world.leases.hold(LEASE) as lease:
        memory, version = _remember(world)
        tick = Tick(world, backups, restores, lease, memory, world.clock.now())
        _keep_canaries(tick)
        with tick.attempting(Event.READ_FAILED, what="snapshots"):
            with storing():
                listing = backups.store.listing(tick.cluster)
            for product in dict.fromkeys(source.product for source in backups.sources):
                _collect(tick, product, listing)
                _dispatch(tick, product, listing, message)
            _reread(tick, listing)
        world.records.save(rehearsals.RECORD, rehearsals.to_json(tick.memory).encode(), version=version)
        _follow_up(tick, memory, message)
        return _report(tick, message)


def _remember(world: World) -> tuple[Memory, str | None]:
    stored = world.records.load(rehearsals.RECORD)
    if stored is None:
        return Memory(), None
    try:
        return rehearsals.from_json(stored.body), stored.version
    except ValueError as exc:
        event(Event.READ_FAILED, what=rehearsals.RECORD, why=str(exc))
        return Memory(), stored.version


def _keep_canaries(tick: Tick) -> None:
    """Make or refresh each product's canaries; a right that is missing is named."""
    written = False
    for kept in tick.restores.canaries:
        with tick.attempting(Event.CANARY_REFUSED):
            if canaries.is_due(kept.read(), tick.cluster, tick.now):
                kept.write(Canary(tick.cluster, tick.now.replace(microsecond=0)))
                event(Event.CANARY_WRITTEN)
                written = True
    if written:
        tick.said.append("refreshed the canaries")


def _collect(tick: Tick, product: Product, listing: Listing) -> None:
    """Read the verdict of the drill that is under way, into the snapshot's record."""
    pending = tick.memory.pending.get(product)
    if pending is None:
        return
    with tick.attempting(Event.REHEARSAL_FAILED, snapshot=pending.snapshot, runbook=rehearsals.RUNBOOK):
        verdict = _verdict(tick, pending, listing)
        if verdict is None:
            return
        _write_verdict(tick, verdict)
        left = {each: known for each, known in tick.memory.pending.items() if each is not product}
        tick.memory = replace(tick.memory, pending=left)


def _verdict(tick: Tick, pending: Pending, listing: Listing) -> Verdict | None:
    """The verdict, None while it may still come; a drill that ended without one has failed."""
    name = parse_stem(pending.snapshot)
    over = tick.restores.drills.is_over(pending.job)  # asked first: a drill that ends now has left its verdict before
    body = tick.restores.drills.verdict(rehearsals.blob_of(name, pending.since))
    held = listing.find(name)
    if body is not None and held is not None and held.verified:
        with storing():
            manifest = load_manifest(tick.backups.store, held)
        return rehearsals.judge(manifest, body, tick.now)
    late = tick.now - pending.since > tick.world.settings.restores.patience
    if not late and not over:
        return None
    return Verdict(pending.snapshot, passed=False, problems=[f"{pending.job} left no verdict"], at=tick.now)


def _write_verdict(tick: Tick, verdict: Verdict) -> None:
    record = rehearsal_record(parse_stem(verdict.snapshot))
    stored = tick.world.records.load(record)
    tick.lease.confirm()
    body = rehearsals.verdict_to_json(verdict).encode()
    tick.world.records.save(record, body, version=None if stored is None else stored.version)
    if verdict.passed:
        event(Event.REHEARSAL_PASSED, snapshot=verdict.snapshot, seconds=dict(verdict.seconds))
        tick.said.append(f"{verdict.snapshot} was restored and is whole")
    else:
        why = "; ".join(verdict.problems)
        event(Event.REHEARSAL_FAILED, snapshot=verdict.snapshot, why=why, runbook=rehearsals.RUNBOOK)
        tick.problems.append(f"rehearsal of {verdict.snapshot} failed: {why}")


def _dispatch(tick: Tick, product: Product, listing: Listing, message: Message) -> None:
    """Start the drill of the newest snapshot, when it is due or asked for."""
    settings = tick.world.settings.restores
    asked = message.detail.get("rehearse") is True
    held = rehearsals.due(tick.memory, product, listing, timedelta() if asked else settings.interval)
    if held is None or not settings.drill:
        return
    with tick.attempting(Event.REHEARSAL_FAILED, snapshot=held.name.stem, runbook=rehearsals.RUNBOOK):
        since = tick.now.replace(microsecond=0)
        meta = {
            "snapshot": held.name.stem,
            "tier": str(held.tier),
            "verdict": rehearsals.blob_of(held.name, since),
        }
        tick.lease.confirm()
        job = tick.restores.drills.dispatch(meta, meta["verdict"])
        pending = {**tick.memory.pending, product: Pending(held.name.stem, job, since)}
        tick.memory = replace(tick.memory, pending=pending, rehearsed={**tick.memory.rehearsed, product: listing.now})
        event(Event.REHEARSAL_STARTED, snapshot=held.name.stem, job=job)
        tick.said.append(f"rehearses {held.name.stem}")


def _reread(tick: Tick, listing: Listing) -> None:
    """Read an old snapshot to its end, opened and checked: what lies there for a year must still open."""
    held = rehearsals.old_one(tick.memory, listing, tick.world.settings.restores.interval)
    if held is None:
        return
    tick.memory = replace(tick.memory, reread=listing.now)
    with tick.attempting(Event.REHEARSAL_FAILED, snapshot=held.name.stem, runbook=rehearsals.RUNBOOK):
        _read_whole(tick, held)
        event(Event.REHEARSAL_REREAD, snapshot=held.name.stem)
        tick.said.append(f"read {held.name.stem} anew")


def _read_whole(tick: Tick, held: Held) -> None:
    with storing():
        manifest = load_manifest(tick.backups.store, held)
    with unlocking():
        key = tick.backups.keys.unwrap(manifest.key)
    blob, pace = held.name.blob(Part.ARCHIVE), Paced(tick.lease)
    check = ArchiveCheck(Limits(tick.world.settings.snapshots.largest_state))
    with storing():
        for piece in key.open(blob, tick.backups.store.read(held.tier, blob)):
            pace.sending(len(piece))
            check.push(piece)
    check.end(bytes.fromhex(manifest.archive_sha256))
    if manifest.keystore_sha256 is not None:
        keystore_of(key, tick.backups.store, manifest)


def _follow_up(tick: Tick, before: Memory, message: Message) -> None:
    """Look again soon while a drill is under way, so that its verdict is read when it is there; one chain of looks goes on."""
    started = tick.memory.pending != before.pending
    if tick.memory.pending and (started or message.cause == FOLLOW_UP):
        again = Message(Kind.NUDGE, Controller.REHEARSAL, FOLLOW_UP, tick.now + SOON, "keeper")
        tick.world.corridor.send(again.to_json(), delay=SOON)


def _report(tick: Tick, message: Message) -> Outcome:
    sentence = "; ".join([*tick.said, *tick.problems]) or "nothing is due"
    record = {
        "at": tick.now.isoformat(),
        "controller": Controller.REHEARSAL,
        "cause": message.cause,
        "kind": message.kind,
        "sentence": sentence,
        "problems": tick.problems,
    }
    Ledger(tick.world.records).decide(Controller.REHEARSAL, record, tick.now)
    event(Event.TICK_DONE, controller=Controller.REHEARSAL, actions=len(tick.said))
    if tick.problems and message.kind is Kind.TIMER:
        raise Permanent(sentence)
    return Outcome(sentence, tuple(tick.problems))
