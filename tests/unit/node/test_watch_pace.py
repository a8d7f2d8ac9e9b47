"""When the watcher speaks: at once, then seldom, and always about the last thing."""

from datetime import UTC, datetime, timedelta

from keepernode.watch.events import Cause, Sighting
from keepernode.watch.pace import Backoff, Pace

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


def saw(pace, ticks, cause=Cause.EVALUATION_BLOCKED, **ids):
    pace.saw(Sighting(cause, ids), NOON + timedelta(seconds=ticks), ticks)


def test_the_first_sighting_is_told_at_once():
    pace = Pace(2.0)
    saw(pace, 100.0)

    assert pace.due_in(100.0) == 0.0


def test_a_storm_is_told_once_per_interval_and_its_last_cause_is_never_lost():
    pace, told = Pace(2.0), []
    for step in range(1000):  # ten seconds, a sighting every 10 ms
        ticks = step / 100
        saw(pace, ticks, number=str(step))
        if pace.due_in(ticks) == 0.0:
            told.append(pace.waiting())
            pace.told(pace.waiting(), ticks)
    while pace.due_in(ticks) is not None:
        ticks += pace.due_in(ticks)
        told.append(pace.waiting())
        pace.told(pace.waiting(), ticks)

    assert [nudge.sighting.ids["number"] for nudge in told] == ["0", "200", "400", "600", "800", "999"]
    assert sum(nudge.sightings for nudge in told) == 1000


def test_a_nudge_names_every_cause_it_stands_for():
    pace = Pace(1.0)
    saw(pace, 0.0, Cause.NODE_READY)
    saw(pace, 0.1, Cause.EVALUATION_BLOCKED)

    nudge = pace.waiting()

    assert nudge.sighting.cause is Cause.EVALUATION_BLOCKED
    assert nudge.causes == (Cause.EVALUATION_BLOCKED, Cause.NODE_READY)
    assert nudge.at == NOON + timedelta(seconds=0.1)


def test_what_is_seen_while_a_message_is_on_its_way_waits_for_the_next_one():
    pace = Pace(1.0)
    saw(pace, 0.0, number="first")
    sending = pace.waiting()
    saw(pace, 0.05, number="second")

    pace.told(sending, 0.1)

    assert pace.waiting().sighting.ids == {"number": "second"}
    assert pace.due_in(0.1) == 1.0


def test_a_follower_forgets_what_is_too_old_to_matter():
    pace = Pace(1.0)
    saw(pace, 0.0)

    assert not pace.drop_older_than(15.0, 14.9)
    assert pace.drop_older_than(15.0, 15.0)
    assert pace.due_in(15.0) is None


def test_pauses_double_up_to_their_limit_and_start_over_after_success():
    backoff = Backoff(3.0)

    assert [backoff.next_pause() for _ in range(5)] == [0.5, 1.0, 2.0, 3.0, 3.0]
    backoff.worked()
    assert backoff.next_pause() == 0.5
