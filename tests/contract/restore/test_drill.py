"""The drill: opens what the keeper sealed, restores where nothing can be reached, and says so when it could be."""

import importlib.util
import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from keeper.azure.sealing import OpenKey, fresh
from keeper.core.snapshots import WrappedKey
from lab.nomad.drills import can_isolate

ROOT = Path(__file__).resolve().parents[3]
DRILL = ROOT / "nomad-jobs" / "drill"
RECORDED = ROOT / "tests" / "recordings" / "nomad-1.6.5"


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


def plan(folder, archive):
    agent = folder / "nomad"
    agent.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m lab.nomad.agent "$@"\n')
    agent.chmod(0o755)
    (folder / "plan.json").write_text(json.dumps({"region": "global", "nomad": str(agent), "keystore": {}}))
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
