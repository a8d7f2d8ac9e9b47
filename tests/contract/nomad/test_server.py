"""The stand-in over real sockets: TLS, keep-alive, compression, waiting, streaming, limits; asked by real clients."""

from __future__ import annotations

import concurrent.futures
import contextlib
import gzip
import json
import socket
import ssl
import threading
import time
from typing import TYPE_CHECKING, Any

import nomad
import pytest
import requests

from lab.ca import Authority
from lab.clock import FakeClock, wall_clock
from lab.nomad.http.inprocess import session as in_process
from lab.nomad.http.tls import TlsFiles
from lab.nomad.server import NomadLab

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())


@pytest.fixture(scope="module")
def lab(authority: Authority) -> Iterator[NomadLab]:
    leaf = authority.issue("server", names=["server.global.nomad"], addresses=["127.0.0.1"])
    running = NomadLab(tls=TlsFiles(leaf.certificate, leaf.key, authority.certificate))
    with running:
        running.cluster.register_node(name="vmss-clients_0", node_class="small", cpu=4000, memory=8192)
        yield running


@pytest.fixture
def web(lab: NomadLab, authority: Authority) -> Iterator[requests.Session]:
    with requests.Session() as made:
        made.trust_env = False
        made.verify = str(authority.certificate)
        made.headers["X-Nomad-Token"] = lab.management_token
        yield made


def _job(name: str, cpu: int = 100) -> dict[str, Any]:
    task = {
        "Name": "main",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sleep", "args": ["600"]},
        "Resources": {"CPU": cpu, "MemoryMB": 32},
    }
    group = {"Name": "g", "Count": 1, "Tasks": [task]}
    return {"Job": {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}}


def test_a_caller_that_does_not_trust_the_ca_gets_no_connection(lab: NomadLab):
    with pytest.raises(requests.exceptions.SSLError):
        requests.get(f"{lab.url}/v1/status/leader", timeout=5)


def test_plain_http_at_the_tls_port_is_told_so(lab: NomadLab):
    address = lab.url.removeprefix("https://").split(":")
    with socket.create_connection((address[0], int(address[1])), timeout=5) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        answer = connection.recv(200)

    assert answer == b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"


def test_a_client_certificate_is_demanded_only_where_it_is_configured(authority: Authority, tmp_path: Path):
    leaf = authority.issue("mutual", addresses=["127.0.0.1"])
    stranger = Authority.create(tmp_path, wall_clock(), "another CA").issue("stranger", names=["x"])
    files = TlsFiles(leaf.certificate, leaf.key, authority.certificate, verify_https_client=True)
    with NomadLab(tls=files) as running:
        own, foreign = (str(leaf.certificate), str(leaf.key)), (str(stranger.certificate), str(stranger.key))
        url, ca = f"{running.url}/v1/status/leader", str(authority.certificate)
        accepted = requests.get(url, verify=ca, cert=own, timeout=5).status_code
        for certificate in (None, foreign):
            with pytest.raises((requests.exceptions.SSLError, requests.exceptions.ConnectionError)):
                requests.get(url, verify=ca, cert=certificate, timeout=5)

    assert accepted == 200


def _serial(lab: NomadLab, authority: Authority) -> str:
    host, port = lab.url.removeprefix("https://").split(":")
    context = ssl.create_default_context(cafile=str(authority.certificate))
    with (
        socket.create_connection((host, int(port)), timeout=5) as connection,
        context.wrap_socket(connection, server_hostname=host) as wrapped,
    ):
        return str((wrapped.getpeercert() or {})["serialNumber"])


def test_a_new_leaf_is_served_after_a_reload_and_a_key_that_does_not_fit_is_not(authority: Authority):
    leaf = authority.issue("reloaded", addresses=["127.0.0.1"])
    with NomadLab(tls=TlsFiles(leaf.certificate, leaf.key, authority.certificate)) as running:
        first = _serial(running, authority)
        authority.issue("reloaded", addresses=["127.0.0.1"])
        running.reload_certificates()
        second = _serial(running, authority)
        leaf.key.write_bytes(authority.issue("other", addresses=["127.0.0.1"]).key.read_bytes())
        running.reload_certificates()
        third = _serial(running, authority)

    assert first != second
    assert second == third


def test_many_requests_share_one_connection(lab: NomadLab, web: requests.Session):
    answers = [web.get(f"{lab.url}/v1/nodes", timeout=5) for _ in range(5)]

    assert {answer.status_code for answer in answers} == {200}
    assert len(web.get_adapter(lab.url).poolmanager.pools) == 1  # type: ignore[attr-defined]  # the default adapter


def test_an_answer_is_compressed_when_asked(lab: NomadLab, web: requests.Session):
    with web.get(f"{lab.url}/v1/nodes", headers={"Accept-Encoding": "gzip"}, stream=True, timeout=5) as answer:
        raw = answer.raw.read()

    assert answer.headers["Content-Encoding"] == "gzip"
    assert json.loads(gzip.decompress(raw))[0]["Name"] == "vmss-clients_0"


