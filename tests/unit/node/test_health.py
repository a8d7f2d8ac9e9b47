"""What the health extension and the scraper are told."""

import json
import threading
import urllib.error
import urllib.request
from datetime import UTC, datetime

import pytest
from keepernode.agents import agents_of
from keepernode.health import PATIENCE, Page, Pulse, judge, metrics, serve
from keepernode.here import Here
from keepernode.reading import parse_user_data
from keepernode.status import Phase, Status, parse_status
from node_paper import PaperMachine, user_data

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("phase", "unwell_for", "healthy"),
    [
        (Phase.JOINING, 999, True),
        (Phase.WAITING, 999, True),
        (Phase.LEAVING, 999, True),
        (Phase.READY, 0, True),
        (Phase.READY, PATIENCE - 1, True),
        (Phase.READY, PATIENCE, False),
        (Phase.FAILED, 0, False),
    ],
)
def test_only_a_failed_machine_and_a_member_that_stays_silent_are_given_up(phase, unwell_for, healthy):
    page = judge(Status(phase, "something"), unwell_for=unwell_for)

    assert page.status == (200 if healthy else 503)
    assert json.loads(page.body)["ApplicationHealthState"] == ("Healthy" if healthy else "Unhealthy")


def test_a_machine_that_has_not_said_anything_yet_is_joining():
    assert parse_status(None).phase is Phase.JOINING


def test_a_status_that_cannot_be_read_counts_as_failed():
    assert parse_status(b"{").phase is Phase.FAILED


def test_after_a_reboot_a_member_is_judged_by_its_agents(tmp_path):
    machine = PaperMachine(tmp_path)
    ready = machine.at("/var/lib/keeper/ready")
    ready.parent.mkdir(parents=True)
    ready.write_text("{}")
    machine.active = {"nomad"}
    pulse = Pulse(machine, agents_of(parse_user_data(user_data()), Here("nomad-server-0", "10.0.10.4")))

    assert json.loads(pulse.health().body) == {"ApplicationHealthState": "Healthy", "phase": "ready", "what": ""}


def test_the_gauges_say_the_phase_the_silence_and_the_life_of_certificates():
    page = metrics(Status(Phase.READY), unwell_for=7, expiries={"nomad": NOON.replace(hour=13)}, now=NOON)

    assert 'keeper_node_phase{phase="ready"} 1\n' in page.body
    assert 'keeper_node_phase{phase="failed"} 0\n' in page.body
    assert "keeper_node_agents_unwell_seconds 7\n" in page.body
    assert 'keeper_node_certificate_remaining_seconds{agent="nomad"} 3600\n' in page.body


def test_the_shim_answers_its_path_and_no_other():
    server = serve("127.0.0.1", 0, {"/health": lambda: Page(503, "application/json", "{}")})
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    base = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        for path, status in (("/health", 503), ("/health?x=1", 503), ("/", 404), ("/../etc/passwd", 404)):
            with pytest.raises(urllib.error.HTTPError) as raised:
                urllib.request.urlopen(base + path, timeout=5)  # noqa: S310 - our own loopback server
            assert raised.value.code == status
            raised.value.close()
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
