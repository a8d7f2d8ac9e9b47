"""Servers that serve what the controller issued: the Nomad stand-in and, where there are any, real Nomad and Consul servers."""

import json
import subprocess
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest
from keepernode.tls import split_pem

from keeper.core.certificates import Audience
from lab.azure.tokens import Tenant
from lab.certificates import BASE, VaultRoom, access_of_consul, access_of_nomad
from lab.clock import wall_clock
from lab.consul.processes import binary as consul_program
from lab.nomad.http.tls import TlsFiles
from lab.nomad.processes import binary, free_network
from lab.nomad.server import NomadLab

TENANT = "0c0c0c0c-0000-4000-8000-000000000001"
START_SECONDS = 30


def make_room(**changes):
    return VaultRoom(Tenant(TENANT, wall_clock), wall_clock, settings=replace(BASE, **changes))


def files_of(room, audience, name, folder):
    """What a machine of that audience lays down, by the node program's own code."""
    trio = split_pem(room.value(audience, name), room.value(audience, "nomad-ca-bundle"))
    folder.mkdir(parents=True, exist_ok=True)
    for part, text in (("ca.pem", trio.bundle), ("cert.pem", trio.leaf), ("key.pem", trio.key)):
        (folder / part).write_text(text)
    return folder


@contextmanager
def standin_nomad(room, tmp_path):
    tls = files_of(room, Audience.SERVERS, "nomad-agent-tls", tmp_path / "nomad")
    lab = NomadLab(tls=TlsFiles(tls / "cert.pem", tls / "key.pem", tls / "ca.pem"), management_token="")
    lab.start()
    try:
        yield lab.url
    finally:
        lab.stop()


@contextmanager
def real_nomad(room, tmp_path):
    """One real server with the issued certificate and gossip key."""
    tls, address = files_of(room, Audience.SERVERS, "nomad-agent-tls", tmp_path / "nomad"), f"{free_network()}.1.1"
    gossip = room.value(Audience.SERVERS, "nomad-gossip-key")
    config = {
        "name": "nomad-0",
        "data_dir": str(tmp_path / "data"),
        "bind_addr": address,
        "advertise": {"http": address, "rpc": address, "serf": address},
        "acl": {"enabled": True},
        "leave_on_interrupt": False,
        "disable_update_check": True,
        "server": {"enabled": True, "bootstrap_expect": 1, "encrypt": gossip},
        "tls": {
            "http": True,
            "rpc": True,
            "verify_server_hostname": True,
            **{f"{part}_file": str(tls / f"{part}.pem") for part in ("ca", "cert", "key")},
        },
    }
    with running([str(binary()), "agent", "-config"], config, tmp_path):
        yield f"https://{address}:4646"


@contextmanager
def real_consul(room, tmp_path):
    """One real Consul server, configured as the node program does."""
    tls = files_of(room, Audience.SERVERS, "consul-agent-tls", tmp_path / "consul")
    address = f"{free_network()}.1.2"
    config = {
        "node_name": "consul-0",
        "data_dir": str(tmp_path / "consul-data"),
        "bind_addr": address,
        "client_addr": address,
        "ports": {"http": -1, "https": 8501, "dns": 8600, "grpc": -1, "grpc_tls": -1, "serf_wan": -1},
        "server": True,
        "bootstrap_expect": 1,
        "encrypt": room.value(Audience.SERVERS, "consul-gossip-key"),
        "disable_update_check": True,
        "acl": {"enabled": True, "default_policy": "deny", "enable_token_persistence": True},
        "tls": {
            "defaults": {
                **{f"{part}_file": str(tls / f"{part}.pem") for part in ("ca", "cert", "key")},
                "verify_incoming": True,
                "verify_outgoing": True,
            },
            "https": {"verify_incoming": False},
            "internal_rpc": {"verify_server_hostname": True},
        },
    }
    with running([str(consul_program()), "agent", "-config-file"], config, tmp_path):
        yield f"https://{address}:8501"


@contextmanager
def running(argv, config, tmp_path):
    """A process with its configuration in a file; ended by its id."""
    file = tmp_path / f"{config.get('name') or config['node_name']}.json"
    file.write_text(json.dumps(config))
    with (tmp_path / f"{file.stem}.log").open("wb") as log:
        process = subprocess.Popen([*argv, str(file)], stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


NOMADS = [
    pytest.param(standin_nomad, id="stand-in"),
    pytest.param(
        real_nomad,
        id="real",
        marks=[
            pytest.mark.nomad,
            pytest.mark.skipif(binary() is None, reason="no Nomad binary on PATH or in NOMAD_BIN"),
        ],
    ),
]


def join(room, nomad="", consul=""):
    """Tell the keeper where the servers are."""
    room.settings = replace(
        room.settings,
        nomad=replace(room.settings.nomad, address=nomad or "https://127.0.0.1:1"),
        snapshots=replace(room.settings.snapshots, consul_address=consul or "https://127.0.0.1:1"),
    )
    room.access = [*([access_of_nomad(room)] if nomad else []), *([access_of_consul(room)] if consul else [])]


def until(room, holds):
    """Tick as the timer would until it holds; a server takes seconds to lead."""
    deadline = time.monotonic() + START_SECONDS
    while True:
        outcome = room.tick()
        if holds(outcome):
            return outcome
        if time.monotonic() > deadline:
            raise TimeoutError(f"not after {START_SECONDS} s: {outcome}")
        time.sleep(0.3)
