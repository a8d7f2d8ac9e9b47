"""A trio is proven before it is swapped in: real openssl on every way in which a certificate can be wrong."""

from datetime import timedelta

import pytest
from keepernode.clock import utc_now
from keepernode.problems import Unsafe
from keepernode.tls import Life, Service, in_use, life, split_pem, stage, take_over
from node_paper import PaperMachine

from lab.ca import Authority

NOMAD = Service("nomad", "root", "server.global.nomad", 4646)


@pytest.fixture
def machine(tmp_path):
    return PaperMachine(tmp_path / "machine")


def issued(folder, now, *names):
    made = Authority.create(folder, now)
    leaf = made.issue("leaf", names=names)
    return leaf.key.read_text(), leaf.certificate.read_text(), made.certificate.read_text()


def refused(machine, pem, bundle, match):
    with pytest.raises(Unsafe, match=match):
        stage(machine, NOMAD, split_pem(pem, bundle))
    assert machine.names_in("/var/lib/keeper/tls/nomad") == []


def test_a_sound_trio_is_staged_beside_the_one_in_use_with_its_key_closed(machine, authority):
    folder = stage(machine, NOMAD, split_pem(authority.pem("server.global.nomad"), authority.bundle))

    assert machine.real_path(in_use(NOMAD)) is None
    assert machine.owners[f"{folder}/key.pem"] == ("root", 0o600)


def test_the_end_of_the_certificate_in_use_is_known(machine, authority):
    trio = split_pem(authority.pem("server.global.nomad"), authority.bundle)
    assert life(machine, "nomad") is None

    take_over(machine, NOMAD, trio, stage(machine, NOMAD, trio))

    assert timedelta(days=29) < life(machine, "nomad").end - utc_now() < timedelta(days=31)


def test_a_certificate_is_old_when_the_keeper_must_have_failed_to_renew_it():
    start = utc_now()
    quarter = timedelta(days=90) / 4

    assert not Life(start, start + timedelta(days=90)).is_old(start + 3 * quarter - timedelta(days=1))
    assert Life(start, start + timedelta(days=90)).is_old(start + 3 * quarter + timedelta(seconds=1))
    assert Life(start, start + timedelta(days=1)).is_old(start + timedelta(hours=19))
    assert Life(start, start + timedelta(days=1)).is_old(start + timedelta(days=2))


def test_a_certificate_for_another_name_is_refused(machine, authority):
    refused(machine, authority.pem("client.global.nomad"), authority.bundle, "is not for server.global.nomad")


def test_a_certificate_of_another_authority_is_refused(machine, authority, tmp_path):
    key, leaf, _ = issued(tmp_path / "other", utc_now(), "server.global.nomad")

    refused(machine, key + leaf, authority.bundle, "not sound: .*(unable to get|verification failed)")


def test_a_key_of_another_certificate_is_refused(machine, authority):
    one, other = authority.pem("server.global.nomad"), authority.pem("server.global.nomad")
    end = "-----END PRIVATE KEY-----\n"

    refused(machine, one.split(end)[0] + end + other.split(end)[1], authority.bundle, "do not belong together")


def test_an_expired_certificate_is_refused(machine, tmp_path):
    key, leaf, bundle = issued(tmp_path / "old", utc_now() - timedelta(days=60), "server.global.nomad")

    refused(machine, key + leaf, bundle, "not sound")


@pytest.mark.parametrize(
    ("pem", "lacks"),
    [("", "a private key, a certificate"), ("-----BEGIN PRIVATE KEY-----x-----END PRIVATE KEY-----", "a certificate")],
)
def test_a_secret_that_is_no_certificate_is_refused_before_anything_is_written(authority, pem, lacks):
    with pytest.raises(Unsafe, match=f"lacks {lacks}"):
        split_pem(pem, authority.bundle)


def test_a_bundle_of_two_authorities_trusts_leaves_of_both(machine, authority, tmp_path):
    key, leaf, other = issued(tmp_path / "next", utc_now(), "server.global.nomad")
    both = authority.bundle + other

    for pem in (authority.pem("server.global.nomad"), key + leaf):
        stage(machine, NOMAD, split_pem(pem, both))


def test_a_key_never_shows_in_what_is_printed_of_a_trio(authority):
    pem = authority.pem("server.global.nomad")

    assert pem.splitlines()[1] not in repr(split_pem(pem, authority.bundle))
