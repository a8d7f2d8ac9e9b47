"""Retention: what is kept is kept, whatever is held, whenever it is looked at, and however often a sweep is cut."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from keeper.core.retention import Held, Listing, RetentionRules, Why, broken, plan_sweep, tier_of
from keeper.core.snapshots import Part, Product, SnapshotName, Tier

START = datetime(2026, 1, 5, 8, 0, tzinfo=UTC)
RULES = RetentionRules()
WHOLE = frozenset({Part.ARCHIVE, Part.MANIFEST})

parts = st.sampled_from(
    [WHOLE, WHOLE, WHOLE, WHOLE | {Part.KEYSTORE}, frozenset({Part.ARCHIVE}), frozenset({Part.MANIFEST})]
)
ages = st.timedeltas(timedelta(days=-400), timedelta(days=500))
"""Below zero: named by a clock that once was ahead."""


def held(age, tier=Tier.HOURLY, which=WHOLE, product=Product.NOMAD, *, number=0, now=START):
    taken = (now - age).replace(microsecond=0)
    return Held(SnapshotName("lab", product, taken, number), tier, dict.fromkeys(which, taken + timedelta(minutes=1)))


@st.composite
def listings(draw):
    chosen = draw(st.lists(st.tuples(ages, st.sampled_from(Tier), parts, st.sampled_from(Product)), max_size=30))
    return Listing(tuple(held(*each, number=n) for n, each in enumerate(chosen)), START)


rules = st.builds(
    RetentionRules,
    **{tier.value: st.timedeltas(timedelta(days=1), timedelta(days=400)) for tier in Tier},
    least=st.integers(1, 5),
)


@given(listings(), rules)
def test_the_newest_verified_are_never_deleted(listing, kept):
    goes = plan_sweep(listing, START, kept).goes

    for product in Product:
        verified = sorted(each for each in listing.held if each.verified and each.name.product is product)
        real = [each for each in verified if each.name.taken <= START]
        assert not set(verified[-kept.least :]) & set(goes)
        assert not set(real[-kept.least :]) & set(goes)


@given(listings(), rules)
def test_nothing_is_deleted_before_its_tiers_time_is_over(listing, kept):
    for each in plan_sweep(listing, START, kept).goes:
        assert START - max(each.parts.values()) >= kept.of(each.tier)


@given(listings(), rules)
def test_what_is_expired_and_not_among_the_newest_goes(listing, kept):
    verdicts = plan_sweep(listing, START, kept).verdicts

    assert len(verdicts) == len(listing.held)
    for verdict in verdicts:
        expired = START - verdict.held.finished >= max(kept.of(verdict.held.tier), timedelta(days=1))
        assert verdict.goes == (expired and verdict.why is not Why.NEWEST)


@given(listings(), rules)
def test_a_plan_breaks_no_guard(listing, kept):
    assert broken(plan_sweep(listing, START, kept), listing, kept) == []


@given(listings(), rules, st.data())
def test_a_sweep_cut_anywhere_is_finished_by_the_next(listing, kept, data):
    goes = plan_sweep(listing, START, kept).goes
    cut = data.draw(st.integers(0, len(goes)))
    half = data.draw(st.booleans())
    left = [each for each in listing.held if each not in goes[:cut]]
    if half and cut < len(goes):  # the manifest is gone, the archive not yet
        rest = {part: when for part, when in goes[cut].parts.items() if part is not Part.MANIFEST}
        left = [replace(each, parts=rest) if each == goes[cut] else each for each in left if each != goes[cut] or rest]

    second = plan_sweep(Listing(tuple(left), START), START, kept).goes

    assert {each.name for each in second} == {each.name for each in left if each.name in {e.name for e in goes}}


@given(listings(), rules, st.timedeltas(timedelta(minutes=6), timedelta(days=3650)), st.booleans())
def test_a_clock_that_jumped_deletes_nothing(listing, kept, jump, forwards):
    sweep = plan_sweep(listing, START + (jump if forwards else -jump), kept)

    assert sweep.goes == []
    assert "clock" in sweep.stopped


def test_what_could_not_be_read_deletes_nothing():
    assert plan_sweep(None, START, RULES).goes == []


@given(listings(), rules)
def test_the_order_of_a_listing_does_not_matter(listing, kept):
    backwards = Listing(tuple(reversed(listing.held)), listing.now)

    assert {v.held.name: v.why for v in plan_sweep(listing, START, kept).verdicts} == {
        v.held.name: v.why for v in plan_sweep(backwards, START, kept).verdicts
    }


def lived(moments):
    """The snapshots of a life in which one was taken at each of these times."""
    taken = []
    for number, when in enumerate(sorted(moments)):
        tier = tier_of(when, taken, Product.NOMAD)
        taken.append(held(timedelta(), tier, number=number, now=when))
    return taken


@given(st.lists(st.integers(0, 400 * 24 * 4), min_size=1, max_size=60, unique=True))
def test_every_day_week_and_month_keeps_its_first_in_a_tier_that_lasts(quarters):
    taken = lived(START + timedelta(minutes=15 * each) for each in quarters)

    lasting = {
        Tier.DAILY: lambda when: when.date(),
        Tier.WEEKLY: lambda when: when.isocalendar()[:2],
        Tier.MONTHLY: lambda when: (when.year, when.month),
    }
    order = [Tier.HOURLY, Tier.DAILY, Tier.WEEKLY, Tier.MONTHLY]
    for tier, period in lasting.items():
        seen = {}
        for each in taken:
            seen.setdefault(period(each.name.taken), []).append(each)
        for several in seen.values():
            assert order.index(several[0].tier) >= order.index(tier)
            assert all(
                order.index(each.tier) < order.index(tier) for each in several[1:] if each.tier is not Tier.MONTHLY
            )


def test_a_year_of_hourly_snapshots_keeps_what_was_promised():
    now, kept = START, []
    for hour in range(400 * 24):
        now = START + timedelta(hours=hour)
        kept.append(held(timedelta(), tier_of(now, kept[-800:], Product.NOMAD), number=hour, now=now))
        if hour % 24 == 0:
            goes = set(plan_sweep(Listing(tuple(kept), now), now, RULES).goes)
            kept = [each for each in kept if each not in goes]

    ages = [now - each.name.taken for each in kept]
    assert sum(age <= timedelta(days=1) for age in ages) >= 24
    assert len({each.name.taken.date() for each in kept if now - each.name.taken <= timedelta(days=7)}) >= 7
    assert len({each.name.taken.isocalendar()[:2] for each in kept if now - each.name.taken <= timedelta(weeks=5)}) >= 5
    assert len({(each.name.taken.year, each.name.taken.month) for each in kept}) >= 12
    assert len(kept) < 110


def test_an_expired_snapshot_stays_while_it_is_all_there_is():
    old = held(timedelta(days=900))

    (verdict,) = plan_sweep(Listing((old,), START), START, RULES).verdicts

    assert verdict.why is Why.NEWEST
