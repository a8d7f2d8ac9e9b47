"""The worker process: loading, logs, its death in the middle of work, timeouts, stopping."""

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError

from lab.ca import Authority
from lab.clock import wall_clock
from lab.host import FunctionsHost, HostError, Outcome
from lab.http import Tls

ROOT = Path(__file__).parents[3]
APPS = Path(__file__).parent / "apps"
SECONDS = timedelta(seconds=20)


def gone(pid):
    return not Path(f"/proc/{pid}").exists()


def test_log_lines_carry_the_invocation_that_wrote_them(host):
    running = host()
    requests.get(f"{running.url}/api/echo/a?code={running.key}", timeout=10)
    requests.get(f"{running.url}/api/settings/LANG", timeout=10)

    for name, logger in (("echo", "doors"), ("settings", "doors")):
        (run,) = running.invocations(name)
        assert [line.level for line in running.logs(run.id) if line.logger == logger] == ["INFO"]


def test_a_killed_worker_is_replaced_and_its_message_is_handled_again(host, client, queue, events):
    work = client(queue)
    work.create_queue()
    running = host()
    work.send_message("wait for it")
    assert running.wait_for(lambda: bool(events(running, "worked")), SECONDS)

    killed = running.kill_worker()

    assert running.wait_for(lambda: len(events(running, "worked")) == 2, SECONDS)
    assert gone(killed)
    assert running.worker_pid != killed
    assert running.invocations("work")[0].outcome is Outcome.LOST
    assert [seen["attempt"] for seen in events(running, "worked")] == [1, 2]


def test_no_message_is_lost_however_often_the_worker_dies(host, client, queue, events):
    work = client(queue)
    work.create_queue()
    running = host()
    sent = {f"message {number}" for number in range(40)}
    for number, text in enumerate(sorted(sent)):
        work.send_message(text)
        if number % 12 == 5:
            running.kill_worker()

    assert running.wait_idle(SECONDS)

    done = {run.id for run in running.invocations("work") if run.outcome is Outcome.SUCCEEDED}
    handled = {line.event["text"] for line in running.logs() if line.event and line.invocation in done}
    poison = client(f"{queue}-poison")
    poisoned = {message.content for message in poison.receive_messages()} if exists(poison) else set()
    assert handled | poisoned == sent


def exists(queue_client):
    try:
        queue_client.get_queue_properties()
    except ResourceNotFoundError:
        return False
    return True


def test_a_timer_tick_cut_by_a_killed_worker_is_followed_by_the_next(host, events):
    running = host(more={"TICK_SCHEDULE": "* * * * * *", "TICK_SECONDS": "0.5"})
    assert running.wait_for(lambda: bool(events(running, "ticked")), SECONDS)

    running.kill_worker()

    assert running.wait_for(lambda: len(running.invocations("tick")) == 2, SECONDS)
    assert [run.outcome for run in running.invocations("tick")] == [Outcome.LOST, Outcome.SUCCEEDED]


def test_a_request_in_a_worker_that_dies_fails_and_the_next_one_waits_for_another(host, tmp_path: Path):
    running = host()
    proof = tmp_path / "reached"

    answer = requests.post(f"{running.url}/api/die", data=str(proof), timeout=10)

    assert answer.status_code == 500
    assert proof.exists()
    assert requests.get(f"{running.url}/api/item/1", timeout=10).text == "item 1"
    assert any((line.logger, line.message) == ("stdout", "last words") for line in running.logs())


def test_a_function_that_runs_too_long_is_cut_with_its_worker(host):
    running = host("hurried")

    answer = requests.get(f"{running.url}/endless", timeout=10)

    assert answer.status_code == 500
    (run,) = running.invocations("endless")
    assert run.outcome is Outcome.TIMED_OUT
    assert "functionTimeout" in run.error
    assert requests.get(f"{running.url}/quick", timeout=10).text == "quick"


def test_an_app_that_keeps_dying_is_started_again_and_again(host):
    running = host()

    for _ in range(3):
        killed = running.kill_worker()
        assert running.worker_pid != killed
        assert requests.get(f"{running.url}/api/item/1", timeout=10).text == "item 1"


def test_the_worker_ends_with_a_host_that_is_killed(tmp_path: Path):
    program = (
        "import os, signal, sys\n"
        "from pathlib import Path\n"
        "from lab.host import FunctionsHost\n"
        f"host = FunctionsHost(Path({str(APPS / 'hurried')!r}), {{}}, state=Path({str(tmp_path)!r}))\n"
        "host.start()\n"
        "print(host.worker_pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False)

    deadline = wall_clock() + SECONDS
    while not gone(ended.stdout.strip()) and wall_clock() < deadline:
        threading.Event().wait(0.02)
    assert ended.stdout.strip().isdigit()
    assert gone(ended.stdout.strip())


def test_the_front_speaks_tls_with_a_certificate_of_the_lab(host, tmp_path: Path):
    authority = Authority.create(tmp_path, wall_clock())
    leaf = authority.issue("host", addresses=["127.0.0.1"])
    running = host("hurried", tls=Tls(leaf.certificate, leaf.key))

    assert running.url.startswith("https://")
    assert requests.get(f"{running.url}/quick", verify=str(authority.certificate), timeout=10).text == "quick"


def test_stopping_lets_what_runs_end(host):
    running = host()
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(requests.get, f"{running.url}/api/slow?seconds=0.5", timeout=10)
        assert running.wait_for(lambda: any("slow.began" in line.message for line in running.logs()), SECONDS)
        pid = running.worker_pid
        running.stop()

    assert running.invocations("slow")[0].outcome is Outcome.SUCCEEDED
    assert gone(pid)
    assert answer.exception() is None or isinstance(answer.exception(), requests.ConnectionError)


def test_a_restart_keeps_the_address_and_takes_new_settings(host, settings):
    running = host()
    url = running.url

    running.restart({**settings, "KEEPER_COLOUR": "green"})

    assert running.url == url
    assert requests.get(f"{url}/api/settings/KEEPER_COLOUR", timeout=10).json() == "green"


def timer_app(schedule):
    return (
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        f"@app.timer_trigger(arg_name='timer', schedule={schedule!r})\n"
        "def tick(timer: func.TimerRequest) -> None: ...\n"
    )


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("import azure.functions as func\nimport no_such_module\n", "no_such_module"),
        ("import azure.functions as func\napp = func.FunctionApp(\n", "SyntaxError"),
        ("import os\nos.abort()\n", "before the app was loaded"),
        (timer_app("%NOWHERE%"), "NOWHERE"),
        (timer_app("61 * * * * *"), "second '61'"),
    ],
)
def test_an_app_that_cannot_be_hosted_says_why_and_leaves_no_process(tmp_path: Path, source: str, says: str):
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(source)
    before = children()
    host = FunctionsHost(tmp_path, {})

    with pytest.raises(HostError, match=re.escape(says)):
        host.start()

    host.close()
    assert children() == before


def children():
    return set(Path(f"/proc/self/task/{os.getpid()}/children").read_text().split())
