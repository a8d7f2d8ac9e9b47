"""Grandfather, father, son: into which tier a new snapshot goes, and which old ones may go. Pure.

A snapshot is written into exactly one tier and stays there: the first of a month (UTC) is monthly, else the first of an ISO
week weekly, else the first of a day daily, else hourly. So every day has a daily one or better for as long as dailies are
kept, and so on, without a single copy or rewrite: containers are immutable.

The deletion plan errs on the side of keeping. It goes by the storage account's clock, never by ours; it never touches the
newest verified snapshots of a product, nor one younger than its tier's time; and without a complete, fresh listing it is empty.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

from keeper.core.rules import Setting
from keeper.core.snapshots import Part, Product, SnapshotName, Tier

CLOCKS_AGREE = timedelta(minutes=5)
"""Beyond this, either clock may be the wrong one: nothing is deleted."""

ORPHANED = timedelta(days=1)
"""Blobs without a manifest are left to the run that may still finish them for this long, and for their tier's time at least."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionRules:
    """How long snapshots are kept. The containers' immutability (Bicep `retentionDays`) must be no longer."""

    hourly: Annotated[timedelta, Setting("SNAPSHOT_KEEP_HOURLY_SECONDS", at_least=86400)] = timedelta(days=2)
    """How long an hourly snapshot is kept: any that is not the first of its day."""

    daily: Annotated[timedelta, Setting("SNAPSHOT_KEEP_DAILY_SECONDS", at_least=86400)] = timedelta(days=14)
    """How long a daily snapshot is kept: the first of its day."""

    weekly: Annotated[timedelta, Setting("SNAPSHOT_KEEP_WEEKLY_SECONDS", at_least=86400)] = timedelta(days=60)
    """How long a weekly snapshot is kept: the first of its ISO week."""

    monthly: Annotated[timedelta, Setting("SNAPSHOT_KEEP_MONTHLY_SECONDS", at_least=86400)] = timedelta(days=365)
    """How long a monthly snapshot is kept: the first of its month."""

    least: Annotated[int, Setting("SNAPSHOT_KEEP_LEAST", at_least=1)] = 3
    """This many of the newest verified snapshots of each product are never deleted, however old they are."""

    only_show: Annotated[bool, Setting("SNAPSHOT_SWEEP_ONLY_SHOW")] = False
    """Delete nothing; the decision record lists what would be deleted, as it does when a message asks for it."""

    def of(self, tier: Tier) -> timedelta:
        """How long that tier keeps."""
        return {
            Tier.HOURLY: self.hourly,
            Tier.DAILY: self.daily,
            Tier.WEEKLY: self.weekly,
            Tier.MONTHLY: self.monthly,
        }[tier]


@dataclass(frozen=True, slots=True, order=True)
class Held:
    """One snapshot, or what a cut run left of one, as a listing of blobs shows it."""

    name: SnapshotName
    tier: Tier
    parts: Mapping[Part, datetime] = field(compare=False)
    """The blobs that exist, and when storage took each in."""

    @property
    def verified(self) -> bool:
        """Whether it is a snapshot: the manifest is written last, only after all was proven, and only beside its archive."""
        return Part.MANIFEST in self.parts and Part.ARCHIVE in self.parts

    @property
    def finished(self) -> datetime:
        """When storage took its last blob in."""
        return max(self.parts.values())


@dataclass(frozen=True, slots=True)
class Listing:
    """All blobs of one cluster in one account at one instant."""

    held: Sequence[Held]
    now: datetime
    """The storage account's clock in the answer to the listing."""

    def verified(self, product: Product) -> list[Held]:
        """The snapshots of a product, oldest first."""
        return sorted(held for held in self.held if held.name.product is product and held.verified)

    def believable(self, product: Product) -> list[Held]:
        """Those whose names do not lie in the future, oldest first: a clock that once jumped ahead hides nothing taken since."""
        return [held for held in self.verified(product) if held.name.taken <= self.now + CLOCKS_AGREE]

    def newest(self, product: Product) -> Held | None:
        """The newest snapshot of a product, or None. One from the future counts only when there is no other."""
        return next(reversed(self.believable(product) or self.verified(product)), None)

    def kept(self, product: Product, least: int) -> list[Held]:
        """The newest snapshots of a product, by their names and, if some are from the future, without those."""
        return self.verified(product)[-least:] + self.believable(product)[-least:]

    def free_second(self, product: Product) -> datetime:
        """The first whole second from now on that no name of the product has: two snapshots never share a name."""
        taken = {held.name.taken for held in self.held if held.name.product is product}
        second = self.now.replace(microsecond=0)
        while second in taken:
            second += timedelta(seconds=1)
        return second

    def find(self, name: SnapshotName) -> Held | None:
        """That snapshot, or None."""
        return next((held for held in self.held if held.name == name), None)


