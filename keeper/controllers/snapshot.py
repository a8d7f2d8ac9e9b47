"""Snapshots: takes those that are due, finishes what was cut, copies, reads back, deletes what expired, and tells their age.

One tick is one circle: observe → plan → guard → act → report, under the lease `snapshot`. Unlike other ticks this one streams, so
it may take minutes; the lease is confirmed as bytes go out. One product's failure does not keep the others from their snapshot.
"""

from collections.abc import Collection, Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from keeper.controllers.copying import copy, read_back
from keeper.controllers.ledger import Ledger
from keeper.controllers.sweeping import sweep
from keeper.controllers.taking import Asked, finish, load_manifest, storing, take
from keeper.core import retention, snapshot_plan, snapshot_status
from keeper.core.messages import Controller, Kind, Message
from keeper.core.retention import Listing
from keeper.core.snapshot_status import ProductStatus, Status
from keeper.core.snapshots import BadSnapshot, Manifest, Product, Reason
from keeper.errors import Permanent
from keeper.ports import Lease, Records, World
from keeper.snapshot_ports import Deletion, Snapshots, SnapshotStore
from keeper.telemetry import Event, event

LEASE = "snapshot"
RETRY = timedelta(minutes=5)
"""How soon to look again after a failure: a leader that was lost is back by then."""


@dataclass(slots=True)
class Tick:
    """One tick on its way: what it sees, and what has become of it so far."""

    world: World
    backups: Snapshots
    lease: Lease
    now: datetime
    accept: Collection[Reason]
    only_show: bool
    """Whether deletions are only shown."""
    shown: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    """The deletion plan of the first account, when it was asked for."""
    proven: set[str] = field(default_factory=set[str])
    """Stems of the snapshots that were read to their end."""
    taken: list[Manifest] = field(default_factory=list[Manifest])
    said: list[str] = field(default_factory=list[str])
    problems: list[tuple[Product | None, BadSnapshot]] = field(default_factory=list[tuple[Product | None, BadSnapshot]])
    granted: bool = False
    """Whether all that was asked for has been taken."""

    @contextmanager
    def attempting(self, product: Product | None = None) -> Generator[None]:
        """Do something that may fail without stopping the rest; a failure is said and recorded."""
        try:
            yield
        except BadSnapshot as exc:
            event(Event.SNAPSHOT_FAILED, product=product, reason=exc.reason, why=exc.what, runbook=exc.reason.runbook)
            self.problems.append((product, exc))
            self.said.append(f"{product or 'snapshots'} failed: {exc}")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a tick came to."""

    taken: tuple[Manifest, ...] = ()
    problems: tuple[str, ...] = ()
    sentence: str = ""


def run(world: World, message: Message) -> Outcome:
    """One tick because of `message`; raises `LostLease` at once when another tick has its turn.

    An operation, or `detail.take`, takes a snapshot though none is due, unless one has been taken since the message was
    written; `detail.sweep` "show" puts the deletion plan into the decision record instead of carrying it out; `detail.accept` lists reason codes that a person accepts for it. A timer's tick that failed raises in the end.
    """
    backups = world.snapshots
    if backups is None or not world.settings.snapshots.cluster:
        return Outcome(sentence="no snapshots are configured")
    with world.leases.hold(LEASE) as lease:
        only_show = world.settings.retention.only_show or message.detail.get("sweep") == "show"
        tick = Tick(world, backups, lease, world.clock.now(), _accepted(message), only_show)
        before = load_status(world.records)
        status = before
        with tick.attempting():
            status = _act(tick, message, before)
        status = _follow_up(tick, message, _with_problems(tick, status))
        _save_status(world.records, status)
        return _report(tick, status, message)


def load_status(records: Records) -> Status:
    """The controller's own record; empty when there is none or it is damaged, which costs one read-back."""
    stored = records.load(snapshot_status.RECORD)
    try:
        return Status() if stored is None else snapshot_status.from_json(stored.body)
    except ValueError as exc:
        event(Event.READ_FAILED, what=snapshot_status.RECORD, why=str(exc))
        return Status()


