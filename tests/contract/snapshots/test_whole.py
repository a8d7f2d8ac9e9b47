"""The whole way: a Nomad, the keeper's own adapters over https, Key Vault, two accounts that refuse what immutable ones refuse."""

import hashlib
from datetime import timedelta

import pytest
import requests
from azure.core.exceptions import HttpResponseError

from keeper.azure.data_keys import VaultDataKeys
from keeper.controllers import snapshot
from keeper.core.messages import Controller, Kind, Message
from keeper.core.snapshots import BadSnapshot, Part, Product, Reason
from keeper.errors import Permanent
from lab.backups import COPIER, KEEPER, KEY
from lab.damage import members_of
from lab.storage.worm import Fault


@pytest.fixture(params=["stand-in", pytest.param("real", marks=pytest.mark.nomad)])
def nomad(request, lab):
    return request.getfixturevalue("stand_in" if request.param == "stand-in" else "real")


def tick(lab, *sources, kind=Kind.NUDGE, **detail):
    lab.settings = detail.pop("settings", lab.settings)
    message = Message(kind, Controller.SNAPSHOT, "test", lab.clock.now(), "test", {"take": True, **detail})
    return snapshot.run(lab.world(*sources), message)


def opened(lab, manifest, account=None, principal=KEEPER):
    store = lab.store(account or lab.account, principal)
    keys = VaultDataKeys(lab.vault.url, KEY, credential=lab.identity(KEEPER), transport=lab.transport())
    name = manifest.name.blob(Part.ARCHIVE)
    return b"".join(keys.unwrap(manifest.key).open(name, store.read(manifest.tier, name)))


def restored(side, archive):
    return requests.put(
        side.url + "/v1/operator/snapshot",
        data=archive,
        headers={"X-Nomad-Token": side.management_token},
        verify=str(side.authority),
        timeout=30,
    )


def forget(lab):
    """Each Nomad has its own indexes, so each gets a cluster name of its own."""
    from dataclasses import replace  # noqa: PLC0415 -- only here

    forget.number = getattr(forget, "number", 0) + 1
    lab.settings = replace(lab.settings, cluster=f"whole-{forget.number}")


@pytest.fixture(autouse=True)
def fresh(lab):
    forget(lab)
    lab.leases.break_lease("snapshot")
    yield
    for account in (lab.account, lab.second):
        account.fault = lambda _: None
    assert lab.account.journal.forbidden == []
    assert lab.second.journal.forbidden == []


def test_a_snapshot_passes_is_sealed_copied_and_restores(lab, nomad):
    nomad.request("PUT", "/v1/var/canary", {"Path": "canary", "Items": {"word": "tweet-of-a-canary"}})

    (manifest,) = tick(lab, lab.nomad_source(nomad)).taken

    archive = opened(lab, manifest)
    assert hashlib.sha256(archive).hexdigest() == manifest.archive_sha256
    assert set(members_of(archive)) == {"meta.json", "state.bin", "SHA256SUMS"}
    assert opened(lab, manifest, lab.second, COPIER) == archive
    assert manifest.counts["variables"][0] >= 1
    assert manifest.counts["acl_tokens"][0] >= 3
    assert (manifest.server_version, manifest.right) == ("1.6.5", "management token")
    assert restored(nomad, archive).status_code == 200


def test_the_leader_is_asked_through_any_server(lab, nomad):
    (manifest,) = tick(lab, lab.nomad_source(nomad)).taken

    assert manifest.leader == nomad.request("GET", "/v1/status/leader")


def test_no_byte_of_state_is_readable_where_it_lies(lab, nomad):
    nomad.request("PUT", "/v1/acl/policy/tell-tale", {"Name": "tell-tale", "Rules": 'node { policy = "read" }'})
    (manifest,) = tick(lab, lab.nomad_source(nomad)).taken
    store = lab.store(lab.account, KEEPER)

    lying = b"".join(store.read(manifest.tier, manifest.name.blob(Part.ARCHIVE)))
    assert b"\x1f\x8b\x08" not in lying[:64]
    assert nomad.management_token.encode() not in lying


