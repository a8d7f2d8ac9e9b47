"""Which snapshots are due, which runs were cut and can be finished, which copies are missing, and whether an archive is sane. Pure."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from keeper.core.archive import Facts
from keeper.core.retention import CLOCKS_AGREE, ORPHANED, TIERS, Held, Listing
from keeper.core.snapshots import BadSnapshot, Manifest, Part, Product, Reason

SLACK = 10
"""A timer that fires a tenth of the interval early still finds a snapshot due."""

COPIES_AT_ONCE = 2
"""Copies made up for in one tick besides the newest: a second account that was away, or was added late, fills up without haste."""

TELLING_SIZE = 1024 * 1024
"""States below this may shrink as they like."""

GROWTH = 20
TELLING_GROWTH = 256 * 1024 * 1024
"""A state that is both larger than this and that many times the last one did not come about in one interval."""


def due(
    listing: Listing, products: Sequence[Product], forced: Collection[Product], interval: timedelta
) -> list[Product]:
    """The products to take a snapshot of, by the storage account's clock; `forced` are taken though not due."""
    return [product for product in products if product in forced or is_due(listing, product, interval)]


def wanted_since(listing: Listing, products: Iterable[Product], at: datetime, now: datetime) -> set[Product]:
    """The products of which no snapshot has been begun since somebody asked `at` that time, by our clock, which says `now` and may be wrong."""
    ahead = now - listing.now
    since = at if abs(ahead) <= CLOCKS_AGREE else at - ahead
    newest = {product: listing.newest(product) for product in products}
    return {product for product, held in newest.items() if held is None or _begun(held) < since}


def _begun(held: Held) -> datetime:
    return min(held.name.taken, held.parts[Part.ARCHIVE])


def cut(listing: Listing) -> list[Held]:
    """What cut runs left that only lacks its manifest, oldest first."""
    return [held for held in sorted(listing.held) if is_cut(held, listing.now)]


def is_cut(held: Held, now: datetime) -> bool:
    """Whether a run ended between archive and manifest. Older ones are what a cut deletion left, and stay without."""
    age = now - held.finished
    return Part.ARCHIVE in held.parts and Part.MANIFEST not in held.parts and age < ORPHANED


def is_due(listing: Listing, product: Product, interval: timedelta) -> bool:
    """Whether the newest verified snapshot is so old that another is wanted. One from the future proves nothing."""
    newest = listing.newest(product)
    return newest is None or not -CLOCKS_AGREE <= listing.now - newest.name.taken < interval - interval / SLACK


def is_overdue(age: timedelta | None, interval: timedelta) -> bool:
    """Whether a person should look: no snapshot, one older than one and a half intervals, or one that a wrong clock dated."""
    return age is None or not -CLOCKS_AGREE <= age <= interval * 3 / 2


def to_copy(listing: Listing, copies: Listing) -> list[Held]:
    """The snapshots to copy now: the newest of each product, and a few of those that were missed, the longest kept and newest first."""
    copied = {held.name for held in copies.held if held.verified}
    wanted = [held for held in listing.held if held.verified and held.name not in copied]
    newest = {listing.newest(product) for product in Product}
    missed = sorted((each for each in wanted if each not in newest), key=lambda each: each.name.taken, reverse=True)
    missed.sort(key=lambda each: TIERS.index(each.tier))
    return sorted(each for each in wanted if each in newest) + missed[:COPIES_AT_ONCE]


def judge(facts: Facts, floor: int, last: Manifest | None, shrink: int, accepted: Collection[Reason] = ()) -> None:
    """Raise `BadSnapshot` for a sound archive that cannot be what it should be.

    `floor` is an index seen just before; `last` the newest verified snapshot of the same cluster and product. A person may
    accept a reason by name, for one snapshot.
    """
    for reason, what in _objections(facts, floor, last, shrink):
        if reason not in accepted:
            raise BadSnapshot(reason, what)


def _objections(facts: Facts, floor: int, last: Manifest | None, shrink: int) -> list[tuple[Reason, str]]:
    found: list[tuple[Reason, str]] = []
    if facts.index < floor:
        found.append((Reason.INDEX_BEHIND, f"its index {facts.index} is behind {floor}, which the servers told before"))
    if last is None:
        return found
    if facts.index < last.name.index or facts.term < last.term:
        found.append(
            (
                Reason.INDEX_BEHIND,
                f"index {facts.index} and term {facts.term} are behind the last snapshot's, {last.name.index} and {last.term}",
            )
        )
    if last.state_bytes >= TELLING_SIZE and facts.state_bytes * shrink < last.state_bytes:
        found.append((Reason.SIZE_ABSURD, f"its state shrank from {last.state_bytes} to {facts.state_bytes} bytes"))
    if facts.state_bytes > max(TELLING_GROWTH, GROWTH * last.state_bytes):
        found.append((Reason.SIZE_ABSURD, f"its state grew from {last.state_bytes} to {facts.state_bytes} bytes"))
    return found