def _act(tick: Tick, message: Message, status: Status) -> Status:
    cluster, settings = tick.world.settings.snapshots.cluster, tick.world.settings.snapshots
    listing, copies = _look(tick, cluster)
    products = tuple(source.product for source in tick.backups.sources)
    if _finish(tick, listing):
        listing = _again(tick.backups.store, cluster)
    forced = _forced(message, listing, products, tick.now)
    _take(tick, snapshot_plan.due(listing, products, forced, settings.interval), listing)
    tick.granted = forced <= {manifest.name.product for manifest in tick.taken}
    if tick.taken:
        listing = _again(tick.backups.store, cluster)
    _copy(tick, listing, copies)
    for product in products:
        status = _read_back(tick, product, listing, status)
    if not tick.problems:
        _sweep(tick, tick.backups.store, listing)
        if tick.backups.copies is not None:
            _sweep(tick, tick.backups.copies, _again(tick.backups.copies, cluster))
    return status


def _look(tick: Tick, cluster: str) -> tuple[Listing, Listing | None]:
    """Both accounts. The second one's silence keeps nobody from taking a snapshot."""
    listing = _again(tick.backups.store, cluster)
    copies: Listing | None = None
    with tick.attempting():
        copies = None if tick.backups.copies is None else _again(tick.backups.copies, cluster)
    apart = abs(tick.now - listing.now)
    if apart > retention.CLOCKS_AGREE:
        seconds = f"{apart.total_seconds():.0f}"
        with tick.attempting():
            raise BadSnapshot(Reason.CLOCK_JUMPED, f"our clock is {seconds} s off the storage account's, which is used")
    return listing, copies


def _again(store: SnapshotStore, cluster: str) -> Listing:
    with storing():
        return store.listing(cluster)


def _finish(tick: Tick, listing: Listing) -> bool:
    """Finish what cut runs left; whether there was any."""
    left = snapshot_plan.cut(listing)
    for held in left:
        with tick.attempting(held.name.product):
            finish(tick.backups.store, held, tick.lease)
            event(Event.SNAPSHOT_FINISHED, snapshot=held.name.stem)
            tick.said.append(f"finished {held.name.stem}, which a cut run left")
    return bool(left)


def _take(tick: Tick, due: Collection[Product], listing: Listing) -> None:
    asked = Asked(tick.world.settings.snapshots, tick.accept)
    for source in tick.backups.sources:
        if source.product in due:
            with tick.attempting(source.product):
                _note(tick, take(tick.backups, source, listing, tick.lease, asked))


def _note(tick: Tick, manifest: Manifest) -> None:
    tick.taken.append(manifest)
    name = manifest.name
    event(
        Event.SNAPSHOT_COMMITTED,
        product=name.product,
        snapshot=name.stem,
        tier=manifest.tier,
        index=name.index,
        archive_bytes=manifest.archive_bytes,
        state_bytes=manifest.state_bytes,
        took=tick.world.clock.now() - tick.now,
    )
    tick.said.append(f"took {name.stem} ({manifest.tier}, {-(-manifest.archive_bytes // 1024)} KiB, sha256 ok)")


def _copy(tick: Tick, listing: Listing, copies: Listing | None) -> None:
    if copies is None or tick.backups.copies is None:
        return
    for held in snapshot_plan.to_copy(listing, copies):
        with tick.attempting(held.name.product):
            copy(tick.backups.store, tick.backups.copies, held, copies, tick.lease)
            event(Event.SNAPSHOT_COPIED, snapshot=held.name.stem)
            tick.proven.add(held.name.stem)
            tick.said.append(f"copied {held.name.stem} and read the copy back")


def _read_back(tick: Tick, product: Product, listing: Listing, status: Status) -> Status:
    """Read the newest snapshot back once, and note what is the newest."""
    newest, known = listing.newest(product), status.of(product)
    if newest is None:
        return status
    stem = newest.name.stem
    if stem not in tick.proven | {known.read_back}:
        with tick.attempting(product):
            with storing():
                manifest = load_manifest(tick.backups.store, newest)
            read_back(tick.backups.store, manifest, tick.lease)
            event(Event.SNAPSHOT_READ_BACK, snapshot=stem)
            tick.proven.add(stem)
    if stem in tick.proven:
        known = replace(known, read_back=stem)
    return status.having(product, replace(known, newest=stem, taken=newest.name.taken))


