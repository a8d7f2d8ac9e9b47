"""What the scenarios put on a cluster: jobs, and the alerts that they set off."""

from __future__ import annotations

import time
from typing import Any


def service_job(name: str, count: int, healthy: float) -> dict[str, Any]:
    """A service of `count` equal allocations of 1000 MHz that sleep; each is healthy after `healthy` seconds."""
    group = {
        "Name": "work",
        "Count": count,
        "Migrate": {
            "MaxParallel": 1,
            "HealthCheck": "task_states",
            "MinHealthyTime": int(healthy * 1e9),
            "HealthyDeadline": int(60e9),
        },
        "Update": {
            "MinHealthyTime": int(0.2e9),
            "HealthyDeadline": int(60e9),
            "ProgressDeadline": int(120e9),
            "MaxParallel": 10,
        },
        "RestartPolicy": {"Attempts": 0, "Mode": "fail"},
        "EphemeralDisk": {"SizeMB": 50},
        "Tasks": [
            {
                "Name": "sleep",
                "Driver": "raw_exec",
                "Config": {"command": "/bin/sleep", "args": ["3600"]},
                "Resources": {"CPU": 1000, "MemoryMB": 256},
                "LogConfig": {"MaxFiles": 1, "MaxFileSizeMB": 1},
            }
        ],
    }
    return {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}


def cpu_alert(subscription: str, scale_set: str, condition: str) -> dict[str, Any]:
    """A metric alert in the common alert schema (https://learn.microsoft.com/azure/azure-monitor/alerts/alerts-common-schema)."""
    target = f"/subscriptions/{subscription}/resourcegroups/rg-lab/providers/microsoft.compute/virtualmachinescalesets/{scale_set}"
    alert = f"/subscriptions/{subscription}/providers/Microsoft.AlertsManagement/alerts/7d1e0f6a-0000-4000-8000-000000000001"
    now = time.strftime("%Y-%m-%dT%H:%M:%S.0000000Z", time.gmtime())
    essentials = {
        "alertId": alert,
        "alertRule": "pool-cpu-high",
        "severity": "Sev2",
        "signalType": "Metric",
        "monitorCondition": condition,
        "monitoringService": "Platform",
        "alertTargetIDs": [target],
        "configurationItems": [scale_set],
        "originAlertId": f"{subscription}_rg-lab_microsoft.insights_metricalerts_pool-cpu-high",
        "firedDateTime": now,
        "description": "",
        "essentialsVersion": "1.0",
        "alertContextVersion": "1.0",
    }
    if condition == "Resolved":
        essentials["resolvedDateTime"] = now
    criterion = {
        "metricName": "Percentage CPU",
        "metricNamespace": "Microsoft.Compute/virtualMachineScaleSets",
        "operator": "GreaterThan",
        "threshold": "80",
        "timeAggregation": "Average",
        "dimensions": [],
        "metricValue": 93.1,
    }
    context = {
        "properties": None,
        "conditionType": "SingleResourceMultipleMetricCriteria",
        "condition": {"windowSize": "PT5M", "allOf": [criterion]},
    }
    return {
        "schemaId": "azureMonitorCommonAlertSchema",
        "data": {"essentials": essentials, "alertContext": context, "customProperties": None},
    }
