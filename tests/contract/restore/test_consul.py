"""Consul comes back the same way, with its differences: its own version only, no canaries, a management token."""

from dataclasses import replace

import pytest

from keeper.consul.restoring import ConsulRestore
from keeper.core.operations import State
from keeper.core.restoring import LATEST
from keeper.errors import Permanent
from keeper.restore_ports import Restores
from keeper.snapshot_ports import Snapshots
from lab.ca import Authority
from lab.clock import wall_clock
from lab.consul.server import MANAGEMENT, ConsulLab
from tests.contract.restore.theatre import Theatre


class ConsulTheatre(Theatre):
    """The same world around Consul."""

    def __init__(self, side, consul):
        super().__init__(side)
        changed = replace(self.settings.snapshots, consul_address=consul.url)
        self.settings = replace(self.settings, snapshots=changed)
        self.consul = ConsulRestore(changed, token=lambda: MANAGEMENT, ca=consul.ca.read_text)

    @property
    def world(self):
        whole = super().world
        backups = Snapshots(sources=(self.consul,), store=self.store, copies=None, keys=self.keys)
        restores = Restores(
            targets=(self.consul,), canaries=self.canaries, keystores=self.keystores, drills=whole.restores.drills
        )
        return replace(whole, snapshots=backups, restores=restores)


@pytest.fixture
def consul(tmp_path):
    with ConsulLab(Authority.create(tmp_path / "consul", wall_clock())) as lab:
        yield lab


@pytest.fixture
def stage(theatre, consul):
    return ConsulTheatre(theatre.side, consul)


def test_keys_auth_methods_and_tokens_come_back(stage, consul):
    consul.auth_methods.append("nomad-workloads")
    consul.put("app/a", "1")
    stem = stage.take()
    consul.keys, consul.auth_methods = {}, []

    done = stage.restored(stem)

    assert (done.state, consul.keys, consul.auth_methods) == (State.SUCCEEDED, {"app/a": "1"}, ["nomad-workloads"])


def test_another_version_is_refused_also_a_newer_one(stage, consul):
    stem = stage.take()
    consul.version = "1.22.0"

    assert "it is of Consul 1.21.4, the servers run 1.22.0 (force: other-version)" in stage.restored(stem).outcome
    assert stage.restored(stem, "other-version").state is State.SUCCEEDED


def test_the_latest_is_found_by_its_product(stage):
    stem = stage.take()
    named = next(name for name, product in LATEST.items() if product == "consul")

    assert stage.restored(named, dry_run=True).plan["snapshot"] == stem


def test_what_consul_cannot_restore_is_no_lost_leader(stage):
    with pytest.raises(Permanent, match="refused the archive"):
        stage.consul.restore(lambda: iter([b"GIF89a"]), 6)
