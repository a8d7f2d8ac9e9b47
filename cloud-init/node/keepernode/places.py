"""Where things lie on a machine."""

from __future__ import annotations

HOME = "/opt/keeper"
PROGRAM = f"{HOME}/current/keeper_node.py"
STATE = "/var/lib/keeper"
USER_DATA = f"{STATE}/user-data.json"
READY = f"{STATE}/ready"
TLS = f"{STATE}/tls"
STARTED = f"{STATE}/started"
RUN = "/run/keeper"
STATUS = f"{RUN}/status.json"
DATA = "/data"
RELEASES = f"{HOME}/releases"
BINARIES = "/usr/local/bin"
UNITS = "/etc/systemd/system"
NOMAD_CONFIG = "/etc/nomad.d"
CONSUL_CONFIG = "/etc/consul.d"
VAULT_CONFIG = "/etc/vault.d"
WATCHER_CONFIG = "/etc/keeper/watcher.json"
WATCHER_TOKEN = "/etc/keeper/watcher.token"  # noqa: S105 - the path of the file, not what is in it
KEYSTORE_CONFIG = "/etc/keeper/keystore.json"
CNI = "/opt/cni/bin"
