"""systemd's units. Pure.

A server must outlive its own restart as a member, a client must hand over its work first: both hang on which signal a
stop sends and on how long systemd then waits (Nomad obeys `leave_on_interrupt` for SIGINT).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.consul_config import runs_consul
from keepernode.knobs import Role, since
from keepernode.machine import File
from keepernode.nomad_config import keeps_root_keys_as_files, owner_of
from keepernode.places import (
    BINARIES,
    CONSUL_CONFIG,
    DATA,
    FILES_UNIT,
    KEYSTORE_CONFIG,
    NOMAD_CONFIG,
    PROGRAM,
    UNITS,
    VAULT_CONFIG,
    WATCHER_CONFIG,
)
from keepernode.vault_config import runs_vault

if TYPE_CHECKING:
    from collections.abc import Sequence

    from keepernode.knobs import Knobs, Told

PYTHON = "/usr/bin/python3"
READINESS = (1, 8)
"""The first Nomad that tells systemd when it is ready (nomad#20528); an older one would be killed for never doing so."""
DRAIN_SLACK = 120
"""Seconds beyond the drain's deadline until systemd may kill: tasks' own kill timeouts extend past the deadline."""
HARDENED = """\
NoNewPrivileges=yes
ProtectHome=yes
ProtectSystem=full
PrivateTmp=yes
"""
LOADER = {"keeper-load.service", "keeper-load.timer"}
"""Laid down by customData."""


def unit_files(told: Told) -> list[File]:
    """Return every unit of this machine but the loader's and the data disk's."""
    files = [
        _own("keeper-health", "Answer the health extension and the metrics scraper", "health", "DynamicUser=yes"),
        _own("keeper-events", "Hand over before Azure takes this machine away", "scheduled-events", "User=root"),
        *_timed("keeper-refresh", "Take over new certificates and a new CA bundle", "refresh", writes_etc=True),
    ]
    if told.role is not Role.CONSUL:
        files.append(_nomad(told))
    if runs_consul(told):
        files.append(_agent("consul", "Consul agent", f"{BINARIES}/consul agent -config-dir={CONSUL_CONFIG}", "consul"))
    if runs_vault(told):
        files.append(_vault(told.knobs))
    if told.role is Role.SERVER:
        files.append(
            _own(
                "keeper-watch",
                "Nudge the keeper when Nomad's leader sees a need",
                f"watch --config {WATCHER_CONFIG}",
                "User=nomad",
            )
        )
    if keeps_keystore(told):
        command = f"keystore --config {KEYSTORE_CONFIG}"
        what = "Deposit Nomad's root keys for snapshots, and put back missing ones"
        files += _timed("keeper-keystore", what, command)
    return files


def keeps_keystore(told: Told) -> bool:
    """Tell whether this machine deposits root keys."""
    return told.knobs.keystore is not None and keeps_root_keys_as_files(told)


def own_units() -> list[str]:
    """Return the units of the program itself that run from the first boot on, before the machine is a member."""
    return ["keeper-health.service", "keeper-events.service", "keeper-refresh.timer"]


def left_behind(names: Sequence[str], told: Told) -> list[str]:
    """Return which of the unit files in the folder are the program's own and no longer wanted."""
    wanted = {file.path.rpartition("/")[2] for file in unit_files(told)}
    return [name for name in names if name.startswith("keeper-") and name not in wanted and name not in LOADER]


def _unit(name: str, text: str) -> File:
    return File(f"{UNITS}/{name}", text)


def _own(name: str, what: str, command: str, user: str) -> File:
    return _unit(
        f"{name}.service",
        f"""[Unit]
Description={what}
After=network.target

[Service]
ExecStart={PYTHON} {PROGRAM} {command}
Restart=always
RestartSec=2
SyslogIdentifier=keeper-node
{user}
{HARDENED}
[Install]
WantedBy=multi-user.target
""",
    )


def _timed(name: str, what: str, command: str, *, writes_etc: bool = False) -> list[File]:
    """A command that root runs every five minutes, and that may say 75: not yet."""
    service = f"""[Unit]
Description={what}
After=network-online.target

[Service]
Type=oneshot
ExecStart={PYTHON} {PROGRAM} {command}
SuccessExitStatus=75
TimeoutStartSec=10min
SyslogIdentifier=keeper-node
{HARDENED.replace("full", "yes") if writes_etc else HARDENED}"""
    timer = f"""[Unit]
Description={what}, every five minutes

[Timer]
OnActiveSec=1min
OnUnitInactiveSec=5min
AccuracySec=1s

[Install]
WantedBy=timers.target
"""
    return [_unit(f"{name}.service", service), _unit(f"{name}.timer", timer)]


def _nomad(told: Told) -> File:
    leaves = told.role is Role.CLIENT
    stop = told.knobs.drain_deadline_seconds + DRAIN_SLACK if leaves else 30
    after = " docker.service" if leaves else ""
    after += f" {FILES_UNIT}" if told.knobs.files_share is not None and leaves else ""
    consul = " consul.service" if runs_consul(told) else ""
    return _agent(
        "nomad",
        f"Nomad {told.role.value}",
        f"{BINARIES}/nomad agent -config={NOMAD_CONFIG}",
        owner_of(told.role),
        after=f"{after}{consul}",
        more=f"""Type={"notify" if since(told.knobs.nomad_version, READINESS) else "exec"}
KillMode=process
KillSignal=SIGINT
TimeoutStopSec={stop}
OOMScoreAdjust=-1000
Environment=AZURE_CLIENT_ID={told.knobs.identity_client_id}
{"Delegate=yes" if leaves else "NoNewPrivileges=yes"}
""",
    )


def _vault(knobs: Knobs) -> File:
    return _agent(
        "vault",
        "HashiCorp Vault",
        f"{BINARIES}/vault server -config={VAULT_CONFIG}",
        "vault",
        more=f"""Type=notify
KillSignal=SIGINT
TimeoutStopSec=30
LimitCORE=0
ProtectSystem=full
Environment=AZURE_CLIENT_ID={knobs.identity_client_id}
""",
    )


def _agent(name: str, what: str, command: str, owner: str, *, after: str = "", more: str | None = None) -> File:
    # Consul says that it is ready only when it has joined: the first of three servers would be killed while it waits.
    rest = more or "Type=exec\nKillSignal=SIGTERM\nTimeoutStopSec=30\nNoNewPrivileges=yes\nProtectSystem=full\n"
    return _unit(
        f"{name}.service",
        f"""[Unit]
Description={what}
Wants=network-online.target
After=network-online.target{after}
RequiresMountsFor={DATA}
StartLimitIntervalSec=0

[Service]
ExecStart={command}
ExecReload=/bin/kill --signal HUP $MAINPID
User={owner}
Group={owner}
Restart=always
RestartSec=2
LimitNOFILE=65536
LimitNPROC=infinity
TasksMax=infinity
{rest}
[Install]
WantedBy=multi-user.target
""",
    )
