"""What the fields of a body must be, wherever they stand in it: ARM cannot read a body in which one is something else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

type Shape = type | tuple[type, ...] | list[Shape] | dict[str, Shape]
"""A JSON type; a list of one shape; or an object whose known fields have shapes (`*`: every field)."""

_TAGS: Shape = {"*": str}
_PROFILE: Shape = {
    "extensionProfile": dict,
    "networkProfile": dict,
    "osProfile": dict,
    "storageProfile": dict,
    "priority": str,
    "evictionPolicy": str,
    "userData": str,
}
BODY: Shape = {
    "tags": _TAGS,
    "location": str,
    "zones": [str],
    "sku": {"name": str, "tier": str},
    "identity": dict,
    "plan": dict,
    "properties": {
        "virtualMachineProfile": _PROFILE,
        "orchestrationMode": str,
        "upgradePolicy": dict,
        "automaticRepairsPolicy": dict,
        "protectionPolicy": {"protectFromScaleIn": bool, "protectFromScaleSetActions": bool},
    },
    "instanceIds": [str],
    "serviceName": str,
    "action": str,
    "commandId": str,
    "script": [str],
}

_NAMES = {dict: "object", str: "string", bool: "boolean", list: "array", int: "integer"}


def misfit(value: Any, shape: Shape = BODY, path: str = "") -> str:  # noqa: ANN401 - any JSON value
    """Say which field of a body is not what it must be, "" when all are; null stands for absent."""
    if value is None:
        return ""
    if isinstance(shape, dict):
        return _misfit_object(value, shape, path)
    if isinstance(shape, list):
        if not isinstance(value, list):
            return _wrong(path, list)
        return next((text for n, item in enumerate(value) if (text := misfit(item, shape[0], f"{path}[{n}]"))), "")
    return "" if isinstance(value, shape) else _wrong(path, shape)


def _misfit_object(value: Any, shape: Mapping[str, Shape], path: str) -> str:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict):
        return _wrong(path, dict)
    every = shape.get("*")
    for name, item in value.items():
        known = every or shape.get(name)
        text = misfit(item, known, f"{path}.{name}" if path else name) if known is not None else ""
        if text:
            return text
    return ""


def _wrong(path: str, wanted: object) -> str:
    name = _NAMES.get(wanted, "value") if isinstance(wanted, type) else "value"
    return f"Error converting value at path '{path}': expected {name}."
