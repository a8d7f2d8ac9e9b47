"""What operators set for the whole region beside the scheduler: autopilot's configuration."""

from __future__ import annotations

from typing import Any

AUTOPILOT = "autopilot-config"
"""The table with one record under the key `config`."""


def autopilot_default() -> dict[str, Any]:
    """Answer the autopilot configuration that the first leader writes."""
    return {
        "CleanupDeadServers": True,
        "LastContactThreshold": 200_000_000,
        "MaxTrailingLogs": 250,
        "MinQuorum": 0,
        "ServerStabilizationTime": 10_000_000_000,
        "EnableRedundancyZones": False,
        "DisableUpgradeMigration": False,
        "EnableCustomUpgrades": False,
    }
