"""From empty vaults to Nomad with access control: servers serve what was issued, tokens may do just what they should."""

import pytest
from forming import NOMADS, files_of, join, make_room, standin_nomad, until

from keeper.core.certificates import Audience
from keeper.errors import Forbidden, Permanent
from keeper.nomad.cluster import NomadHttp
from keeper.nomad.failures import Call
from keeper.nomad.session import NomadSession

ASKED = Call("ask", "a right")


def session(room, token):
    return NomadSession(
        room.settings.nomad, token=lambda: token, ca=lambda: room.value(Audience.KEEPER, "nomad-ca-bundle")
    )


def ready(outcome):
    return not outcome.waits and not outcome.done and not outcome.problems


@pytest.mark.parametrize("nomad", NOMADS)
def test_a_cluster_forms_from_empty_vaults(room, tmp_path, nomad):
    room.tick()
    with nomad(room, tmp_path) as url:
        join(room, nomad=url)
        until(room, ready)
        keeper = room.value(Audience.KEEPER, "nomad-keeper-token")
        watcher = room.value(Audience.SERVERS, "nomad-watcher-token")

        reads = NomadHttp(
            room.settings.nomad, token=lambda: keeper, ca=lambda: room.value(Audience.KEEPER, "nomad-ca-bundle")
        )
        assert reads.nodes() == ()
        with session(room, watcher).download(
            ASKED, "/v1/event/stream", {"topic": "Evaluation", "namespace": "*"}
        ) as stream:
            assert stream.status_code == 200
        with pytest.raises(Forbidden):
            session(room, watcher).put(ASKED, "/v1/system/gc", None)
        with pytest.raises(Forbidden):
            session(room, keeper).put(ASKED, "/v1/acl/token", {"Name": "x", "Type": "management"})


@pytest.mark.parametrize("nomad", NOMADS)
def test_who_waits_for_servers_is_told_so_in_good_health(room, tmp_path, nomad):
    join(room, nomad="https://127.0.0.1:1")
    outcome = room.tick()
    assert outcome.problems == ()
    assert "nomad to answer" in outcome.waits[0]

    with nomad(room, tmp_path) as url:
        join(room, nomad=url)
        until(room, ready)


@pytest.mark.parametrize("nomad", NOMADS)
def test_a_lost_copy_of_a_token_comes_back_as_the_same_token(room, tmp_path, nomad):
    room.tick()
    with nomad(room, tmp_path) as url:
        join(room, nomad=url)
        until(room, ready)
        before = room.value(Audience.SERVERS, "nomad-watcher-token")
        room.vaults[Audience.SERVERS].set_secret("nomad-watcher-token", "spoilt")

        until(room, ready)

        assert room.value(Audience.SERVERS, "nomad-watcher-token") == before


@pytest.mark.parametrize("nomad", NOMADS)
def test_access_that_somebody_else_set_up_is_left_alone_and_said(room, tmp_path, nomad):
    room.tick()
    with nomad(room, tmp_path) as url:
        join(room, nomad=url)
        until(room, ready)
        theirs = room.value(Audience.KEEPER, "nomad-management-token")
        room.vaults[Audience.KEEPER].set_secret("nomad-management-token", "7a6f0c1e-0000-4000-8000-000000000000")

        with pytest.raises(Permanent, match="put the secret of a management token into nomad-management-token"):
            room.tick()

        room.vaults[Audience.KEEPER].set_secret("nomad-management-token", theirs)
        assert ready(room.tick())


def test_servers_that_serve_another_ca_are_not_believed(room, tmp_path):
    other = make_room()
    other.tick()
    room.tick()
    files_of(other, Audience.SERVERS, "nomad-agent-tls", tmp_path / "nomad")
    with standin_nomad(other, tmp_path) as url:
        join(room, nomad=url)
        outcome = room.tick()

    assert "CERTIFICATE_VERIFY_FAILED" in outcome.waits[0]
    assert "nomad-management-token" not in [each.name for each in room.vaults[Audience.KEEPER].secrets.shelf.newest()]
