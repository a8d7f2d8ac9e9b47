"""The `Utilisation` port over Azure Monitor."""

from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from keeper.azure.adapter import SdkAdapter
from keeper.azure.answers import in_our_words
from keeper.azure.arm import arm_options
from keeper.core.model import ScaleSet

if TYPE_CHECKING:
    from azure.mgmt.monitor import MonitorManagementClient

CPU = "Percentage CPU"
"""https://learn.microsoft.com/azure/azure-monitor/reference/supported-metrics/microsoft-compute-virtualmachinescalesets-metrics."""


class MonitorUtilisation(SdkAdapter):
    """The `Utilisation` port. azure-mgmt-monitor is loaded when it is first asked. `transport` replaces the network."""

    @cached_property
    def _client(self) -> "MonitorManagementClient":
        from azure.mgmt.monitor import MonitorManagementClient  # noqa: PLC0415 -- an SDK, loaded when first used

        options = arm_options(self._settings.arm, self._transport)
        return MonitorManagementClient(self._credential, self._settings.subscription, **options)

    def average_cpu(self, scale_set: ScaleSet, over: timedelta, until: datetime) -> float | None:
        """See the port. One call. Minutes that have no value yet do not count."""
        with in_our_words(f"read the CPU of {scale_set.id.rpartition('/')[2]}"):
            answer = self._client.metrics.list(
                scale_set.id.strip("/"),
                timespan=f"{_instant(until - over)}/{_instant(until)}",
                interval="PT1M",
                metricnames=CPU,
                aggregation="Average",
            )
        points = [
            point.average
            for metric in answer.value
            for series in metric.timeseries
            for point in series.data or ()
            if point.average is not None
        ]
        return sum(points) / len(points) if points else None


def _instant(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
