"""HTTP functions through the host: routes, keys, limits, sign-in, failures."""

import base64
import json
from pathlib import Path

import pytest
import requests

from lab.host import EasyAuth, Keys

RECORDED = Path(__file__).parents[2] / "recordings/azure"
KEYS = Keys(functions={"echo": "only-echo"})
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_function_sees_the_request_as_it_was_sent(host):
    running = host()

    answer = requests.post(
        f"{running.url}/api/echo/hello%20there?x=1&code={running.key}",
        data="grüße".encode(),
        headers={"X-Custom": "Yes", "traceparent": TRACEPARENT},
        timeout=10,
    )

    seen = answer.json()
    assert answer.status_code == 200
    assert answer.headers["x-door"] == "echo"
    assert answer.headers["content-type"] == "application/json"
    assert (seen["method"], seen["word"], seen["body"]) == ("POST", "hello there", "grüße")
    assert seen["query"] == {"x": "1", "code": running.key}
    assert seen["headers"]["x-custom"] == "Yes"
    assert seen["traceparent"] == TRACEPARENT
    assert seen["url"].startswith(f"{running.url}/api/echo/")


@pytest.mark.parametrize(
    ("given", "status"),
    [
        ({}, 401),
        ({"x-functions-key": "wrong"}, 401),
        ({"x-functions-key": KEYS.host}, 200),
        ({"x-functions-key": KEYS.master}, 200),
        ({"x-functions-key": "only-echo"}, 200),
        ({"x-functions-key": KEYS.event_grid}, 401),
    ],
)
def test_a_function_opens_to_its_own_the_host_and_the_master_key(host, given, status):
    running = host(keys=KEYS)

    assert requests.get(f"{running.url}/api/echo/x", headers=given, timeout=10).status_code == status


def test_an_admin_function_opens_to_the_master_key_alone(host):
    running = host(keys=KEYS)
    address = f"{running.url}/api/files/a/b"

    assert requests.get(address, params={"code": KEYS.host}, timeout=10).status_code == 401
    assert requests.get(address, params={"code": KEYS.master}, timeout=10).text == "a/b"


def test_routes_with_constraints_and_the_wrong_method_is_404_as_in_azure(host):
    running = host()

    def got(path, method="GET"):
        answer = requests.request(method, f"{running.url}/api/{path}", timeout=10)
        return answer.status_code, answer.text

    assert got("item/7") == (200, "item 7")
    assert got("item/seven") == (200, "named seven")
    assert got("item") == (200, "named nobody")
    assert got("item/s7") == (404, "")
    assert got("item/7", "DELETE") == (404, "")
    assert got("nowhere") == (404, "")


def test_an_exception_is_a_500_without_a_word_of_it(host):
    running = host()

    answer = requests.get(f"{running.url}/api/broken", timeout=10)

    assert (answer.status_code, answer.text) == (500, "")
    assert running.invocations("broken")[0].error == "RuntimeError: this door is broken"


