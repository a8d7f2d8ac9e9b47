"""Consul comes back the same way, with its differences: its own version only, a key as canary, `acl = "write"`."""

from dataclasses import replace

import pytest

from keeper.controllers import restore
from keeper.core.operations import State
from keeper.core.restoring import LATEST
from keeper.errors import Transient, Unreachable
from lab.ca import Authority
from lab.clock import wall_clock
from lab.consul.processes import ConsulProcess, binary
from lab.consul.server import ConsulLab
from tests.contract.consul.script import TOKENS, Step
from tests.contract.restore.consul_theatre import ConsulTheatre
from tests.contract.restore.theatre import Killed


@pytest.fixture(params=["stand-in", "real"])
def consul(request, tmp_path):
    if request.param == "stand-in":
        with ConsulLab(Authority.create(tmp_path / "consul", wall_clock())) as lab:
            yield lab
        return
    found = binary()
    if found is None:
        pytest.skip("no Consul binary: set CONSUL_BIN, or put consul on PATH")
    with ConsulProcess(found) as side:
        yield side


@pytest.fixture
def stage(theatre, consul):
    made = ConsulTheatre(theatre.side, consul)
    made.furnish_consul()
    return made


def test_keys_auth_methods_and_tokens_come_back(stage):
    stem = stage.take()
    stage.asked.ask(Step("PUT", "kv/app/later", body="4"))

    done = stage.restored(stem)

    assert (done.state, stage.paths()) == (State.SUCCEEDED, ["app/one", "app/two", "keeper/canary"]), done.outcome
    assert [each["Name"] for each in stage.asked.ask(Step("GET", "acl/auth-methods")).json()] == ["workloads"]
    assert stage.asked.ask(Step("GET", "snapshot", "backup")).status_code == 200


def test_a_restore_can_be_undone(stage):
    stem = stage.take()
    stage.asked.ask(Step("PUT", "kv/app/later", body="4"))

    done = stage.restored(stem)
    undone = stage.restored(done.progress.undo)

    assert (undone.state, "app/later" in stage.paths()) == (State.SUCCEEDED, True), undone.outcome


def test_a_server_that_ends_in_mid_stream_is_asked_again_when_it_is_back(stage):
    stem = stage.take()
    stage.asked.ask(Step("PUT", "kv/app/later", body="4"))
    whole, ended = stage.consul.restore, []

    def restoring(archive, size):
        def cut():
            for piece in archive():
                yield piece[: len(piece) // 2]
                stage.server.crash()
                yield piece[len(piece) // 2 :]

        if ended:
            return whole(archive, size)
        try:
            return whole(cut, size)
        except Unreachable as exc:
            ended.append(str(exc))
            stage.server.start()
            raise

    stage.consul.restore = restoring

    done = stage.restored(stem)

    assert (done.state, stage.paths()) == (State.SUCCEEDED, ["app/one", "app/two", "keeper/canary"]), done.outcome
    assert ended[0].startswith("no answer from Consul for /v1/snapshot")


def test_a_restore_killed_at_any_write_is_finished_by_the_next(theatre, tmp_path):
    with ConsulLab(Authority.create(tmp_path / "consul", wall_clock())) as server:
        stage = ConsulTheatre(theatre.side, server)
        stage.furnish_consul()
        stem = stage.take()
        assert [killed(stage, stem, at) for at in range(1, 9)] == [True] * 8


def killed(stage, stem, at):
    """Whether the keeper could be killed at that write; then it goes on, and all is there."""
    save, writes, died = stage.records.save, iter(range(1, 1000)), False
    message = stage.ask(stem)

    def saving(name, body, *, version):
        if next(writes) == at:
            raise Killed
        return save(name, body, version=version)

    stage.records.save = saving
    try:
        restore.run(stage.world, message)
    except Killed:
        died = True
    except Transient:
        pass
    stage.records.save = save
    for name in ("cluster", "snapshot"):
        stage.leases.break_lease(name)
    done = stage.run(message)
    assert (done.state, stage.paths()) == (State.SUCCEEDED, ["app/one", "app/two", "keeper/canary"]), done.outcome
    return died


def test_the_restored_state_is_proven_with_a_former_token_when_it_knows_the_newest_not(stage, caplog):
    policies = [{"Name": "global-management"}]
    old, new = (f"33333333-0000-4000-8000-00000000000{n}" for n in (1, 2))
    accessor = "44444444-0000-4000-8000-000000000001"
    stage.asked.ask(Step("PUT", "acl/token", body={"AccessorID": accessor, "SecretID": old, "Policies": policies}))
    stage.hold(old)
    stem = stage.take()
    stage.asked.ask(Step("PUT", "acl/token", body={"SecretID": new, "Policies": policies}))
    stage.asked.ask(Step("DELETE", f"acl/token/{accessor}"))
    stage.hold(new, old)

    done = stage.restored(stem)

    assert done.state is State.SUCCEEDED, done.outcome
    assert '"event":"token.former_used","secret":"consul-restore-token"' in caplog.text


def test_a_token_that_nobody_ever_knew_is_named_with_its_secret(stage):
    stem = stage.take()
    stage.hold(TOKENS["unknown"], TOKENS["unknown"].replace("dead", "beef"))

    done = stage.restored(stem)

    assert done.state is State.FAILED
    assert "Consul does not know the token in consul-restore-token" in done.outcome
    assert "nor any of its 1 former enabled versions" in done.outcome


def test_another_version_is_refused_also_a_newer_one(stage):
    stem = stage.take()
    newer = replace(stage.consul.observe(), version="1.22.0")
    stage.consul.observe = lambda: newer

    assert "it is of Consul 1.19.2, the servers run 1.22.0 (force: other-version)" in stage.restored(stem).outcome
    assert stage.restored(stem, "other-version").state is State.SUCCEEDED


def test_a_token_that_may_not_restore_is_named_with_what_it_lacks(stage):
    stem = stage.take()
    stage.be("reader")

    done = stage.restored(stem)

    assert done.state is State.FAILED
    assert "consul-restore-token" in done.outcome
    assert 'acl = "write"' in done.outcome


def test_the_latest_is_found_by_its_product(stage):
    stem = stage.take()
    named = next(name for name, product in LATEST.items() if product == "consul")

    assert stage.restored(named, dry_run=True).plan["snapshot"] == stem
