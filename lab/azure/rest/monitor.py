"""Handlers for Azure Monitor: metric definitions and values of any resource in the model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from lab.azure.model.failures import ArmError
from lab.azure.model.metrics import DEFINITIONS, definition_named
from lab.azure.model.notices import duration
from lab.azure.rest.call import Route
from lab.http import Response

if TYPE_CHECKING:
    from lab.azure.model.metrics import MetricDefinition
    from lab.azure.rest.call import Call

_GRAINS = ("PT1M", "PT5M", "PT15M", "PT30M", "PT1H", "PT6H", "PT12H", "P1D")
_AGGREGATIONS = {"average", "minimum", "maximum", "total", "count"}


def _definitions(call: Call) -> Response:
    resource = call.params["resource"]
    return Response.of_json(200, {"value": [_definition_view(resource, definition) for definition in DEFINITIONS]})


def _definition_view(resource: str, definition: MetricDefinition) -> dict[str, Any]:
    return {
        "id": f"{resource}/providers/microsoft.insights/metricdefinitions/{definition.name}",
        "resourceId": resource,
        "namespace": _namespace(resource),
        "name": {"value": definition.name, "localizedValue": definition.name},
        "displayDescription": definition.description,
        "isDimensionRequired": False,
        "unit": definition.unit,
        "primaryAggregationType": definition.aggregation,
        "supportedAggregationTypes": ["None", "Average", "Minimum", "Maximum", "Total", "Count"],
        "metricAvailabilities": [{"timeGrain": grain, "retention": "P93D"} for grain in _GRAINS],
    }


def _metrics(call: Call) -> Response:
    names = call.query.get("metricnames") or DEFINITIONS[0].name
    definitions = [_known(name) for name in names.split(",")]
    start, end = _timespan(call)
    interval = call.query.get("interval", "PT1M")
    wanted = {part.strip().lower() for part in call.query.get("aggregation", "").split(",")} & _AGGREGATIONS
    body = {
        "cost": 59,
        "timespan": f"{_second(start)}/{_second(end)}",
        "interval": interval,
        "value": [_series(call, d, start, end, wanted or {d.aggregation.lower()}) for d in definitions],
        "namespace": _namespace(call.params["resource"]),
        "resourceregion": call.cloud.location,
    }
    return Response.of_json(200, body)


def _known(name: str) -> MetricDefinition:
    definition = definition_named(name.strip())
    if definition is None:
        known = ",".join(d.name for d in DEFINITIONS)
        message = f"Failed to find metric configuration for provider: Microsoft.Compute, metric: {name}. Valid metrics: {known}"
        raise ArmError(400, "BadRequest", message, wrapped=False)
    return definition


def _series(
    call: Call, definition: MetricDefinition, start: datetime, end: datetime, wanted: set[str]
) -> dict[str, Any]:
    resource = call.params["resource"]
    step = _step(call)
    values = call.cloud.metrics.values(resource.rpartition("/")[2], definition.name, start, end, step)
    return {
        "id": f"{resource}/providers/Microsoft.Insights/metrics/{definition.name}",
        "type": "Microsoft.Insights/metrics",
        "name": {"value": definition.name, "localizedValue": definition.name},
        "displayDescription": definition.description,
        "unit": definition.unit,
        "timeseries": [{"metadatavalues": [], "data": [_point(at, found, wanted) for at, found in values]}],
        "errorCode": "Success",
    }


def _point(at: datetime, values: list[float], wanted: set[str]) -> dict[str, Any]:
    """Render one point; without a value it has nothing but its time."""
    point: dict[str, Any] = {"timeStamp": _second(at)}
    if values:
        everything = {
            "average": sum(values) / len(values),
            "minimum": min(values),
            "maximum": max(values),
            "total": sum(values),
            "count": float(len(values)),
        }
        point.update((name, everything[name]) for name in sorted(wanted))
    return point


def _timespan(call: Call) -> tuple[datetime, datetime]:
    text = call.query.get("timespan", "")
    start, _, end = text.partition("/")
    try:
        return datetime.fromisoformat(start).astimezone(UTC), datetime.fromisoformat(end).astimezone(UTC)
    except ValueError:
        return call.cloud.now - timedelta(hours=1), call.cloud.now


def _step(call: Call) -> timedelta:
    text = call.query.get("interval", "PT1M")
    step = duration(text)
    if step is None:
        raise ArmError(400, "BadRequest", f"Detected invalid time grain input: {text}", wrapped=False)
    return step


def _namespace(resource: str) -> str:
    parts = resource.rpartition("/providers/")[2].split("/")
    return f"{parts[0]}/{parts[1]}"


def _second(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


ROUTES: tuple[Route, ...] = (
    Route(
        "GET",
        "{resource}/providers/Microsoft.Insights/metricDefinitions",
        "Microsoft.Insights/metricDefinitions/read",
        _definitions,
    ),
    Route("GET", "{resource}/providers/Microsoft.Insights/metrics", "Microsoft.Insights/metrics/read", _metrics),
)
