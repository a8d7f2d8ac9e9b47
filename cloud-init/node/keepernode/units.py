"""systemd's units. Pure.

A server must outlive its own restart as a member, a client must hand over its work first: both hang on which signal a
stop sends and on how long systemd then waits (Nomad obeys `leave_on_interrupt` for SIGINT).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keepernode.consul_config import runs_consul
from keepernode.knobs import Role
from keepernode.machine import File
from keepernode.nomad_config import owner_of, since
from keepernode.places import BINARIES, CONSUL_CONFIG, DATA, NOMAD_CONFIG, PROGRAM, UNITS, VAULT_CONFIG, WATCHER_CONFIG
from keepernode.vault_config import runs_vault

if TYPE_CHECKING:
    from keepernode.knobs import Knobs, Told

PYTHON = "/usr/bin/python3"
READINESS = (1, 8)
"""The first Nomad that tells systemd when it is ready (nomad#20528); an older one would be killed for never doing so."""
DRAIN_SLACK = 120
"""Seconds beyond the drain's deadline until systemd may kill: tasks' own kill timeouts extend past the deadline."""


def unit_files(told: Told) -> list[File]:
    """Return every unit of this machine but the loader's and the data disk's."""
    files = [
        _own("keeper-health", "Answer the health extension and the metrics scraper", "health", "DynamicUser=yes"),
        _own("keeper-events", "Hand over before Azure takes this machine away", "scheduled-events", "User=root"),
        _refresh_service(),
        _refresh_timer(),
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
    return files


def own_units() -> list[str]:
    """Return the units of the program itself that run from the first boot on, before the machine is a member."""
    return ["keeper-health.service", "keeper-events.service", "keeper-refresh.timer"]


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
NoNewPrivileges=yes
ProtectHome=yes
ProtectSystem=full
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
""",
    )


def _refresh_service() -> File:
    return _unit(
        "keeper-refresh.service",
        f"""[Unit]
Description=Take over new certificates and a new CA bundle
After=network-online.target

[Service]
Type=oneshot
ExecStart={PYTHON} {PROGRAM} refresh
SuccessExitStatus=75
TimeoutStartSec=10min
SyslogIdentifier=keeper-node
""",
    )


def _refresh_timer() -> File:
    return _unit(
        "keeper-refresh.timer",
        """[Unit]
Description=Look for new certificates every five minutes

[Timer]
OnBootSec=2min
OnUnitInactiveSec=5min
AccuracySec=1s

[Install]
WantedBy=timers.target
""",
    )


def _nomad(told: Told) -> File:
    leaves = told.role is Role.CLIENT
    stop = told.knobs.drain_deadline_seconds + DRAIN_SLACK if leaves else 30
    after = " docker.service" if leaves else ""
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
