"""The drill: opens what the keeper sealed, restores where nothing can be reached, and says so when it could be."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keeper.azure.sealing import OpenKey, fresh
from keeper.core.canaries import Canary
from keeper.core.snapshots import WrappedKey
from lab.archives import archive_of
from lab.ca import Authority
from lab.clock import wall_clock
from lab.consul.archive import pack
from lab.consul.processes import ConsulProcess
from lab.consul.processes import binary as consul_binary
from lab.consul.server import ConsulLab
from lab.consul.state import Table
from lab.nomad.drills import can_isolate
from tests.contract.consul.playing import RECORDED as CONSUL_RECORDED
from tests.contract.consul.playing import Player
from tests.contract.consul.script import Step

ROOT = Path(__file__).resolve().parents[3]
DRILL = ROOT / "nomad-jobs" / "drill"
CANARY = Canary("prod", datetime(2026, 3, 1, 12, tzinfo=UTC))


def module(name):
    spec = importlib.util.spec_from_file_location(f"drill_{name}", DRILL / f"{name}.py")
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


sealed = module("sealed")
FRAME = 1024 * 1024
NAME = "prod/nomad/20260301T120000Z-000000001229.snap.enc"


def closed(secret, plain):
    seal = OpenKey(WrappedKey("k", "v", "a", b""), secret).seal(NAME)
    return seal.push(plain) + seal.end()


@pytest.mark.parametrize("size", [0, 1, FRAME - 1, FRAME, FRAME + 1, 2 * FRAME + 7])
@pytest.mark.parametrize("piece", [999_983, 8 * FRAME])
def test_it_opens_what_the_keeper_sealed_with_nothing_but_the_systems_openssl(size, piece):
    secret, plain = fresh(), os.urandom(size)
    blob = closed(secret, plain)
    pieces = [blob[at : at + piece] for at in range(0, len(blob), piece)]

    assert b"".join(sealed.opened(secret, NAME, pieces)) == plain


def test_it_opens_nothing_that_was_changed_moved_cut_or_sealed_for_another():
    secret = fresh()
    blob = closed(secret, os.urandom(2 * FRAME + 7))
    cut, flipped = blob[: FRAME + 28], bytearray(blob)
    flipped[len(blob) // 2] ^= 1
    for bad, name, key in (
        (cut, NAME, secret),
        (blob[:-1], NAME, secret),
        (bytes(flipped), NAME, secret),
        (blob, NAME.replace("prod", "test"), secret),
        (blob, NAME, fresh()),
        (b"GIF89a", NAME, secret),
        (b"", NAME, secret),
    ):
        with pytest.raises(sealed.Unreadable):
            b"".join(sealed.opened(key, name, [bad]))


def plan(folder, archive, product="nomad", binary=None):
    program = binary or folder / product
    if binary is None:
        program.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m lab.{product}.agent "$@"\n')
        program.chmod(0o755)
    said = {"product": product, "binary": str(program), "region": "dc1", "keystore": {}}
    (folder / "plan.json").write_text(json.dumps(said))
    (folder / "archive.snap").write_bytes(archive)


def run(folder, *before):
    subprocess.run(
        [*before, sys.executable, str(DRILL / "drill.py"), "inside", str(folder)],
        env={"PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=60,
        check=True,
    )
    return json.loads((folder / "found.json").read_text())


def test_with_a_way_out_no_server_is_started(tmp_path):
    plan(tmp_path, b"")
    (tmp_path / "nomad").write_text(f"#!/bin/sh\ntouch {tmp_path}/started\n")
    if len(socket.if_nameindex()) < 2:
        pytest.skip("this machine has no interface but loopback")

    said = run(tmp_path)

    assert (said["isolated"], said["restored"], (tmp_path / "started").exists()) == (False, False, False)
    assert "there is a way out" in said["problem"]


@pytest.mark.skipif(not can_isolate(), reason="network namespaces need root here")
def test_a_restored_server_is_looked_at_and_is_gone_afterwards(tmp_path, theatre):
    theatre.furnish(jobs=4)
    with theatre.target.source.archive() as arriving:
        archive = b"".join(arriving.chunks)
    plan(tmp_path, archive)

    said = run(tmp_path, "unshare", "--net", "--")

    assert (said["restored"], said["interfaces"]) == (True, ["lo"]), said
    assert (said["counts"]["jobs"], said["counts"]["variables"]) == (5, 2)
    assert said["counts"]["acl_tokens"] == len(theatre.side.request("GET", "/v1/acl/tokens"))
    assert said["canary"] is None
    assert "no such key" in said["trouble"]


@pytest.mark.skipif(not can_isolate(), reason="network namespaces need root here")
def test_what_is_no_archive_is_refused_in_the_servers_words(tmp_path):
    plan(tmp_path, b"not an archive")

    said = run(tmp_path, "unshare", "--net", "--")

    assert said["restored"] is False
    assert "Nomad refused the archive: 500" in said["problem"]


# Consul --------------------------------------------------------------------------------------------------------------


@pytest.fixture(params=["stand-in", "real"])
def consul(request, tmp_path):
    """A furnished server, and the program that a drill starts."""
    if request.param == "stand-in":
        with ConsulLab(Authority.create(tmp_path / "tls", wall_clock())) as side:
            yield Player(side), None
        return
    found = consul_binary()
    if found is None:
        pytest.skip("no Consul binary: set CONSUL_BIN, or put consul on PATH")
    with ConsulProcess(found) as side:
        yield Player(side), found


@pytest.mark.skipif(not can_isolate(), reason="network namespaces need root here")
def test_a_restored_consul_is_looked_at_with_a_token_that_it_never_had(tmp_path, consul):
    player, program = consul
    player.ask(Step("PUT", "kv/keeper/canary", body=CANARY.items()))
    plan(tmp_path, player.furnish(), "consul", program)

    said = run(tmp_path, "unshare", "--net", "--")

    assert (said["restored"], said["interfaces"], said["server_version"]) == (True, ["lo"], "1.19.2"), said
    assert said["counts"] == {
        "nodes": 1,
        "services": 1,
        "sessions": 1,
        "keys": 3,
        "acl_tokens": 5,
        "acl_policies": 5,
        "acl_roles": 0,
        "auth_methods": 1,
    }
    assert (Canary.of(said["canary"]), said["canary_job"], said["trouble"]) == (CANARY, None, "")


@pytest.mark.skipif(not can_isolate(), reason="network namespaces need root here")
def test_the_recorded_archive_of_a_real_consul_is_restored(tmp_path):
    plan(tmp_path, (CONSUL_RECORDED / "snapshot.snap").read_bytes(), "consul")

    said = run(tmp_path, "unshare", "--net", "--")

    assert (said["restored"], said["counts"]["keys"], said["counts"]["acl_tokens"]) == (True, 2, 5), said
    assert (said["canary"], said["trouble"]) == (None, "404")


@pytest.mark.skipif(not can_isolate(), reason="network namespaces need root here")
@pytest.mark.parametrize("how", ["a picture", "half", "state changed"])
def test_what_is_no_archive_of_consul_is_refused_in_its_words(tmp_path, consul, how):
    player, program = consul
    player.furnish()
    plan(tmp_path, player.archives[how], "consul", program)

    said = run(tmp_path, "unshare", "--net", "--")

    assert (said["restored"], said["interfaces"]) == (False, ["lo"])
    assert "Consul refused the archive: 500 failed to" in said["problem"]


@pytest.mark.skipif(not can_isolate(), reason="network namespaces need root here")
def test_a_sound_archive_of_a_state_that_ends_the_server_is_a_verdict_too(tmp_path):
    found = consul_binary()
    if found is None:
        pytest.skip("no Consul binary: set CONSUL_BIN, or put consul on PATH")
    plan(tmp_path, archive_of(b"no state of Consul"), "consul", found)

    said = run(tmp_path, "unshare", "--net", "--")

    assert said["restored"] is False
    assert "Consul broke off" in said["problem"]


def test_a_consul_that_tidied_up_before_all_was_seen_is_restored_once_more(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(DRILL))
    consuls = module("consuls")
    source = ConsulLab(name="consul-0")
    source.state.put(Table.SESSIONS, "s", {"ID": "s", "Node": "consul-0"})
    (tmp_path / "archive.snap").write_bytes(pack(source.state, 2))
    server = consuls.ConsulServer("consul", tmp_path, "dc1")
    with ConsulLab(name=consuls.OWN_NODE, management=server.token) as lab:
        server.url, server._process = lab.url, Running()
        counts, times = server.counts, iter(range(10))

        def late():
            if next(times) == 0:
                lab.tidy()
            return counts()

        server.counts = late
        server.restore(tmp_path / "archive.snap")

        seen = server.found()["counts"]

        assert (seen["nodes"], seen["sessions"], next(times)) == (1, 1, 2)


class Running:
    """A process that goes on."""

    def poll(self):
        return None
