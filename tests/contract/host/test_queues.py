"""Queue functions through the host, on a real storage protocol."""

import base64
from datetime import timedelta

import requests
from azure.storage.queue import QueueClient, QueueServiceClient

SECONDS = timedelta(seconds=20)


def waiting(client):
    return client.get_queue_properties().approximate_message_count


def test_a_message_is_handled_once_and_is_gone(host, client, queue, events):
    work = client(queue)
    work.create_queue()
    running = host()

    work.send_message("hello")

    assert running.wait_for(lambda: bool(running.invocations("work")), SECONDS)
    assert running.wait_idle(SECONDS)
    (seen,) = events(running, "worked")
    assert (seen["text"], seen["attempt"]) == ("hello", 1)
    assert seen["inserted"].endswith("+00:00")
    assert waiting(work) == 0


def test_a_queue_that_appears_later_is_found(host, client, queue, events):
    running = host()
    work = client(queue)
    work.create_queue()

    work.send_message("late")

    assert running.wait_for(lambda: bool(events(running, "worked")), SECONDS)


def test_a_message_that_cannot_be_handled_ends_in_the_poison_queue_as_it_was(host, client, queue, events):
    work = client(queue)
    work.create_queue()
    work.send_message("fail: grüße")
    running = host()

    assert running.wait_for(lambda: len(running.invocations("work")) == 3, SECONDS)
    assert running.wait_idle(SECONDS)

    assert [seen["attempt"] for seen in events(running, "worked")] == [1, 2, 3]
    (poisoned,) = client(f"{queue}-poison").receive_messages()
    assert poisoned.content == "fail: grüße"
    assert waiting(work) == 0


def test_a_poison_queue_has_no_poison_queue_so_its_handler_must_not_fail(host, azurite, client, queue):
    poison = client(f"{queue}-poison")
    poison.create_queue()
    poison.send_message("fail")
    running = host(more={"WORK_QUEUE": f"{queue}-poison"})

    assert running.wait_for(lambda: any("stays, hidden" in line.message for line in running.logs()), SECONDS)

    assert len(running.invocations("work")) == 1
    assert waiting(poison) == 1
    assert list(poison.receive_messages()) == []
    with QueueServiceClient.from_connection_string(azurite.connection_string) as account:
        assert [found.name for found in account.list_queues(name_starts_with=queue)] == [f"{queue}-poison"]


def test_a_message_that_is_not_base64_goes_to_the_poison_queue_and_to_no_function(host, azurite, client, queue):
    client(queue).create_queue()
    running = host()
    with QueueClient.from_connection_string(azurite.connection_string, queue) as raw:
        raw.send_message("{not base64}")

    assert running.wait_for(lambda: any("goes to" in line.message for line in running.logs()), SECONDS)
    assert running.wait_idle(SECONDS)
    assert running.invocations("work") == []
    with QueueClient.from_connection_string(azurite.connection_string, f"{queue}-poison") as poison:
        assert [message.content for message in poison.receive_messages()] == ["{not base64}"]


def test_a_failed_message_comes_back_after_the_visibility_timeout(host, client, queue):
    work = client(queue)
    work.create_queue()
    work.send_message("fail")
    running = host("patient")

    assert running.wait_for(lambda: len(running.invocations("work")) == 2, SECONDS)

    first, second = running.invocations("work")
    assert second.started - (first.started + first.duration) >= timedelta(seconds=1)


def test_no_more_messages_are_worked_on_than_batch_and_threshold_allow(host, client, queue):
    work = client(queue)
    work.create_queue()
    for number in range(6):
        work.send_message(f"wait {number}")
    running = host("patient")

    assert running.wait_for(lambda: len(running.invocations("work")) == 6, SECONDS)

    runs = running.invocations("work")
    most = max(sum(run.started <= other.started < run.started + run.duration for run in runs) for other in runs)
    assert most == 1


def test_a_queue_output_wakes_its_listener(host, events):
    running = host()

    answer = requests.post(f"{running.url}/api/put", json=["one", "two"], timeout=10)

    assert answer.status_code == 202
    assert running.wait_for(lambda: len(events(running, "worked")) == 2, SECONDS)
    assert {seen["text"] for seen in events(running, "worked")} == {"one", "two"}


def test_an_output_travels_as_base64_into_a_queue_made_for_it(host, azurite, queue):
    running = host()

    assert requests.post(f"{running.url}/api/keep", data="grüße".encode(), timeout=10).status_code == 200

    with QueueClient.from_connection_string(azurite.connection_string, f"{queue}-kept") as raw:
        (message,) = raw.receive_messages()
    assert base64.b64decode(message.content).decode() == "grüße"


def test_an_output_that_cannot_be_written_fails_the_request(host, azurite):
    running = host(more={"AzureWebJobsStorage": azurite.connection_string.replace("AccountKey=E", "AccountKey=F")})

    answer = requests.post(f"{running.url}/api/put", json=["one"], timeout=10)

    assert answer.status_code == 500
    assert running.invocations("put")[0].error.startswith("output: ClientAuthenticationError")


def test_idle_means_that_hidden_messages_are_gone_too(host, client, queue):
    work = client(queue)
    work.create_queue()
    running = host()
    work.send_message("later", visibility_timeout=2)

    assert not running.wait_idle(timedelta(seconds=0.5))
    assert running.wait_idle(SECONDS)
    assert len(running.invocations("work")) == 1
