"""Timer functions through the host: schedules, catch-up, retries, one runner."""

import json
from datetime import datetime, timedelta
from pathlib import Path

from lab.clock import wall_clock
from lab.host import Outcome

EVERY_SECOND = {"TICK_SCHEDULE": "* * * * * *"}
SECONDS = timedelta(seconds=20)


def runs(host, function="tick"):
    return len(host.invocations(function))


def test_a_timer_fires_on_its_schedule(host):
    running = host(more=EVERY_SECOND)

    assert running.wait_for(lambda: runs(running) >= 3, SECONDS)

    ticks = running.invocations("tick")
    seconds = [run.started.replace(microsecond=0) for run in ticks]
    assert len(set(seconds)) == len(seconds)  # once for each second, never early
    assert min(run.started.microsecond for run in ticks) < 500_000  # a busy machine may make some of them late
    assert {run.outcome for run in ticks if run.outcome} <= {Outcome.SUCCEEDED}


def test_a_time_span_fires_after_each_interval(host):
    running = host(more={"TICK_SCHEDULE": "00:00:01"})

    assert running.wait_for(lambda: runs(running) >= 2, SECONDS)


def test_run_on_startup_runs_once_at_once_and_says_nothing_of_being_late(host, events):
    running = host()

    assert running.wait_for(lambda: runs(running, "yearly") == 1, SECONDS)
    assert not running.wait_for(lambda: runs(running, "yearly") > 1, timedelta(seconds=0.3))


def test_a_timer_retries_as_its_policy_says_and_tells_the_function(host, events):
    running = host(more={"YEARLY_FAILURES": "2"})

    assert running.wait_for(lambda: runs(running, "yearly") == 3, SECONDS)

    assert [seen["attempt"] for seen in events(running, "yearly")] == [0, 1, 2]
    assert {seen["of"] for seen in events(running, "yearly")} == {2}
    assert [run.outcome for run in running.invocations("yearly")] == [
        Outcome.FAILED,
        Outcome.FAILED,
        Outcome.SUCCEEDED,
    ]


def test_a_timer_gives_up_after_its_last_retry(host):
    running = host(more={"YEARLY_FAILURES": "99"})

    assert running.wait_for(lambda: runs(running, "yearly") == 3, SECONDS)
    assert not running.wait_for(lambda: runs(running, "yearly") > 3, timedelta(seconds=0.3))


def remembered(state: Path) -> dict[str, str]:
    return json.loads((state / "tick.json").read_text())


def test_what_was_missed_while_the_host_was_down_runs_once_and_is_marked_past_due(host, events, tmp_path: Path):
    minutely = {"TICK_SCHEDULE": "0 * * * * *"}
    first = host(more=minutely, state=tmp_path)
    assert first.wait_for((tmp_path / "tick.json").exists, SECONDS)
    first.close()
    down_since = {key: days_earlier(value) for key, value in remembered(tmp_path).items()}
    (tmp_path / "tick.json").write_text(json.dumps(down_since))

    second = host(more=minutely, state=tmp_path)

    assert second.wait_for(lambda: bool(events(second, "ticked")), SECONDS)
    seen = events(second, "ticked")[0]
    assert seen["past_due"] is True
    assert seen["status"]["Next"] == down_since["Next"]
    assert second.wait_for(lambda: remembered(tmp_path)["Last"] != down_since["Last"], SECONDS)
    assert datetime.fromisoformat(remembered(tmp_path)["Next"]) > wall_clock() - timedelta(minutes=1)


def days_earlier(moment: str) -> str:
    return moment if moment.startswith("0001") else (datetime.fromisoformat(moment) - timedelta(days=2)).isoformat()


def test_of_two_hosts_with_one_state_only_one_runs_a_timer_until_it_stops(host, tmp_path: Path):
    first = host(more=EVERY_SECOND, state=tmp_path)
    assert first.wait_for(lambda: runs(first) >= 1, SECONDS)
    second = host(more=EVERY_SECOND, state=tmp_path)
    seen = runs(first)
    assert first.wait_for(lambda: runs(first) >= seen + 2, SECONDS)
    assert runs(second) == 0

    first.close()

    assert second.wait_for(lambda: runs(second) >= 1, SECONDS)
