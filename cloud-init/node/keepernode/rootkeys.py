"""The root keys of a server before Nomad 1.9: `keystore.py` told where, run before Nomad's first start, and by a timer after.

A fresh server takes the deposited keys before Nomad starts, so that it need not restart for them. One that cannot have them
(storage away, a right not there yet) starts all the same: a server without an old key serves everything else, a cluster
that was never restored has made its own or gets it from its peers, and the timer puts back what is missing and restarts Nomad
in its turn. Waiting would make a cluster depend on a storage account for its start.
"""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

from keepernode.journal import complain
from keepernode.keystore import KeystoreConfig, keep
from keepernode.machine import File
from keepernode.nomad_config import keeps_root_keys_as_files
from keepernode.places import DATA, KEYSTORE_CONFIG
from keepernode.problems import NodeError
from keepernode.tls import in_use
from keepernode.turns import health_url, own_index

if TYPE_CHECKING:
    from keepernode.agents import Agent
    from keepernode.here import Here
    from keepernode.knobs import Told
    from keepernode.machine import Machine


def keystore_config(told: Told, here: Here, nomad: Agent) -> KeystoreConfig | None:
    """Return what the keystore command is told on this server; None on a machine that keeps none."""
    place = told.knobs.keystore
    if place is None or not keeps_root_keys_as_files(told):
        return None
    return KeystoreConfig(
        cluster=told.knobs.cluster,
        server=here.name,
        blob_url=place.blob_url,
        key_url=place.key_url,
        directory=f"{DATA}/nomad/server/keystore",
        owner=nomad.service.owner,
        unit=nomad.unit,
        index=own_index(nomad.peers, here.name),
        count=len(nomad.peers),
        others=[health_url(nomad, peer.address) for peer in nomad.peers if peer.name != here.name],
        nomad_ca_file=f"{in_use(nomad.service)}/ca.pem",
        nomad_server_name=nomad.service.expected_name,
        identity_client_id=told.knobs.identity_client_id,
    )


def configure_keystore(machine: Machine, told: Told, here: Here, nomad: Agent) -> list[str]:
    """Write the command's configuration, or leave none behind; return what had to change."""
    config = keystore_config(told, here, nomad)
    if config is None:
        return [f"removed {KEYSTORE_CONFIG}"] if machine.remove(KEYSTORE_CONFIG) else []
    file = File(KEYSTORE_CONFIG, json.dumps(asdict(config), indent=2) + "\n")
    return [KEYSTORE_CONFIG] if machine.ensure(file) else []


def fetch_root_keys(machine: Machine, told: Told, here: Here, nomad: Agent) -> list[str]:
    """Before Nomad's first start: put back what was deposited. What stands in the way is told, and left to the timer."""
    config = keystore_config(told, here, nomad)
    if config is None:
        return []
    try:
        return keep(machine, replace(config, unit=""))
    except NodeError as problem:
        complain(
            "keystore.late", why=f"Nomad starts without deposited root keys, keeper-keystore puts them back: {problem}"
        )
        return []