def test_a_token_without_the_right_is_named_with_its_secret(lab, nomad):
    (problem,) = tick(lab, lab.nomad_source(nomad, token=nomad.keeper_token)).problems

    assert problem.startswith("right_missing: Nomad refused a snapshot to the token in nomad-snapshot-token")
    assert "management token before Nomad 1.11.3" in problem
    assert "snapshot-save" in problem


def test_what_a_small_token_is_not_shown_is_not_counted_as_nothing(lab, nomad):
    nomad.request("PUT", "/v1/var/app/1", {"Path": "app/1", "Items": {"k": "v"}})
    nomad.request("PUT", "/v1/acl/policy/operator", {"Name": "operator", "Rules": 'operator { policy = "write" }'})
    small = {"Name": "small", "Type": "client", "Policies": ["operator"]}
    token = nomad.request("PUT", "/v1/acl/token", small)["SecretID"]

    whole = lab.nomad_source(nomad).observe().counts
    seen = lab.nomad_source(nomad, token=token).observe().counts

    assert whole["variables"] >= 1
    assert whole["acl_policies"] >= 3
    assert seen == {kind: whole[kind] for kind in ("jobs", "nodes")}


def test_a_timer_whose_tick_failed_fails(lab, stand_in):
    with pytest.raises(Permanent, match="right_missing"):
        tick(lab, lab.nomad_source(stand_in, token="none"), kind=Kind.TIMER)


def test_a_server_that_is_gone_is_said_to_be(lab, stand_in):
    source = lab.nomad_source(stand_in)
    source._keeper._settings = type(source._keeper._settings)(
        address="https://127.0.0.1:9", timeout=timedelta(seconds=1)
    )

    assert tick(lab, source).problems[0].startswith("no_leader")


def test_an_older_snapshot_opens_after_the_key_was_rotated(lab, stand_in):
    (old,) = tick(lab, lab.nomad_source(stand_in)).taken
    lab.key_client.rotate_key(KEY)
    (new,) = tick(lab, lab.nomad_source(stand_in)).taken

    assert old.key.version != new.key.version
    assert old.key.key == new.key.key
    assert len(opened(lab, old)) == old.archive_bytes
    assert len(opened(lab, new)) == new.archive_bytes


def test_a_disabled_key_is_said_before_the_leader_is_burdened(lab, stand_in):
    version = lab.key_client.get_key(KEY).properties.version
    lab.key_client.update_key_properties(KEY, version, enabled=False)
    try:
        (problem,) = tick(lab, lab.nomad_source(stand_in)).problems
    finally:
        lab.key_client.update_key_properties(KEY, version, enabled=True)

    assert problem.startswith("key_unusable")


def test_an_expired_key_version_is_said(lab, stand_in):
    from datetime import UTC, datetime  # noqa: PLC0415 -- only here

    version = lab.key_client.get_key(KEY).properties.version
    lab.key_client.update_key_properties(KEY, version, expires_on=datetime(2020, 1, 1, tzinfo=UTC))
    try:
        (problem,) = tick(lab, lab.nomad_source(stand_in)).problems
    finally:
        lab.key_client.update_key_properties(KEY, version, expires_on=datetime(2999, 1, 1, tzinfo=UTC))

    assert problem.startswith("key_unusable")


def test_a_busy_vault_is_said_and_the_next_look_succeeds(lab, stand_in):
    lab.vault.vault.throttle(1)
    source = lab.nomad_source(stand_in)

    assert tick(lab, source).problems[0].startswith("key_unreachable")
    assert tick(lab, source).taken