def test_a_body_over_the_limit_is_refused_before_the_function_sees_it(host):
    running = host(more={"FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "1000"})

    answer = requests.post(f"{running.url}/api/echo/x?code={running.key}", data=b"x" * 1001, timeout=10)

    assert answer.status_code == 413
    assert running.invocations("echo") == []


def test_a_body_of_unstated_length_is_refused_rather_than_lost(host):
    running = host()

    answer = requests.post(f"{running.url}/api/echo/x?code={running.key}", data=iter([b"part"]), timeout=10)

    assert answer.status_code == 411


def test_the_worker_has_the_app_settings_and_nothing_of_this_process(host, monkeypatch):
    monkeypatch.setenv("KEEPER_CANARY", "from the test process")
    running = host(more={"KEEPER_POOLS": "general,spot"})

    def setting(name):
        return requests.get(f"{running.url}/api/settings/{name}", timeout=10).json()

    assert setting("KEEPER_POOLS") == "general,spot"
    assert setting("KEEPER_CANARY") is None
    assert setting("WEBSITE_HOSTNAME") == running.url.removeprefix("http://")


PRINCIPAL = json.loads((RECORDED / "appservice/easyauth_client_principal_host_test.json").read_text())["payload"]


def principal_seen(running, headers):
    answer = requests.get(f"{running.url}/api/echo/x?code={running.key}", headers=headers, timeout=10)
    if answer.status_code != 200:
        return answer.status_code
    raw = answer.json()["headers"].get("x-ms-client-principal")
    return json.loads(base64.b64decode(raw)) if raw else None


def test_nobody_names_himself(host):
    forged = base64.b64encode(json.dumps({**PRINCIPAL, "auth_typ": "forged"}).encode()).decode()
    forged_headers = {"X-MS-CLIENT-PRINCIPAL": forged, "X-MS-CLIENT-PRINCIPAL-NAME": "root", "X-MS-TOKEN-AAD-X": "t"}

    assert principal_seen(host(), forged_headers) is None


def test_a_signed_in_caller_is_shown_as_app_service_shows_him(host):
    running = host(easy_auth=EasyAuth({"operator-token": PRINCIPAL}))

    assert principal_seen(running, {"Authorization": "Bearer operator-token"}) == PRINCIPAL
    assert principal_seen(running, {"Authorization": "Bearer someone-else"}) == 401
    assert principal_seen(running, {}) is None


def test_sign_in_can_be_required(host):
    running = host(easy_auth=EasyAuth({"operator-token": PRINCIPAL}, required=True))

    assert principal_seen(running, {}) == 401
    assert principal_seen(running, {"Authorization": "Bearer operator-token"}) == PRINCIPAL


def test_slow_requests_run_side_by_side_on_the_thread_pool(host):
    running = host(more={"PYTHON_THREADPOOL_THREAD_COUNT": "4"})
    together = run_slow(running, 4)

    assert together < 2 * 0.4


def test_one_thread_serves_one_request_at_a_time(host):
    running = host(more={"PYTHON_THREADPOOL_THREAD_COUNT": "1"})

    assert run_slow(running, 3) > 3 * 0.4


def run_slow(running, count):
    """Run `slow` so many times at once; return the seconds between the first start and the last end."""
    from concurrent.futures import ThreadPoolExecutor  # noqa: PLC0415 - only this helper

    with ThreadPoolExecutor(count) as pool:
        list(pool.map(lambda _: requests.get(f"{running.url}/api/slow?seconds=0.4", timeout=10), range(count)))
    runs = running.invocations("slow")
    return (max(run.started + run.duration for run in runs) - min(run.started for run in runs)).total_seconds()


def shape(document):
    return {key: type(value) for key, value in document.items()}


def test_host_status_has_the_recorded_shape_and_needs_the_master_key(host):
    running = host()
    recorded = json.loads((RECORDED / "functions/host_status.json").read_text())["payload"]

    def status(key):
        return requests.get(f"{running.url}/admin/host/status", headers={"x-functions-key": key}, timeout=10)

    assert status(running.key).status_code == 401
    answer = status(running.keys.master)
    assert answer.status_code == 200
    assert shape(answer.json()) == shape(recorded)
    assert answer.json()["state"] == "Running"


def test_any_function_can_be_run_by_an_administrator_with_the_recorded_answer(host, events):
    running = host()
    recorded = json.loads((RECORDED / "functions/admin_run_function.json").read_text())["exchanges"][0]

    def run(name, key):
        headers = {"x-functions-key": key, "Content-Type": "application/json"}
        return requests.post(
            f"{running.url}/admin/functions/{name}", json=recorded["request"]["body"], headers=headers, timeout=10
        )

    assert run("work", running.key).status_code == 401
    assert run("nothing", running.keys.master).status_code == 404
    answer = run("work", running.keys.master)
    assert (answer.status_code, answer.text) == (recorded["response"]["status"], "")
    assert running.wait_for(lambda: bool(events(running, "worked")))
    assert events(running, "worked")[0]["text"] == recorded["request"]["body"]["input"]