def test_a_blocking_query_answers_when_something_changes(lab: NomadLab, web: requests.Session):
    index = web.get(f"{lab.url}/v1/jobs", timeout=5).headers["X-Nomad-Index"]
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        url = f"{lab.url}/v1/jobs?index={max(1, int(index))}&wait=10s"
        waiting = pool.submit(web.get, url, timeout=15)
        time.sleep(0.2)
        still = waiting.done()
        web.post(f"{lab.url}/v1/jobs", json=_job("wakes"), timeout=5)
        answer = waiting.result(5)

    assert not still
    assert "wakes" in {job["ID"] for job in answer.json()}
    assert int(answer.headers["X-Nomad-Index"]) > int(index)


def test_a_blocking_query_ends_after_its_wait(lab: NomadLab, web: requests.Session):
    started = time.monotonic()
    answer = web.get(f"{lab.url}/v1/nodes?index=999999999&wait=300ms", timeout=5)

    assert answer.status_code == 200
    assert 0.25 < time.monotonic() - started < 2


def test_the_event_stream_begins_with_an_empty_object_and_tells_of_blocked_work(lab: NomadLab, web: requests.Session):
    url = f"{lab.url}/v1/event/stream?topic=Evaluation&namespace=*"
    with web.get(url, stream=True, timeout=10) as answer:
        lines = answer.iter_lines()
        first = next(lines)
        web.post(f"{lab.url}/v1/jobs", json=_job("toolarge", cpu=100_000), timeout=5)
        events = (event for line in lines for event in json.loads(line).get("Events", []))
        blocked = next(
            event
            for event in events
            if event["Payload"]["Evaluation"]["Status"] == "blocked" and "toolarge" in event["FilterKeys"]
        )

    assert first == b"{}"
    assert blocked["Payload"]["Evaluation"]["FailedTGAllocs"]["g"]["DimensionExhausted"] == {"cpu": 1}


def test_the_hundred_and_first_connection_is_turned_away():
    with NomadLab() as running, contextlib.ExitStack() as stack:
        host, port = running.url.removeprefix("http://").split(":")
        request = b"GET /v1/status/leader HTTP/1.1\r\nHost: x\r\n\r\n"
        answers: list[bytes] = []
        for _ in range(101):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=5))
            connection.sendall(request)
            answers.append(connection.recv(400))

    assert {answer.split(b"\r\n")[0] for answer in answers[:100]} == {b"HTTP/1.1 200 OK"}
    assert answers[100].startswith(b"HTTP/1.1 429 Too Many Requests")
    assert answers[100].endswith(b"Your IP is issuing too many concurrent connections, please rate limit your calls\n")


def test_python_nomad_can_register_read_and_stop_a_job(lab: NomadLab, web: requests.Session):
    host, port = lab.url.removeprefix("https://").split(":")
    client = nomad.Nomad(
        host=host, port=int(port), secure=True, verify=web.verify, token=lab.management_token, session=web, timeout=5
    )

    client.job.register_job("library", _job("library"))
    summary = client.job.get_summary("library")
    node = client.nodes.get_nodes()[0]
    client.node.drain_node_with_spec(node["ID"], {"Deadline": 60_000_000_000})
    draining = client.node.get_node(node["ID"])["DrainStrategy"]
    client.node.drain_node_with_spec(node["ID"], None, mark_eligible=True)
    client.job.deregister_job("library")

    assert summary["JobID"] == "library"
    assert draining["Deadline"] == 60_000_000_000
    assert client.job.get_job("library")["Stop"] is True


def test_the_same_answers_come_without_a_socket():
    clock = FakeClock()
    lab = NomadLab(clock=clock)
    with in_process(lab.router()) as web:
        web.headers["X-Nomad-Token"] = lab.management_token
        lab.cluster.register_node(name="vmss-clients_0", cpu=4000, memory=8192)
        web.post("https://nomad.lab:4646/v1/jobs", json=_job("simulated"))
        clock.advance(10)
        lab.advance()
        summary = web.get("https://nomad.lab:4646/v1/job/simulated/summary").json()
        refused = web.get("https://nomad.lab:4646/v1/jobs", headers={"X-Nomad-Token": "garbage"})

    assert summary["Summary"]["g"]["Running"] == 1
    assert (refused.status_code, refused.text) == (403, "Permission denied")


def test_a_dead_leader_is_followed_by_another_within_seconds():
    servers = {"a": "127.0.0.1", "b": "127.0.0.1", "c": "127.0.0.1"}
    with NomadLab(servers=servers) as running:
        running.kill_server("a")
        url = f"{running.urls['b']}/v1/status/leader"
        first = requests.get(url, timeout=10)
        answers = [first]
        while answers[-1].status_code != 200 and len(answers) < 200:
            time.sleep(0.05)
            answers.append(requests.get(url, timeout=10))

    assert first.status_code == 500
    assert "rpc error: failed to get conn" in first.text
    assert answers[-1].status_code == 200


def test_stopping_leaves_no_thread_and_no_port():
    before = threading.active_count()
    with NomadLab() as running:
        url = running.url
        requests.get(f"{url}/v1/status/leader", timeout=5)
    deadline = time.monotonic() + 3
    while threading.active_count() > before and time.monotonic() < deadline:
        time.sleep(0.01)

    assert threading.active_count() <= before
    with pytest.raises(requests.exceptions.ConnectionError):
        requests.get(f"{url}/v1/status/leader", timeout=2)
