"""Consul's snapshots: the keeper's source in front of the stand-in and of a real Consul, and the whole way into storage."""

from dataclasses import replace
from datetime import timedelta

import pytest

from keeper.azure.data_keys import VaultDataKeys
from keeper.consul.connection import NoLeader
from keeper.consul.restoring import ConsulCanaries, ConsulRestore
from keeper.consul.snapshots import ConsulSnapshots
from keeper.controllers import snapshot
from keeper.core.canaries import Canary
from keeper.core.messages import Controller, Kind, Message
from keeper.core.snapshots import BadSnapshot, Part, Product, Reason
from keeper.errors import Forbidden, KeeperError, Permanent
from lab.backups import KEEPER, KEY, BackupLab
from lab.clock import wall_clock
from lab.consul.server import MANAGEMENT
from lab.damage import damaged
from tests.contract.consul.playing import Player
from tests.contract.consul.script import TOKENS, archives

COUNTS = {
    "nodes": 1,
    "services": 1,
    "sessions": 1,
    "keys": 2,
    "acl_tokens": 5,
    "acl_policies": 5,
    "acl_roles": 0,
    "auth_methods": 1,
}


@pytest.fixture(scope="module")
def lab():
    with BackupLab(copies=False) as made:
        yield made


@pytest.fixture
def consul(either):
    Player(either).furnish()
    return either


@pytest.fixture
def stand_in(begin):
    with begin("stand-in") as side:
        Player(side).furnish()
        yield side


def source(lab, consul, who="management", kind=ConsulSnapshots):
    settings = replace(lab.settings, consul_address=consul.url)
    return kind(settings, token=lambda: TOKENS[who], ca=consul.ca.read_text)


def tick(lab, consul, **how):
    lab.settings = replace(lab.settings, cluster=f"consul-{consul.url.rpartition(':')[2]}")
    message = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", lab.clock.now(), "test", {"take": True})
    return snapshot.run(lab.world(source(lab, consul, **how)), message)


def opened(lab, manifest):
    keys = VaultDataKeys(lab.vault.url, KEY, credential=lab.identity(KEEPER), transport=lab.transport())
    name = manifest.name.blob(Part.ARCHIVE)
    return b"".join(keys.unwrap(manifest.key).open(name, lab.store(lab.account, KEEPER).read(manifest.tier, name)))


def restore(lab, consul, archive, who="management"):
    source(lab, consul, who, ConsulRestore).restore(lambda: iter([archive]), len(archive))


def keys(lab, consul):
    return source(lab, consul).observe().counts["keys"]


# What is there -------------------------------------------------------------------------------------------------------


def test_leader_version_and_counts_are_observed(lab, consul):
    seen = source(lab, consul).observe()

    assert (seen.version, seen.region, seen.right) == ("1.19.2", "dc1", 'acl = "write"')
    assert seen.leader.startswith("127.0.0.1:")
    assert seen.index > 1
    assert seen.counts == COUNTS


def test_what_a_token_may_not_see_is_not_counted_as_nothing(lab, consul):
    with pytest.raises(BadSnapshot, match="'agent:read'"):
        source(lab, consul, "backup").observe()
    rules = 'acl = "write" agent_prefix "" { policy = "read" } key_prefix "app/o" { policy = "read" }'
    Player(consul).ask(put("acl/policy", {"Name": "narrow", "Rules": rules}))
    Player(consul).ask(put("acl/token", {"SecretID": TOKENS["unknown"], "Policies": [{"Name": "narrow"}]}))

    seen = source(lab, consul, "unknown").observe()

    assert seen.counts.keys() == {"acl_tokens", "acl_policies", "acl_roles", "auth_methods"}


def test_how_many_servers_there_are_is_told(lab, consul):
    assert source(lab, consul, kind=ConsulRestore).servers() == 1


# Saving and restoring -------------------------------------------------------------------------------------------------


def test_a_snapshot_is_verified_without_a_digest_sealed_and_restores(lab, consul):
    (manifest,) = tick(lab, consul).taken

    assert manifest.name.product is Product.CONSUL
    assert not manifest.digest_announced
    assert manifest.counts == {kind: (count, count) for kind, count in COUNTS.items()}
    archive = opened(lab, manifest)
    Player(consul).ask(put("kv/app/later", "4"))
    assert keys(lab, consul) == 3
    restore(lab, consul, archive)
    assert keys(lab, consul) == 2


def test_a_token_that_may_write_acls_is_enough_to_save_and_to_restore(lab, consul):
    with source(lab, consul, "backup").archive() as arriving:
        archive = b"".join(arriving.chunks)

    restore(lab, consul, archive, "backup")

    assert keys(lab, consul) == 2


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("none", "anonymous token lacks permission 'agent:read'"),
        ("nobody", "lacks permission 'agent:read'"),
        ("reader", "Consul refused /v1/snapshot to the token in consul-snapshot-token: Permission denied: token with"),
        ("unknown", "Consul does not know the token in consul-snapshot-token"),
    ],
)
def test_a_token_without_the_right_is_named_with_what_it_lacks(lab, consul, who, said):
    (problem,) = tick(lab, consul, who=who).problems

    assert problem.startswith("right_missing: ")
    assert said in problem
    assert 'it needs acl = "write"' in problem
    assert len(problem.splitlines()) == 1
    with pytest.raises(Forbidden, match='it needs acl = "write"'):
        restore(lab, consul, b"GIF89a", who)


