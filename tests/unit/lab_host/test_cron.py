"""When a timer fires next, held to croniter on random expressions."""

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from croniter import croniter

from lab.host.cron import CronSchedule, IntervalSchedule, parse_schedule
from lab.host.model import HostError

EXPRESSIONS = 3_000
LIMITS = ((0, 59), (0, 59), (0, 23), (1, 28), (1, 12), (0, 6))
MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]


def a_range(rng: random.Random, low: int, high: int) -> str:
    first = rng.randint(low, high - 1)
    # croniter reads a range of one value wrongly, so every range here has two ends.
    return f"{first}-{rng.randint(first + 1, high)}"


def a_field(rng: random.Random, low: int, high: int) -> str:
    step = rng.randint(2, max(2, (high - low) // 2))
    kinds = [
        lambda: "*",
        lambda: "*",
        lambda: str(rng.randint(low, high)),
        lambda: f"*/{step}",
        lambda: a_range(rng, low, high),
        lambda: f"{a_range(rng, low, high)}/{step}",
        lambda: ",".join(str(rng.randint(low, high)) for _ in range(3)),
        lambda: f"{rng.randint(low, high)},{a_range(rng, low, high)}",
    ]
    return rng.choice(kinds)()


def an_expression(rng: random.Random) -> str:
    fields = [a_field(rng, low, high) for low, high in LIMITS]
    if rng.random() < 0.2:
        fields[4] = rng.choice(MONTHS)
    if rng.random() < 0.2:
        fields[5] = rng.choice(("MON-FRI", "SUN", "TUE,THU"))
    return " ".join(fields)


def test_the_next_three_occurrences_are_those_of_croniter_for_three_thousand_random_expressions():
    rng = random.Random(20260105)  # noqa: S311 - the same expressions in every run  # noqa: S311 - the same expressions in every run
    for _ in range(EXPRESSIONS):
        expression = an_expression(rng)
        moment = datetime(2024, 1, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(4 * 365 * 86_400))
        other = croniter(expression, moment, second_at_beginning=True, day_or=False)
        ours = parse_schedule(expression)
        for _ in range(3):
            moment = ours.next_after(moment)
            assert moment == other.get_next(datetime), expression


@pytest.mark.parametrize(
    ("expression", "moment", "following"),
    [
        ("0 */5 * * * *", "2026-01-05T08:00:00", "2026-01-05T08:05:00"),
        ("*/5 * * * *", "2026-01-05T08:00:00", "2026-01-05T08:05:00"),
        ("0 0 8-8 * * *", "2026-01-05T08:00:00", "2026-01-06T08:00:00"),
        ("30 15/20 * * * *", "2026-01-05T08:15:30", "2026-01-05T08:35:30"),
        ("0 30 9 * * MON-FRI", "2026-01-09T09:30:00", "2026-01-12T09:30:00"),
        ("0 0 0 29 2 *", "2026-01-05T08:00:00", "2028-02-29T00:00:00"),
        ("0 0 0 29 feb mon", "2026-01-05T08:00:00", "2044-02-29T00:00:00"),
        ("0 0 3 1 1 *", "2026-01-01T03:00:00", "2027-01-01T03:00:00"),
        ("* * * * * *", "2026-12-31T23:59:59.900000", "2027-01-01T00:00:00"),
    ],
)
def test_known_schedules_fire_at_known_times(expression: str, moment: str, following: str):
    start = datetime.fromisoformat(moment).replace(tzinfo=UTC)

    assert parse_schedule(expression).next_after(start) == datetime.fromisoformat(following).replace(tzinfo=UTC)


def test_day_of_month_and_day_of_week_must_both_match_as_in_azure():
    fridays_the_13th = parse_schedule("0 0 12 13 * FRI")
    moment = datetime(2026, 1, 1, tzinfo=UTC)

    found = [moment := fridays_the_13th.next_after(moment) for _ in range(3)]

    assert [day.date().isoformat() for day in found] == ["2026-02-13", "2026-03-13", "2026-11-13"]


def test_occurrences_always_move_forward():
    schedule = parse_schedule("17 */7 * * * *")
    moment = datetime(2026, 1, 5, 23, 59, 59, tzinfo=UTC)
    found = [moment := schedule.next_after(moment) for _ in range(50)]

    assert all(earlier < later for earlier, later in pairwise(found))


def test_a_time_span_is_an_interval_after_the_last_run():
    schedule = parse_schedule("00:00:30")

    assert schedule == IntervalSchedule(timedelta(seconds=30))
    assert schedule.next_after(datetime(2026, 1, 5, tzinfo=UTC)) == datetime(2026, 1, 5, 0, 0, 30, tzinfo=UTC)


def test_six_fields_are_a_cron_schedule():
    assert isinstance(parse_schedule("0 0 * * * *"), CronSchedule)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ("* * *", "3 fields"),
        ("60 * * * * *", "second"),
        ("0 * 24 * * *", "hour"),
        ("0 * * 0 * *", "day"),
        ("0 * * * FOO *", "month"),
        ("0 * * * * 7", "day of week"),
        ("0 */0 * * * *", "minute"),
        ("0 30-10 * * * *", "minute"),
        ("0 x * * * *", "minute"),
        ("tomorrow", "tomorrow"),
    ],
)
def test_a_wrong_schedule_is_refused_and_the_field_named(expression: str, names: str):
    with pytest.raises(HostError, match=names):
        parse_schedule(expression)


def test_a_day_that_never_comes_is_said_to_never_come():
    with pytest.raises(HostError, match="never occurs"):
        parse_schedule("0 0 0 30 2 *").next_after(datetime(2026, 1, 5, tzinfo=UTC))