def tier_of(taken: datetime, held: Sequence[Held], product: Product) -> Tier:
    """The tier of a snapshot taken at that time, given what is held already. A later one never changes it."""
    when = taken.astimezone(UTC)
    for tier, period in PERIODS.items():
        at_least = TIERS[: TIERS.index(tier) + 1]
        mine = [each for each in held if each.verified and each.name.product is product and each.tier in at_least]
        if all(period(each.name.taken.astimezone(UTC)) != period(when) for each in mine):
            return tier
    return Tier.HOURLY


def _month(when: datetime) -> tuple[int, int]:
    return when.year, when.month


def _week(when: datetime) -> tuple[int, int]:
    return when.isocalendar()[:2]


def _day(when: datetime) -> tuple[int, int]:
    return when.year, when.timetuple().tm_yday


TIERS = (Tier.MONTHLY, Tier.WEEKLY, Tier.DAILY, Tier.HOURLY)
PERIODS = {Tier.MONTHLY: _month, Tier.WEEKLY: _week, Tier.DAILY: _day}
"""The longest first: what is the first of its month is also the first of its day."""


class Why(StrEnum):
    """Why a snapshot goes or stays."""

    EXPIRED = "expired"
    """Older than its tier's time: goes."""
    ORPHANED = "orphaned"
    """A cut run left it without a manifest, or a cut sweep without one: goes once it is as old as its tier keeps."""
    YOUNG = "young"
    NEWEST = "newest"
    """Among the newest verified ones of its product."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of one snapshot, and from when on it may go."""

    held: Held
    why: Why
    due: datetime

    @property
    def goes(self) -> bool:
        """Whether its blobs are deleted: the manifest first, so that a cut sweep leaves no snapshot that lacks its archive."""
        return self.why in {Why.EXPIRED, Why.ORPHANED}


@dataclass(frozen=True, slots=True)
class Sweep:
    """The deletion plan: a verdict for everything held, oldest first. Shown as it is by a dry run."""

    verdicts: Sequence[Verdict] = ()
    stopped: str = ""
    """Why nothing may be deleted now, whatever the verdicts; "" when nothing speaks against it."""

    def shown(self) -> list[dict[str, str]]:
        """The plan as a person reads it: every snapshot, what becomes of it, and from when on it may go."""
        return [
            {
                "snapshot": verdict.held.name.stem,
                "tier": verdict.held.tier,
                "becomes": "kept" if self.stopped or not verdict.goes else "deleted",
                "why": verdict.why,
                "due": verdict.due.isoformat(),
            }
            for verdict in self.verdicts
        ]

    @property
    def goes(self) -> list[Held]:
        """What is to be deleted, oldest first."""
        return [] if self.stopped else [verdict.held for verdict in self.verdicts if verdict.goes]


def plan_sweep(listing: Listing | None, now: datetime, rules: RetentionRules) -> Sweep:
    """Which snapshots may go. `listing` is None when it could not be read completely; `now` is our own clock."""
    if listing is None:
        return Sweep(stopped="what is held could not be read")
    verdicts = tuple(_verdict(held, listing, rules) for held in sorted(listing.held))
    apart = abs(now - listing.now)
    if apart > CLOCKS_AGREE:
        return Sweep(verdicts, f"our clock and the storage account's are {apart.total_seconds():.0f} s apart")
    return Sweep(verdicts)


def _verdict(held: Held, listing: Listing, rules: RetentionRules) -> Verdict:
    keep = rules.of(held.tier)
    due = held.finished + (keep if held.verified else max(keep, ORPHANED))
    if held in listing.kept(held.name.product, rules.least):
        return Verdict(held, Why.NEWEST, due)
    if listing.now < due:
        return Verdict(held, Why.YOUNG, due)
    return Verdict(held, Why.EXPIRED if held.verified else Why.ORPHANED, due)


def broken(sweep: Sweep, listing: Listing, rules: RetentionRules) -> list[tuple[str, str]]:
    """The named rules that a deletion plan breaks, judged anew from the listing; none for every plan of `plan_sweep`.

    `keeps-newest`: the newest verified snapshots of each product stay. `not-before-expiry`: nothing goes before its tier's
    time is over. `only-listed`: only what the listing holds goes.
    """
    found: list[tuple[str, str]] = []
    for held in sweep.goes:
        if held in listing.kept(held.name.product, rules.least):
            found.append(("keeps-newest", f"{held.name.stem} is among the newest verified"))
        if listing.now - held.finished < rules.of(held.tier):
            found.append(("not-before-expiry", f"{held.name.stem} is younger than {rules.of(held.tier)}"))
        if held not in listing.held:
            found.append(("only-listed", f"{held.name.stem} is not listed"))
    return found