def test_a_version_that_was_disabled_since_does_not_open_and_is_named(lab, stand_in):
    (manifest,) = tick(lab, lab.nomad_source(stand_in)).taken
    keys = VaultDataKeys(lab.vault.url, KEY, credential=lab.identity(KEEPER), transport=lab.transport())
    lab.key_client.update_key_properties(KEY, manifest.key.version, enabled=False)
    try:
        with pytest.raises(BadSnapshot) as caught:
            keys.unwrap(manifest.key)
    finally:
        lab.key_client.update_key_properties(KEY, manifest.key.version, enabled=True)

    assert caught.value.reason is Reason.KEY_UNUSABLE
    assert manifest.key.version in caught.value.what
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("fault", [Fault.FORBIDDEN, Fault.FULL, Fault.THROTTLED])
@pytest.mark.parametrize("comp", ["block", "blocklist"])
def test_storage_that_refuses_leaves_nothing_and_the_next_run_succeeds(lab, stand_in, fault, comp):
    source = lab.nomad_source(stand_in)
    lab.account.fail(*[fault] * 5, when=lambda call: call.comp == comp)

    (problem,) = tick(lab, source).problems

    assert problem.startswith("storage_")
    assert lab.store(lab.account, KEEPER).listing(lab.settings.cluster).held == ()
    lab.account.fault = lambda _: None
    assert tick(lab, source).taken


def test_a_second_account_that_refuses_costs_the_copy_only_and_it_is_made_up_for(lab, stand_in):
    source = lab.nomad_source(stand_in)
    lab.second.fail(*[Fault.FORBIDDEN] * 5, when=lambda call: call.method == "PUT")

    outcome = tick(lab, source)

    assert len(outcome.taken) == 1
    assert outcome.problems[0].startswith("storage_refused")
    lab.second.fault = lambda _: None
    tick(lab, source)
    copies = lab.store(lab.second, COPIER).listing(lab.settings.cluster)
    assert outcome.taken[0].name in {held.name for held in copies.verified(Product.NOMAD)}


def test_bad_minutes_of_storage_cost_nothing(lab, stand_in):
    for account in (lab.account, lab.second):
        account.fail(Fault.BUSY, Fault.RESET, Fault.ANSWER_LOST, when=lambda call: call.method in {"PUT", "GET"})

    outcome = tick(lab, lab.nomad_source(stand_in))

    assert len(outcome.taken) == 1
    assert outcome.problems == ()


def test_expired_snapshots_are_swept_in_both_accounts_and_nothing_forbidden_is_tried(lab, stand_in):
    source = lab.nomad_source(stand_in)
    for _ in range(5):
        assert tick(lab, source).taken
        lab.clock.ahead += timedelta(hours=1)
        lab.account.ahead = lab.second.ahead = lab.clock.ahead
    lab.clock.ahead += timedelta(days=370)
    lab.account.ahead = lab.second.ahead = lab.clock.ahead
    try:
        outcome = tick(lab, source)
        kept = [lab.store(each, KEEPER).listing(lab.settings.cluster).held for each in (lab.account, lab.second)]
    finally:
        lab.clock.ahead = lab.account.ahead = lab.second.ahead = timedelta()

    assert "deleted 3 expired, 0 kept by policy" in outcome.sentence
    assert [len(held) for held in kept] == [3, 3]


def test_a_wrapped_key_opens_with_its_own_version_only(lab):
    keys = VaultDataKeys(lab.vault.url, KEY, credential=lab.identity(KEEPER), transport=lab.transport())
    made = keys.new()
    from dataclasses import replace  # noqa: PLC0415 -- only here

    assert keys.unwrap(made.wrapped)._secret == made._secret
    with pytest.raises(BadSnapshot) as caught:
        keys.unwrap(replace(made.wrapped, wrapped=bytes(256)))
    assert caught.value.reason is Reason.KEY_UNUSABLE
    with pytest.raises(BadSnapshot):
        VaultDataKeys(lab.vault.url, "missing", credential=lab.identity(KEEPER), transport=lab.transport()).new()


def test_the_key_cannot_be_asked_for_its_private_part(lab):
    with pytest.raises(HttpResponseError):
        lab.key_client.get_key(KEY, version="0" * 32)
    assert lab.key_client.get_key(KEY).key.d is None
