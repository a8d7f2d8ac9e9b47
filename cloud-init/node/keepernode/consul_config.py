"""Consul's configuration, 1.16 to 1.22: servers co-located or on their own, an agent on every other machine. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from keepernode.knobs import ConsulMode, Peer, Role, since
from keepernode.machine import File
from keepernode.places import CONSUL_CONFIG, DATA, TLS

if TYPE_CHECKING:
    from keepernode.here import Here
    from keepernode.knobs import Knobs, Told

CONSUL_TLS = f"{TLS}/consul/current"
OWNER = "consul"
DNS_TOKEN = (1, 17)
"""The first release that has a token of its own for DNS (https://developer.hashicorp.com/consul/docs/release-notes)."""


def runs_consul(told: Told) -> bool:
    """Tell whether this machine runs a Consul agent at all."""
    return told.knobs.consul is not ConsulMode.OFF


def is_consul_server(told: Told) -> bool:
    """Tell whether this machine is one of Consul's servers."""
    home = {ConsulMode.COLOCATED: Role.SERVER, ConsulMode.DEDICATED: Role.CONSUL}
    return home.get(told.knobs.consul) is told.role


def consul_servers(knobs: Knobs) -> tuple[Peer, ...]:
    """Return Consul's servers, wherever they are."""
    return knobs.servers if knobs.consul is ConsulMode.COLOCATED else knobs.consul_servers


def consul_files(told: Told, here: Here) -> list[File]:
    """Return the configuration without secrets."""
    knobs, serves = told.knobs, is_consul_server(told)
    ports = knobs.ports
    body: dict[str, object] = {
        "node_name": here.name,
        "datacenter": knobs.consul_datacenter,
        "data_dir": f"{DATA}/consul",
        "bind_addr": here.address,
        "client_addr": "127.0.0.1",
        "addresses": {"https": "0.0.0.0", "dns": "0.0.0.0"} if serves else {},  # noqa: S104 - the network rules say who may come
        "ports": {
            "server": ports.consul_rpc,
            "serf_lan": ports.consul_serf_lan,
            "serf_wan": ports.consul_serf_wan,
            "http": ports.consul_http,
            "https": ports.consul_https,
            "grpc": ports.consul_grpc,
            "dns": ports.consul_dns,
        },
        "server": serves,
        "retry_join": [peer.address for peer in consul_servers(knobs)],
        # A server must still be a member after its reboot; a client that stops is gone for good or comes back by itself.
        "leave_on_terminate": not serves,
        "skip_leave_on_interrupt": serves,
        "disable_update_check": True,
        "acl": {"enabled": True, "default_policy": "deny", "enable_token_persistence": True},
        "connect": {"enabled": knobs.consul_mesh},
        "tls": {
            "defaults": {
                "ca_file": f"{CONSUL_TLS}/ca.pem",
                "cert_file": f"{CONSUL_TLS}/cert.pem",
                "key_file": f"{CONSUL_TLS}/key.pem",
                "verify_incoming": True,
                "verify_outgoing": True,
            },
            "https": {"verify_incoming": False},
            "grpc": {"verify_incoming": False, "use_auto_cert": False},
            "internal_rpc": {"verify_server_hostname": True},
        },
        "telemetry": {"prometheus_retention_time": "60s", "disable_hostname": True},
    }
    if serves:
        body["bootstrap_expect"] = len(consul_servers(knobs))
    return [File(f"{CONSUL_CONFIG}/10-agent.json", _json(body), 0o640, OWNER)]


def gossip_file(key: str) -> File:
    """Return the key of the gossip; secret."""
    return File(f"{CONSUL_CONFIG}/50-gossip.json", _json({"encrypt": key}), 0o600, OWNER)


def token_file(told: Told, token: str) -> File:
    """Return the agent's own token, by which it also answers DNS: a nameless question would find no service; secret."""
    uses = ["agent", "dns"] if since(told.knobs.consul_version, DNS_TOKEN) else ["agent"]
    body = {"acl": {"tokens": dict.fromkeys(uses, token)}}
    return File(f"{CONSUL_CONFIG}/60-token.json", _json(body), 0o600, OWNER)


def _json(body: object) -> str:
    return json.dumps(body, indent=2) + "\n"
