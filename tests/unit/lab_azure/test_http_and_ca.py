"""The lab's servers speak real TLS with certificates of the lab's CA, and stop when told."""

import time
from datetime import timedelta

import pytest
import requests

from lab.ca import Authority
from lab.clock import wall_clock
from lab.http import Request, Response, Tls, serve


def echo(request: Request) -> Response:
    return Response.of_json(200, {"path": request.path, "query": request.query, "length": len(request.body)})


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())


@pytest.fixture(scope="module")
def leaf(authority):
    return authority.issue("server", names=["localhost"], addresses=["127.0.0.1"])


def test_a_caller_that_trusts_the_lab_ca_is_answered(authority, leaf):
    with serve(echo, tls=Tls(leaf.certificate, leaf.key)) as server, requests.Session() as session:
        answer = session.post(f"{server.url}/a%20b?x=1&x=2&$filter=q", data=b"12345", verify=authority.certificate)
        assert answer.json() == {"path": "/a b", "query": {"x": "1", "$filter": "q"}, "length": 5}


def test_a_caller_that_does_not_trust_the_lab_ca_refuses_the_server(leaf):
    with (
        serve(echo, tls=Tls(leaf.certificate, leaf.key)) as server,
        requests.Session() as session,
        pytest.raises(requests.exceptions.SSLError),
    ):
        session.get(server.url)


def test_a_server_that_asks_for_client_certificates_refuses_a_caller_without_one(authority, leaf):
    tls = Tls(leaf.certificate, leaf.key, client_ca=authority.certificate)
    with serve(echo, tls=tls) as server, requests.Session() as session:
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(server.url, verify=authority.certificate)
        client = (str(leaf.certificate), str(leaf.key))
        assert session.get(server.url, verify=authority.certificate, cert=client).status_code == 200


def test_private_keys_are_readable_by_their_owner_only(leaf, authority):
    assert leaf.key.stat().st_mode & 0o777 == 0o600
    assert (authority.directory / "ca-key.pem").stat().st_mode & 0o777 == 0o600


def test_a_delayed_answer_is_cut_short_when_the_server_stops():
    server = serve(lambda _: Response(200, delay=timedelta(seconds=30)))
    started = time.perf_counter()
    with requests.Session() as session:
        with pytest.raises(requests.exceptions.Timeout):
            session.get(server.url, timeout=0.2)
        server.stop()
    assert time.perf_counter() - started < 5


def test_a_stopped_server_leaves_no_open_connection():
    with requests.Session() as session:
        with serve(echo) as server:
            assert session.get(server.url).status_code == 200
        with pytest.raises(requests.exceptions.ConnectionError):
            session.get(server.url, timeout=1)