def _sweep(tick: Tick, store: SnapshotStore, listing: Listing) -> None:
    rules = tick.world.settings.retention
    planned = retention.plan_sweep(listing, tick.world.clock.now(), rules)
    if tick.only_show:
        tick.shown = tick.shown or planned.shown()
        tick.said.append(f"would delete {len(planned.goes)} expired")
        return
    if planned.stopped:
        event(Event.SNAPSHOT_SWEEP_STOPPED, why=planned.stopped)
        return
    with tick.attempting():
        done = sweep(store, planned, listing, rules, tick.lease)
        if done:
            event(Event.SNAPSHOT_SWEPT, **{outcome: done[outcome] for outcome in Deletion})
            tick.said.append(f"deleted {done[Deletion.DELETED]} expired, {done[Deletion.IMMUTABLE]} kept by policy")


def _forced(message: Message, listing: Listing, products: Collection[Product], now: datetime) -> set[Product]:
    """The products of which a snapshot is wanted now, though none is due: none has been taken since it was asked for."""
    if message.kind is not Kind.OPERATION and message.detail.get("take") is not True:
        return set()
    return snapshot_plan.wanted_since(listing, products, message.at, now)


def _accepted(message: Message) -> frozenset[Reason]:
    named = message.detail.get("accept")
    return frozenset(Reason(each) for each in named if each in set(Reason)) if isinstance(named, list) else frozenset()  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- decoded JSON


def _with_problems(tick: Tick, status: Status) -> Status:
    """Each product's last problem, kept until the product has none."""
    for source in tick.backups.sources:
        known = status.of(source.product)
        found = [str(exc) for product, exc in tick.problems if product in {source.product, None}]
        changed = replace(known, problem=found[0], since=known.since or tick.now) if found else None
        status = status.having(source.product, changed or replace(known, problem="", since=None))
    return status


def _follow_up(tick: Tick, message: Message, status: Status) -> Status:
    """After a failure, ask for another look soon; one such request is under way at a time, and one for each wish not granted yet."""
    if not tick.problems:
        return replace(status, follow_up=None)
    wish = {"take": True} if message.detail.get("take") is True and not tick.granted else {}
    if not wish and status.follow_up is not None and tick.now < status.follow_up <= tick.now + RETRY:
        return status
    again = Message(Kind.NUDGE, Controller.SNAPSHOT, "follow-up", message.at, "keeper", wish)
    tick.world.corridor.send(again.to_json(), delay=RETRY)
    return replace(status, follow_up=tick.now + RETRY)


def _save_status(records: Records, status: Status) -> None:
    stored = records.load(snapshot_status.RECORD)
    version = None if stored is None else stored.version
    records.save(snapshot_status.RECORD, snapshot_status.to_json(status).encode(), version=version)


def _report(tick: Tick, status: Status, message: Message) -> Outcome:
    """Tell ages, leave the decision record; a timer's tick fails when something did, so that Azure sees it."""
    interval = tick.world.settings.snapshots.interval
    for source in tick.backups.sources:
        _tell_age(source.product, status.of(source.product), tick.world.clock.now(), interval)
    sentence = "; ".join(tick.said) or "nothing is due"
    problems = tuple(str(exc) for _, exc in tick.problems)
    took = tick.world.clock.now() - tick.now
    event(Event.TICK_DONE, controller=Controller.SNAPSHOT, actions=len(tick.taken), took=took)
    Ledger(tick.world.records).decide(Controller.SNAPSHOT, _record(tick, message, sentence, took), tick.now)
    if problems and message.kind is Kind.TIMER:
        raise Permanent("; ".join(problems))
    return Outcome(tuple(tick.taken), problems, sentence)


def _record(tick: Tick, message: Message, sentence: str, took: timedelta) -> Mapping[str, object]:
    return {
        "at": tick.now.isoformat(),
        "controller": Controller.SNAPSHOT,
        "cause": message.cause,
        "kind": message.kind,
        "reason": tick.problems[0][1].reason if tick.problems else "taken" if tick.taken else "steady",
        "sentence": sentence,
        "taken": [manifest.name.stem for manifest in tick.taken],
        "problems": [{"product": product, "reason": exc.reason, "why": exc.what} for product, exc in tick.problems],
        "seconds": took.total_seconds(),
    } | ({"sweep": tick.shown} if tick.only_show else {})


def _tell_age(product: Product, known: ProductStatus, now: datetime, interval: timedelta) -> None:
    age = None if known.taken is None else now - known.taken
    event(Event.SNAPSHOT_AGE, product=product, age=age, interval=interval, snapshot=known.newest)
    if snapshot_plan.is_overdue(age, interval):
        event(Event.SNAPSHOT_OVERDUE, product=product, age=age, why=known.problem, runbook=Reason.OVERDUE.runbook)
