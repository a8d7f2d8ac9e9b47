"""The resources that a deployment would create, evaluated and easy to ask."""

import copy
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from tools.bundle_node import taken_apart
from tools.infra_bicep import predict, predict_with
from tools.infra_expressions import evaluated

type Resource = dict[str, Any]

SCALE_SET = "Microsoft.Compute/virtualMachineScaleSets"
MACHINE = "Microsoft.Compute/virtualMachines"


@dataclass(frozen=True)
class Prediction:
    """Predicted resources by what they are. `raw` is the snapshot as the compiler wrote it."""

    name: str
    resources: list[Resource]
    raw: dict[str, Any]

    def of(self, kind: str) -> list[Resource]:
        """Every resource of a type, in the order of their names."""
        return sorted((r for r in self.resources if r["type"].lower() == kind.lower()), key=lambda r: r["name"])

    def one(self, kind: str, ending: str = "") -> Resource:
        """The only resource of a type whose name ends so; LookupError tells what there is."""
        found = [r for r in self.of(kind) if r["name"].endswith(ending)]
        if len(found) != 1:
            raise LookupError(
                f"{len(found)} resources of type {kind} end with {ending!r}: {[r['name'] for r in found]}"
            )
        return found[0]

    def by_id(self, resource_id: str) -> Resource | None:
        """The resource with that id, or None."""
        return self._by_id.get(resource_id.lower())

    @cached_property
    def _by_id(self) -> dict[str, Resource]:
        return {r["id"].lower(): r for r in self.resources}

    def subnets(self) -> dict[str, dict[str, Any]]:
        """Properties of each subnet by name."""
        network = self.one("Microsoft.Network/virtualNetworks")
        return {subnet["name"]: subnet["properties"] for subnet in network["properties"]["subnets"]}

    def members(self) -> list[Resource]:
        """Machines and scale sets that carry userData: the members of the cluster."""
        return [r for r in [*self.of(MACHINE), *self.of(SCALE_SET)] if user_data_text(r)]

    def settings(self) -> dict[str, str]:
        """Application settings of the keeper."""
        return self.one("Microsoft.Web/sites/config", "appsettings")["properties"]

    def planted(self) -> "Prediction":
        """A copy that may be changed."""
        return Prediction(f"{self.name} with a planted fault", copy.deepcopy(self.resources), self.raw)


def prediction(parameters: Path) -> Prediction:
    """What the parameter file would create."""
    return _made(parameters.stem, predict(parameters))


def prediction_with(name: str, parameters: str) -> Prediction:
    """What these parameters (Bicep text) would create."""
    return _made(name, predict_with(parameters))


def user_data_text(resource: Resource) -> str | None:
    """The base64 text of a machine's or scale set's userData, or None."""
    properties = resource.get("properties", {})
    return properties.get("virtualMachineProfile", properties).get("userData")


def custom_data_text(resource: Resource) -> str | None:
    """The base64 text of its customData, or None."""
    properties = resource.get("properties", {})
    return properties.get("virtualMachineProfile", properties).get("osProfile", {}).get("customData")


def told(resource: Resource) -> dict[str, Any]:
    """What a member is told: the decoded userData."""
    return json.loads(taken_apart(user_data_text(resource) or "")[1])


def _made(name: str, raw: dict[str, Any]) -> Prediction:
    resources: dict[str, Resource] = {}
    for resource in evaluated(raw["predictedResources"]):
        key = resource["id"].lower()
        # A scale set is named twice: at birth with its floor, and as a model that keeps the size found then.
        if key in resources and resource["type"] == SCALE_SET:
            resources[key] = {**resource, "sku": {**resource["sku"], "floor": resources[key]["sku"]["capacity"]}}
        elif key in resources:
            raise ValueError(f"{resource['id']} is predicted twice")
        else:
            resources[key] = resource
    return Prediction(name, list(resources.values()), raw)
