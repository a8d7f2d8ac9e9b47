"""What a timer remembers, and what it makes of it when the host comes back."""

from datetime import UTC, datetime, timedelta

from lab.host.cron import parse_schedule
from lab.host.timers import TimerStatus, is_remembered, status_after_run, status_at_start

EVERY_FIVE = parse_schedule("0 */5 * * * *")


def at(hour: int, minute: int, second: float = 0) -> datetime:
    return datetime(2026, 1, 5, tzinfo=UTC) + timedelta(hours=hour, minutes=minute, seconds=second)


def after_a_run_at(moment: datetime) -> TimerStatus:
    first, _ = status_at_start(EVERY_FIVE, None, moment - timedelta(seconds=1))
    return status_after_run(EVERY_FIVE, first, moment, scheduled=True)


def test_a_new_timer_waits_for_its_first_occurrence():
    status, past_due = status_at_start(EVERY_FIVE, None, at(8, 2))

    assert (status.last, status.next, past_due) == (None, at(8, 5), False)


def test_an_occurrence_missed_while_the_host_was_down_is_past_due():
    _, past_due = status_at_start(EVERY_FIVE, after_a_run_at(at(8, 5)), at(8, 31))

    assert past_due


def test_a_new_timer_that_was_down_over_its_very_first_occurrence_is_past_due():
    first, _ = status_at_start(EVERY_FIVE, None, at(8, 2))

    assert status_at_start(EVERY_FIVE, first, at(8, 6))[1]


def test_a_host_back_in_time_is_not_past_due_and_keeps_what_was_next():
    status, past_due = status_at_start(EVERY_FIVE, after_a_run_at(at(8, 5)), at(8, 7))

    assert (status.next, past_due) == (at(8, 10), False)


def test_a_changed_schedule_is_never_past_due_for_what_it_would_have_done():
    hourly = parse_schedule("0 0 * * * *")

    status, past_due = status_at_start(hourly, after_a_run_at(at(8, 5)), at(9, 31))

    assert (status.next, past_due) == (at(10, 0), False)


def test_a_run_that_took_too_long_is_followed_by_one_not_by_all_that_were_missed():
    status = after_a_run_at(at(8, 5))
    now = at(8, 22)
    runs = []
    while status.next <= now:
        runs.append(now)
        status = status_after_run(EVERY_FIVE, status, now, scheduled=True)

    assert len(runs) == 1
    assert status.next == at(8, 25)


def test_a_run_a_blink_early_does_not_happen_twice():
    status = after_a_run_at(at(8, 5))

    early = status_after_run(EVERY_FIVE, status, at(8, 9, 59.98), scheduled=True)

    assert early.next == at(8, 15)


def test_schedules_under_a_minute_are_not_remembered_as_in_azure():
    now = at(8, 0)

    assert is_remembered(parse_schedule("0 * * * * *"), now)
    assert not is_remembered(parse_schedule("*/30 * * * * *"), now)


def test_a_status_survives_being_written_and_read():
    first, _ = status_at_start(EVERY_FIVE, None, at(8, 2))
    for status in (first, after_a_run_at(at(8, 5))):
        assert TimerStatus.from_json(status.to_json()) == status
