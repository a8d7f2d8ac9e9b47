"""Nomad's configuration for the release at hand, 1.6 to 2.x. Pure: knobs in, files out.

Facts: servers never leave on a signal, clients drain on it; TLS on both protocols with host names verified and no
client certificate asked for over HTTPS (health probes have none, access control guards it).
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from zlib import crc32

from keepernode import vaulted
from keepernode.hcl import Body, Value, render
from keepernode.knobs import ConsulMode, Role, since
from keepernode.machine import ROOT, File
from keepernode.places import CNI, DATA, FILES, NOMAD_CONFIG, TLS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from keepernode.here import Here
    from keepernode.knobs import Knobs, SealKey, Told

WORKLOAD_IDENTITY = (1, 7)
KEYRING_PROVIDERS = (1, 9)
CLIENT_INTRODUCTION = (1, 11)
NOMAD_TLS = f"{TLS}/nomad/current"
VAULT_NAME = "vault.service.consul"
"""The name in the certificate of HashiCorp Vault."""


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
        parts["20-client.hcl"] = {**_client(told.knobs, here), **_drivers()}
    parts["30-consul.hcl"] = _consul(told)
    if told.knobs.vault_seal is not None:
        parts["40-vault.hcl"] = _vault(told, here)
    return [File(f"{NOMAD_CONFIG}/{name}", render(body), 0o640, owner) for name, body in parts.items()]


def gossip_file(key: str) -> File:
    """Return the one part that is secret: the key that servers encrypt their gossip with."""
    return File(f"{NOMAD_CONFIG}/50-gossip.hcl", render({"server": {"encrypt": key}}), 0o600, "nomad")


def wanted_tokens(told: Told) -> Iterator[tuple[str, Callable[[Told, str], File]]]:
    """Yield which tokens Nomad works better with on this machine: the secret's name, and the file that it goes into."""
    knobs = told.knobs
    if knobs.consul is not ConsulMode.OFF:
        yield vaulted.NOMAD_CONSUL_TOKEN, consul_token_file
    if told.role is Role.SERVER and knobs.authoritative_region not in {None, knobs.region}:
        yield vaulted.NOMAD_REPLICATION_TOKEN, replication_token_file
    if told.role is Role.SERVER and knobs.vault_seal is not None and not since(knobs.nomad_version, WORKLOAD_IDENTITY):
        yield vaulted.NOMAD_VAULT_TOKEN, vault_token_file


def consul_token_file(told: Told, token: str) -> File:
    """Return the token that Nomad registers itself in Consul with; secret."""
    return _secret("60-consul-token.hcl", {"consul": {"token": token}}, told)


def replication_token_file(told: Told, token: str) -> File:
    """Return the token that this region's servers copy ACL policies and global tokens with; secret."""
    return _secret("61-replication-token.hcl", {"acl": {"replication_token": token}}, told)


def vault_token_file(told: Told, token: str) -> File:
    """Return the token that servers before 1.7 make tasks' Vault tokens with; secret.

    It switches Vault on as well: such a server without one refuses to start ("Vault token must be set").
    """
    return _secret("62-vault-token.hcl", {"vault": {"enabled": True, "token": token}}, told)


def _secret(name: str, body: Body, told: Told) -> File:
    return File(f"{NOMAD_CONFIG}/{name}", render(body), 0o600, owner_of(told.role))


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


def _server(knobs: Knobs) -> Body:
    # One gossip holds the servers of all regions. Those of others are tried at each start only: the first that answers,
    # wherever it is, ends the tries.
    hosts = [*(peer.address for peer in knobs.servers), *knobs.federated_servers]
    server: dict[str, Value] = {
        "enabled": True,
        "bootstrap_expect": len(knobs.servers),
        "server_join": {"retry_join": [f"{host}:{knobs.ports.nomad_serf}" for host in hosts], "retry_interval": "10s"},
    }
    if knobs.authoritative_region is not None:
        server["authoritative_region"] = knobs.authoritative_region
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
            **({'host_volume "files"': {"path": FILES, "read_only": False}} if knobs.files_share else {}),
        },
    }


def _drivers() -> Body:
    docker = {"allow_privileged": False, "volumes": {"enabled": False}, "gc": {"image_delay": "1h"}}
    return {'plugin "docker"': {"config": docker}}


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


def _vault(told: Told, here: Here) -> Body:
    """How tasks come to Vault's secrets: their clients log them in, since 1.7 by the identity that Nomad signs for each."""
    knobs = told.knobs
    vault: dict[str, Value] = {
        "address": f"https://{_vault_host(told, here)}:{knobs.ports.vault_api}",
        "ca_file": f"{NOMAD_TLS}/ca.pem",
        "tls_server_name": VAULT_NAME,
    }
    by_identity = since(knobs.nomad_version, WORKLOAD_IDENTITY)
    if told.role is Role.CLIENT or by_identity:
        vault["enabled"] = True
    if by_identity and told.role is Role.SERVER:
        vault["default_identity"] = {"aud": ["vault.io"], "ttl": "1h"}
    elif by_identity:
        # What `nomad setup vault` makes.
        vault |= {"jwt_auth_backend_path": "jwt-nomad", "create_from_role": "nomad-workloads"}
    return {"vault": vault}


def _vault_host(told: Told, here: Here) -> str:
    """Vault runs on every server. Nomad takes one address only, so clients spread over the servers by their names."""
    if told.role is Role.SERVER:
        return "127.0.0.1"
    servers = told.knobs.servers
    return servers[crc32(here.name.encode()) % len(servers)].address
