"""The storage account of the lab, by the real SDKs: with its key, and with managed identity tokens over https."""

import base64
import json
import signal
import subprocess
import sys
import threading
from datetime import timedelta
from pathlib import Path

import pytest
from azure.core.credentials import AccessToken
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceModifiedError
from azure.storage.blob import BlobServiceClient
from azure.storage.queue import QueueServiceClient, TextBase64DecodePolicy, TextBase64EncodePolicy

from lab.ca import Authority
from lab.clock import wall_clock
from lab.host import FunctionsHost
from lab.http import Response, serve
from lab.storage import Azurite
from lab.storage.install import NODE_MAJOR, find_node

APPS = Path(__file__).parent / "apps"
STORAGE = "https://storage.azure.com"
LOCK = Path(__file__).parents[3] / "lab/storage/package-lock.json"
SECONDS = timedelta(seconds=20)


def token(audience=STORAGE, issuer="https://sts.windows.net/8d0b0f4e-0a4c-4d1c-8a5e-1d8a4c1f7b10/"):
    """An unsigned token with the claims that Azurite checks."""
    now = int(wall_clock().timestamp())
    claims = {"aud": audience, "iss": issuer, "iat": now, "nbf": now - 5, "exp": now + 3600}

    def part(document):
        return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")

    return f"{part({'alg': 'none', 'typ': 'JWT'})}.{part(claims)}.{part('x')}", now + 3600


class Identity:
    """A token credential with claims of the test's choosing."""

    def __init__(self, **claims):
        self._claims = claims

    def get_token(self, *_scopes, **_options):
        return AccessToken(*token(**self._claims))


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return Authority.create(tmp_path_factory.mktemp("ca"), wall_clock())


@pytest.fixture(scope="module")
def secured(authority):
    with Azurite(authority.issue("storage", addresses=["127.0.0.1"]), trust=authority.certificate) as storage:
        yield storage


def test_blob_and_queue_clients_sign_in_with_tokens_at_path_style_addresses(secured):
    verify = str(secured.trust)
    with BlobServiceClient(secured.blob_url, credential=Identity(), connection_verify=verify) as blobs:
        container = blobs.create_container("records")
        container.upload_blob("a/b", b"first", overwrite=False)
        assert container.download_blob("a/b").readall() == b"first"
    with QueueServiceClient(secured.queue_url, credential=Identity(), connection_verify=verify) as queues:
        queue = queues.create_queue("corridor")
        queue.send_message("hello")
        assert [message.content for message in queue.receive_messages()] == ["hello"]


@pytest.mark.parametrize("claims", [{"audience": "https://management.azure.com"}, {"issuer": "https://login.example/"}])
def test_a_token_for_something_else_is_refused(secured, claims):
    refused = Identity(**claims)
    with (
        BlobServiceClient(secured.blob_url, credential=refused, connection_verify=str(secured.trust)) as blobs,
        pytest.raises(HttpResponseError) as error,
    ):
        blobs.create_container("refused")

    assert error.value.status_code == 403


def test_conditional_writes_and_leases_hold(azurite):
    with BlobServiceClient.from_connection_string(azurite.connection_string) as blobs:
        container = blobs.create_container("conditions")
        blob = container.get_blob_client("record")
        etag = blob.upload_blob(b"1", overwrite=False)["etag"]
        with pytest.raises(ResourceExistsError):
            blob.upload_blob(b"2", overwrite=False)
        blob.upload_blob(b"2", overwrite=True, etag=etag, match_condition=_if_match())
        with pytest.raises(ResourceModifiedError):
            blob.upload_blob(b"3", overwrite=True, etag=etag, match_condition=_if_match())
        lease = blob.acquire_lease(15)
        with pytest.raises(ResourceExistsError):
            blob.acquire_lease(15)
        lease.release()
        blob.acquire_lease(15)


def _if_match():
    from azure.core import MatchConditions  # noqa: PLC0415 - only this helper

    return MatchConditions.IfNotModified


def test_the_host_polls_with_a_managed_identity_from_the_app_settings(secured, authority):
    asked = []

    def identity_endpoint(request):
        asked.append((request.query, request.headers.get("x-identity-header")))
        access, expires = token(request.query["resource"])
        return Response.of_json(200, {"access_token": access, "expires_on": str(expires), "token_type": "Bearer"})

    with (
        serve(identity_endpoint) as endpoint,
        QueueServiceClient(
            secured.queue_url,
            credential=Identity(),
            connection_verify=str(secured.trust),
        ) as queues,
    ):
        work = queues.get_queue_client(
            "with-identity",
            message_encode_policy=TextBase64EncodePolicy(),
            message_decode_policy=TextBase64DecodePolicy(),
        )
        work.create_queue()
        settings = {
            **secured.app_settings(),
            "AzureWebJobsStorage__clientId": "11111111-2222-3333-4444-555555555555",
            "IDENTITY_ENDPOINT": f"{endpoint.url}/msi/token",
            "IDENTITY_HEADER": "canary",
            "WORK_QUEUE": "with-identity",
            "TICK_SCHEDULE": "0 0 3 1 1 *",
        }
        with FunctionsHost(APPS / "doors", settings) as host:
            work.send_message("hello")
            assert host.wait_for(lambda: bool(host.invocations("work")), SECONDS)

    assert asked[0] == (
        {
            "api-version": "2019-08-01",
            "resource": STORAGE,
            "client_id": settings["AzureWebJobsStorage__clientId"],
        },
        "canary",
    )
    assert len(asked) <= 2  # one credential per client, cached until it expires


def test_data_and_addresses_outlive_a_stop(tmp_path: Path):
    storage = Azurite(location=tmp_path)
    storage.start()
    before = storage.connection_string
    with QueueServiceClient.from_connection_string(before) as queues:
        queues.create_queue("kept").send_message("still here")
        storage.stop()
        assert storage.pid is None

        storage.start()

        assert storage.connection_string == before
        assert queues.get_queue_client("kept").get_queue_properties().approximate_message_count == 1
    storage.close()
    assert any(tmp_path.iterdir())


def test_it_ends_with_the_process_that_started_it_however_that_ends():
    program = (
        "import os, signal\n"
        "from lab.storage import Azurite\n"
        "storage = Azurite()\n"
        "storage.start()\n"
        "print(storage.pid, storage.location, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], cwd=LOCK.parents[2], capture_output=True, check=False)
    pid, location = ended.stdout.decode().split()
    assert ended.returncode == -signal.SIGKILL

    deadline = wall_clock() + SECONDS
    while Path(f"/proc/{pid}").exists() and wall_clock() < deadline:
        threading.Event().wait(0.05)

    assert not Path(f"/proc/{pid}").exists()
    subprocess.run(["rm", "-r", location], check=True)


def test_the_lock_file_names_no_registry():
    packages = json.loads(LOCK.read_text())["packages"]

    assert packages["node_modules/azurite"]["version"] == "3.37.0"
    assert all("resolved" not in package for package in packages.values())
    assert all("integrity" in package for name, package in packages.items() if name)


def test_the_node_that_is_found_is_new_enough():
    answer = subprocess.run([find_node().program, "--version"], capture_output=True, text=True, check=True).stdout

    assert int(answer.removeprefix("v").split(".")[0]) >= NODE_MAJOR
