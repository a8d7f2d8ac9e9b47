"""Nomad's configuration for the release at hand, 1.6 to 2.x. Pure: knobs in, files out.

Facts: servers never leave on a signal, clients drain on it; TLS on both protocols with host names verified and no
client certificate asked for over HTTPS (health probes have none, access control guards it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.hcl import Body, Value, render
from keepernode.knobs import ConsulMode, Role
from keepernode.machine import ROOT, File
from keepernode.places import CNI, DATA, NOMAD_CONFIG, TLS

if TYPE_CHECKING:
    from keepernode.here import Here
    from keepernode.knobs import Knobs, SealKey, Told

WORKLOAD_IDENTITY = (1, 7)
KEYRING_PROVIDERS = (1, 9)
CLIENT_INTRODUCTION = (1, 11)
NOMAD_TLS = f"{TLS}/nomad/current"


def since(version: str, release: tuple[int, int]) -> bool:
    """Tell whether `version` is `release` (major, minor) or later."""
    major, minor, *_ = version.split(".")
    return (int(major), int(minor)) >= release


def keeps_root_keys_as_files(told: Told) -> bool:
    """Tell whether this is a server whose root keys are files on its disk and in no snapshot: before 1.9 they are."""
    return told.role is Role.SERVER and not since(told.knobs.nomad_version, KEYRING_PROVIDERS)


def owner_of(role: Role) -> str:
    """Return whom Nomad runs as: clients manage cgroups and mounts and must be root, servers need nothing of that."""
    return ROOT if role is Role.CLIENT else "nomad"


def nomad_files(told: Told, here: Here) -> list[File]:
    """Return the configuration without secrets."""
    owner = owner_of(told.role)
    parts = {"10-agent.hcl": _agent(told, here)}
    if told.role is Role.SERVER:
        parts["20-server.hcl"] = _server(told.knobs)
    else:
        parts["20-client.hcl"] = _client(told.knobs, here)
    parts["30-consul.hcl"] = _consul(told)
    if told.knobs.vault_seal is not None:
        parts["40-vault.hcl"] = _vault(told)
    return [File(f"{NOMAD_CONFIG}/{name}", render(body), 0o640, owner) for name, body in parts.items()]


def gossip_file(key: str) -> File:
    """Return the one part that is secret: the key that servers encrypt their gossip with."""
    return File(f"{NOMAD_CONFIG}/50-gossip.hcl", render({"server": {"encrypt": key}}), 0o600, "nomad")


def consul_token_file(token: str, role: Role) -> File:
    """Return the token that Nomad registers itself in Consul with; secret."""
    return File(f"{NOMAD_CONFIG}/60-consul-token.hcl", render({"consul": {"token": token}}), 0o600, owner_of(role))


def _agent(told: Told, here: Here) -> Body:
    knobs, leaves = told.knobs, told.role is Role.CLIENT
    return {
        "name": here.name,
        "region": knobs.region,
        "datacenter": knobs.datacenter,
        "data_dir": f"{DATA}/nomad",
        "bind_addr": "0.0.0.0",  # noqa: S104 - the network rules say who may come; the health probe and loopback are two interfaces
        "disable_update_check": True,
        # A stop by systemd is SIGINT: a client drains. SIGTERM is how this program restarts a client in place: tasks stay.
        "leave_on_interrupt": leaves,
        "leave_on_terminate": False,
        "advertise": {"http": here.address, "rpc": here.address, "serf": here.address},
        "ports": {"http": knobs.ports.nomad_http, "rpc": knobs.ports.nomad_rpc, "serf": knobs.ports.nomad_serf},
        "acl": {"enabled": True},
        "tls": {
            "http": True,
            "rpc": True,
            "ca_file": f"{NOMAD_TLS}/ca.pem",
            "cert_file": f"{NOMAD_TLS}/cert.pem",
            "key_file": f"{NOMAD_TLS}/key.pem",
            "verify_server_hostname": True,
            "verify_https_client": False,
        },
        "telemetry": {
            "collection_interval": "10s",
            "prometheus_metrics": True,
            "publish_allocation_metrics": True,
            "publish_node_metrics": True,
        },
    }


def _join(knobs: Knobs) -> Body:
    return {
        "retry_join": [f"{peer.address}:{knobs.ports.nomad_serf}" for peer in knobs.servers],
        "retry_interval": "10s",
    }


def _server(knobs: Knobs) -> Body:
    server: dict[str, Value] = {
        "enabled": True,
        "bootstrap_expect": len(knobs.servers),
        "server_join": _join(knobs),
    }
    if since(knobs.nomad_version, CLIENT_INTRODUCTION):
        server["client_introduction"] = {"enforcement": knobs.client_introduction}
    body: dict[str, Value] = {"server": server}
    if knobs.keyring_key is not None and since(knobs.nomad_version, KEYRING_PROVIDERS):
        body['keyring "azurekeyvault"'] = {"active": True, **key_vault_key(knobs.keyring_key, knobs)}
    return body


def key_vault_key(key: SealKey, knobs: Knobs) -> dict[str, Value]:
    """Return how Nomad and Vault name a wrapping key; the identity itself comes from AZURE_CLIENT_ID too."""
    return {
        "tenant_id": key.tenant_id,
        "client_id": knobs.identity_client_id,
        "vault_name": key.vault_name,
        "key_name": key.key_name,
    }


def _client(knobs: Knobs, here: Here) -> Body:
    meta = {
        **knobs.node_meta,
        "keeper_pool": knobs.pool,
        "zone": here.zone,
        "priority": here.priority.lower(),
        "scale_set": here.scale_set,
    }
    return {
        "client": {
            "enabled": True,
            "node_pool": knobs.node_pool,
            "node_class": knobs.node_class,
            "cni_path": CNI,
            "min_dynamic_port": knobs.ports.dynamic_first,
            "max_dynamic_port": knobs.ports.dynamic_last,
            "server_join": {
                "retry_join": [f"{peer.address}:{knobs.ports.nomad_rpc}" for peer in knobs.servers],
                "retry_interval": "10s",
            },
            "drain_on_shutdown": {
                "deadline": f"{knobs.drain_deadline_seconds}s",
                "force": False,
                "ignore_system_jobs": True,
            },
            "reserved": {
                "cpu": 200,
                "memory": 512,
                "disk": 2048,
                "reserved_ports": f"22,{knobs.ports.health},{knobs.ports.metrics}",
            },
            "meta": {name: text for name, text in sorted(meta.items()) if text},
        },
        'plugin "docker"': {
            "config": {"allow_privileged": False, "volumes": {"enabled": False}, "gc": {"image_delay": "1h"}}
        },
    }


def _consul(told: Told) -> Body:
    knobs = told.knobs
    if knobs.consul is ConsulMode.OFF:
        off = {"auto_advertise": False, "server_auto_join": False, "client_auto_join": False}
        return {"consul": off}
    consul: dict[str, Value] = {
        "address": f"127.0.0.1:{knobs.ports.consul_http}",
        "grpc_address": f"127.0.0.1:{knobs.ports.consul_grpc}",
        "server_auto_join": False,
        "client_auto_join": False,
    }
    if since(knobs.nomad_version, WORKLOAD_IDENTITY):
        if told.role is Role.SERVER:
            consul["service_identity"] = {"aud": ["consul.io"], "ttl": "1h"}
            consul["task_identity"] = {"aud": ["consul.io"], "ttl": "1h"}
        else:
            consul["service_auth_method"] = "nomad-workloads"
            consul["task_auth_method"] = "nomad-workloads"
    return {"consul": consul}


def _vault(told: Told) -> Body:
    knobs = told.knobs
    vault: dict[str, Value] = {
        "enabled": True,
        "address": f"https://{knobs.servers[0].address}:{knobs.ports.vault_api}",
        "ca_file": f"{NOMAD_TLS}/ca.pem",
    }
    if told.role is Role.SERVER and since(knobs.nomad_version, WORKLOAD_IDENTITY):
        vault["default_identity"] = {"aud": ["vault.io"], "ttl": "1h"}
    return {"vault": vault}
