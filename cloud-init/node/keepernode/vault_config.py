"""HashiCorp Vault on the Nomad servers: Raft storage on the data disk, unsealed by a Key Vault key. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.hcl import Value, render
from keepernode.knobs import Role
from keepernode.machine import File
from keepernode.nomad_config import VAULT_NAME, key_vault_key
from keepernode.places import DATA, TLS, VAULT_CONFIG

if TYPE_CHECKING:
    from keepernode.here import Here
    from keepernode.knobs import Told

VAULT_TLS = f"{TLS}/vault/current"
OWNER = "vault"


def runs_vault(told: Told) -> bool:
    """Tell whether this machine runs HashiCorp Vault."""
    return told.role is Role.SERVER and told.knobs.vault_seal is not None


def vault_files(told: Told, here: Here) -> list[File]:
    """Return the configuration; it holds no secret, the seal key never leaves Key Vault."""
    knobs = told.knobs
    if knobs.vault_seal is None:
        return []
    others = [peer for peer in knobs.servers if peer.name != here.name]
    storage: dict[str, Value] = {"path": f"{DATA}/vault", "node_id": here.name}
    body: dict[str, Value] = {
        "ui": False,
        "disable_mlock": True,
        "api_addr": f"https://{here.address}:{knobs.ports.vault_api}",
        "cluster_addr": f"https://{here.address}:{knobs.ports.vault_cluster}",
        'storage "raft"': storage,
        'listener "tcp"': {
            "address": f"0.0.0.0:{knobs.ports.vault_api}",
            "cluster_address": f"{here.address}:{knobs.ports.vault_cluster}",
            "tls_cert_file": f"{VAULT_TLS}/cert.pem",
            "tls_key_file": f"{VAULT_TLS}/key.pem",
            "tls_min_version": "tls12",
        },
        'seal "azurekeyvault"': key_vault_key(knobs.vault_seal, knobs),
        "telemetry": {"prometheus_retention_time": "60s", "disable_hostname": True},
    }
    joins = "".join(
        render(
            {
                "retry_join": {
                    "leader_api_addr": f"https://{peer.address}:{knobs.ports.vault_api}",
                    "leader_ca_cert_file": f"{VAULT_TLS}/ca.pem",
                    "leader_tls_servername": VAULT_NAME,
                }
            },
            1,
        )
        for peer in others
    )
    text = render(body).replace('storage "raft" {\n', f'storage "raft" {{\n{joins}', 1)
    return [File(f"{VAULT_CONFIG}/10-vault.hcl", text, 0o640, OWNER)]