@pytest.mark.parametrize(
    "how", ["empty", "a picture", "text", "half", "without its last bytes", "with a byte behind it", "state changed"]
)
def test_what_is_no_snapshot_is_refused_for_good_and_changes_nothing(lab, consul, how):
    with source(lab, consul).archive() as arriving:
        archive = archives(b"".join(arriving.chunks))[how]
    Player(consul).ask(put("kv/app/later", "4"))

    with pytest.raises(Permanent, match=r"refused the archive: .*500"):
        restore(lab, consul, archive)

    assert keys(lab, consul) == 3


@pytest.mark.parametrize("kind", ["stand-in", "real"])
def test_without_a_leader_nothing_is_taken_and_a_restore_is_tried_again(lab, begin, kind):
    with begin(kind, expected=2) as consul:
        assert tick(lab, consul).problems[0].startswith("no_leader")
        with pytest.raises(BadSnapshot) as caught, source(lab, consul).archive():
            pass
        assert caught.value.reason is Reason.NO_LEADER
        with pytest.raises(NoLeader):
            restore(lab, consul, b"GIF89a")
        assert source(lab, consul, kind=ConsulRestore).found().leader == ""


# The canary ----------------------------------------------------------------------------------------------------------


def test_the_canary_key_is_kept_found_after_a_restore_and_told_from_garbage(lab, consul):
    kept = source(lab, consul, kind=ConsulCanaries)
    canary = Canary("prod", wall_clock().replace(microsecond=0) - timedelta(hours=1))
    assert kept.read() is None
    kept.write(canary)

    assert Canary.of(kept.read()) == canary
    assert Canary.of(source(lab, consul, kind=ConsulRestore).found().canary) == canary
    for garbage in ("no JSON", "[]", "{}"):
        Player(consul).ask(put("kv/keeper/canary", garbage))
        assert not kept.read()


def test_a_token_that_may_not_keep_the_canary_is_told_the_right(lab, consul):
    kept = source(lab, consul, "backup", ConsulCanaries)

    for call in (kept.read, lambda: kept.write(Canary("prod", wall_clock()))):
        with pytest.raises(Forbidden, match=r'key "keeper/canary" \{ policy = "write" \}'):
            call()


@pytest.mark.parametrize("kind", ["stand-in", "real"])
def test_servers_without_acls_are_saved_restored_and_looked_at_all_the_same(lab, begin, kind):
    canary = Canary("prod", wall_clock().replace(microsecond=0))
    with begin(kind, acls=False) as consul:
        kept = source(lab, consul, kind=ConsulCanaries)
        kept.write(canary)
        (manifest,) = tick(lab, consul).taken
        kept.write(replace(canary, cluster="another"))

        restore(lab, consul, opened(lab, manifest))
        found = source(lab, consul, kind=ConsulRestore).found()

    assert manifest.counts.keys() == {"nodes", "services", "sessions", "keys"}
    assert (Canary.of(found.canary), found.counts["keys"]) == (canary, 1)


# What only a stand-in does on demand ----------------------------------------------------------------------------------


def test_a_server_that_breaks_off_in_mid_stream_leaves_nothing(lab, stand_in):
    for at in (0, 5, 400, 1200):
        stand_in.cut = at

        outcome = tick(lab, stand_in)

        assert (outcome.taken, len(outcome.problems)) == ((), 1)
        assert outcome.problems[0].startswith(("cut_short", "unreachable"))


def test_an_error_behind_half_an_archive_is_no_archive(lab, stand_in):
    stand_in.spoil = lambda archive: archive[: len(archive) // 2] + b"failed to stream snapshot: broken pipe"

    outcome = tick(lab, stand_in)

    assert outcome.taken == ()
    assert outcome.problems[0].startswith(("corrupt", "cut_short"))


def test_no_damaged_archive_is_kept_though_no_digest_tells(lab, stand_in):
    committed = []
    with source(lab, stand_in).archive() as arriving:
        sound = b"".join(arriving.chunks)
    for each in damaged(sound, 0):
        if each.digest is not None:
            continue  # what only a wrong digest shows is sound in itself
        stand_in.spoil = lambda _, body=each.body: body
        committed += tick(lab, stand_in).taken
    assert committed == []


def test_a_server_that_does_not_show_its_name_is_not_believed(lab, consul):
    settings = replace(lab.settings, consul_address=consul.url, consul_name="server.elsewhere.consul")
    wrong = ConsulSnapshots(settings, token=lambda: MANAGEMENT, ca=consul.ca.read_text)

    with pytest.raises(KeeperError, match="no answer from Consul"):
        wrong.observe()


def put(path, body):
    from tests.contract.consul.script import Step  # noqa: PLC0415 -- only here

    return Step("PUT", path, body=body)
