"""Consul's snapshots: the keeper's source in front of the lab's Consul, and the whole way into storage."""

from dataclasses import replace

import pytest
import requests

from keeper.azure.data_keys import VaultDataKeys
from keeper.consul.snapshots import ConsulSnapshots
from keeper.controllers import snapshot
from keeper.core.messages import Controller, Kind, Message
from keeper.core.snapshots import BadSnapshot, Part, Product, Reason
from lab.backups import KEEPER, KEY, BackupLab
from lab.consul.server import MANAGEMENT, ConsulLab
from lab.damage import damaged


@pytest.fixture(scope="module")
def lab():
    with BackupLab(copies=False) as made:
        yield made


@pytest.fixture
def consul(lab):
    with ConsulLab(lab.authority) as made:
        made.put("app/one", "1")
        made.auth_methods.append("kubernetes")
        yield made


def source(lab, consul, token=MANAGEMENT):
    settings = replace(lab.settings, consul_address=consul.url)
    return ConsulSnapshots(settings, token=lambda: token, ca=consul.ca.read_text)


def tick(lab, consul, **how):
    lab.settings = replace(lab.settings, cluster=f"consul-{consul.url.rpartition(':')[2]}")
    message = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", lab.clock.now(), "test", {"take": True})
    return snapshot.run(lab.world(source(lab, consul, **how)), message)


def test_leader_version_and_counts_are_observed(lab, consul):
    seen = source(lab, consul).observe()

    assert (seen.leader, seen.version, seen.region) == ("127.0.0.1:8300", "1.21.4", "dc1")
    assert seen.index == consul.index
    assert seen.counts == {
        "nodes": 1,
        "services": 1,
        "keys": 1,
        "acl_tokens": 1,
        "acl_policies": 1,
        "acl_roles": 0,
        "auth_methods": 1,
    }


def test_no_keys_at_all_are_counted_as_none(lab, consul):
    consul.keys.clear()

    assert source(lab, consul).observe().counts["keys"] == 0


def test_a_snapshot_is_verified_without_a_digest_sealed_and_restores(lab, consul):
    (manifest,) = tick(lab, consul).taken

    assert manifest.name.product is Product.CONSUL
    assert not manifest.digest_announced
    keys = VaultDataKeys(lab.vault.url, KEY, credential=lab.identity(KEEPER), transport=lab.transport())
    name = manifest.name.blob(Part.ARCHIVE)
    archive = b"".join(keys.unwrap(manifest.key).open(name, lab.store(lab.account, KEEPER).read(manifest.tier, name)))
    consul.keys.clear()
    consul.auth_methods.clear()
    answer = requests.put(
        consul.url + "/v1/snapshot",
        data=archive,
        headers={"X-Consul-Token": MANAGEMENT},
        verify=str(consul.ca),
        timeout=10,
    )
    assert answer.status_code == 200
    assert (consul.keys, consul.auth_methods) == ({"app/one": "1"}, ["kubernetes"])


def test_a_token_without_the_right_is_named(lab, consul):
    consul.tokens["client"] = False

    (problem,) = tick(lab, consul, token="client").problems

    assert problem.startswith("right_missing: Consul refused a snapshot to the token in consul-snapshot-token")
    assert "management token" in problem


def test_without_a_leader_nothing_is_taken(lab, consul):
    consul.leader = ""

    assert tick(lab, consul).problems[0].startswith("no_leader")


def test_no_damaged_archive_is_kept_though_no_digest_tells(lab, consul):
    committed = []
    with source(lab, consul).archive() as arriving:
        sound = b"".join(arriving.chunks)
    for each in damaged(sound, 0):
        if each.digest is not None:
            continue  # what only a wrong digest shows is sound in itself
        consul.spoil = lambda _, body=each.body: body
        committed += tick(lab, consul).taken
    assert committed == []


def test_a_server_that_does_not_show_its_name_is_not_believed(lab, consul):
    settings = replace(lab.settings, consul_address=consul.url, consul_name="server.elsewhere.consul")
    wrong = ConsulSnapshots(settings, token=lambda: MANAGEMENT, ca=consul.ca.read_text)

    with pytest.raises(Exception, match="no answer from Consul") as caught:
        wrong.observe()
    assert not isinstance(caught.value, BadSnapshot) or caught.value.reason is Reason.UNREACHABLE
