"""ACL rules: from the text of a policy to a parsed, validated one, with the error texts of the API.

Rule specification: https://developer.hashicorp.com/nomad/docs/v1.6.x/other-specifications/acl-policy
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.nomad.acl.hcl import Body, Item, Malformed, parse

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_LEVELS = frozenset({"deny", "read", "write", "scale"})
_PLUGIN_LEVELS = frozenset({"deny", "read", "list"})
_NAMESPACE_READ = (
    "list-jobs",
    "parse-job",
    "read-job",
    "csi-list-volume",
    "csi-read-volume",
    "read-job-scaling",
    "list-scaling-policies",
    "read-scaling-policy",
)
_NAMESPACE_WRITE = (
    *_NAMESPACE_READ,
    "scale-job",
    "submit-job",
    "dispatch-job",
    "read-logs",
    "read-fs",
    "alloc-exec",
    "alloc-lifecycle",
    "csi-mount-volume",
    "csi-write-volume",
    "submit-recommendation",
)
_NAMESPACE_SCALE = ("list-scaling-policies", "read-scaling-policy", "read-job-scaling", "scale-job")
_NAMESPACE_CAPABILITIES = frozenset(
    {*_NAMESPACE_WRITE, "deny", "alloc-node-exec", "csi-register-plugin", "sentinel-override"}
)
_POOL_CAPABILITIES = frozenset({"delete", "deny", "read", "write"})
_VOLUME_CAPABILITIES = frozenset({"deny", "mount-readonly", "mount-readwrite"})
_VARIABLE_CAPABILITIES = frozenset({"list", "read", "write", "destroy", "deny"})

_SHORTHAND: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "namespace": {
        "deny": ("deny",),
        "read": _NAMESPACE_READ,
        "write": _NAMESPACE_WRITE,
        "scale": _NAMESPACE_SCALE,
    },
    "node_pool": {"deny": ("deny",), "read": ("read",), "write": ("delete", "read", "write")},
    "host_volume": {"deny": ("deny",), "read": ("mount-readonly",), "write": ("mount-readonly", "mount-readwrite")},
}


class InvalidRules(ValueError):
    """The rules do not parse or name what does not exist; the message is the API's."""


@dataclass(slots=True)
class Grant:
    """What one block grants: on a namespace, node pool, host volume or variable path of this name (globs allowed)."""

    name: str
    capabilities: list[str] = field(default_factory=list)
    policy: str = ""


@dataclass(slots=True)
class Rules:
    """A parsed policy. `levels` holds agent, node, operator, quota and plugin; variables are keyed by namespace."""

    namespaces: list[Grant] = field(default_factory=list)
    node_pools: list[Grant] = field(default_factory=list)
    host_volumes: list[Grant] = field(default_factory=list)
    variables: list[tuple[str, Grant]] = field(default_factory=list)
    levels: dict[str, str] = field(default_factory=dict)


def read_rules(text: str) -> Rules:
    """Parse and validate a policy's rules; empty text is an empty policy. Raises InvalidRules."""
    rules = Rules()
    if not text:
        return rules
    try:
        body = parse(text)
    except Malformed as exc:
        raise InvalidRules(f"Failed to parse ACL Policy: {exc}") from exc
    for item in body.named("namespace"):
        _namespace(item, rules)
    rules.node_pools = [_pool(item) for item in body.named("node_pool")]
    rules.host_volumes = [_volume(item) for item in body.named("host_volume")]
    for kind in ("agent", "node", "operator", "quota", "plugin"):
        for item in body.named(kind):
            rules.levels[kind] = _level(kind, item)
    if rules == Rules():
        raise InvalidRules(f"Invalid policy: {text}")
    return rules


def as_json(rules: Rules, text: str) -> dict[str, Any]:
    """Answer parsed rules as the API shows them beside their text."""
    shown: dict[str, Any] = {
        kind.capitalize(): {"Policy": rules.levels[kind]} if kind in rules.levels else None
        for kind in ("agent", "node", "operator", "quota", "plugin")
    }
    shown["Namespaces"] = [
        {**_shown(grant), "Variables": _shown_variables(rules, grant.name)} for grant in rules.namespaces
    ] or None
    shown["NodePools"] = [_shown(grant) for grant in rules.node_pools] or None
    shown["HostVolumes"] = [_shown(grant) for grant in rules.host_volumes] or None
    return {**shown, "Raw": text}


def _shown(grant: Grant) -> dict[str, Any]:
    return {"Name": grant.name, "Policy": grant.policy, "Capabilities": grant.capabilities or None}


def _shown_variables(rules: Rules, namespace: str) -> dict[str, Any] | None:
    paths = [
        {"PathSpec": grant.name, "Capabilities": grant.capabilities}
        for owner, grant in rules.variables
        if owner == namespace
    ]
    return {"Paths": paths} if paths else None


def _level(kind: str, item: Item) -> str:
    level = _text(_body(item), "policy")
    if level not in (_PLUGIN_LEVELS if kind == "plugin" else _LEVELS):
        raise InvalidRules(f'Invalid {kind} policy: &acl.{kind.capitalize()}Policy{{Policy:"{level}"}}')
    return level


def _namespace(item: Item, rules: Rules) -> None:
    body, name = _body(item), _label(item)
    shown = f'&acl.NamespacePolicy{{Name:"{name}", Policy:"{_text(body, "policy")}"}}'
    grant = _grant(
        "namespace",
        item,
        re.compile(r"[a-zA-Z0-9\-*]{1,128}"),
        {
            "name": lambda: f"Invalid namespace name: {shown}",
            "policy": lambda: f"Invalid namespace policy: {shown}",
            "capability": lambda: f"Invalid namespace capability '%s': {shown}",
        },
        _NAMESPACE_CAPABILITIES,
    )
    rules.namespaces.append(grant)
    for block in body.named("variables"):
        paths = _body(block).named("path")
        if not paths:
            raise InvalidRules(f"Invalid variable policy: no variable paths in namespace {name}")
        rules.variables += [(name, _variables(path, name)) for path in paths]


def _variables(item: Item, namespace: str) -> Grant:
    if not _label(item):
        raise InvalidRules(f"Invalid missing variable path in namespace {namespace}")
    capabilities = _texts(_body(item), "capabilities")
    for capability in capabilities:
        if capability not in _VARIABLE_CAPABILITIES:
            raise InvalidRules(f"Invalid variable capability '{capability}' in namespace {namespace}")
    if "deny" in capabilities:
        capabilities = ["deny"]
    elif "read" in capabilities and "list" not in capabilities:
        capabilities.append("list")
    return Grant(_label(item), capabilities)


def _pool(item: Item) -> Grant:
    name, level = _label(item), _text(_body(item), "policy")
    return _grant(
        "node_pool",
        item,
        re.compile(r"[a-zA-Z0-9\-_*]{1,128}"),
        {
            "name": lambda: f"Invalid node pool name '{name}'",
            "policy": lambda: f"Invalid node pool policy '{level}' for '{name}'",
            "capability": lambda: f"Invalid node pool capability '%s' for '{name}'",
        },
        _POOL_CAPABILITIES,
    )


def _volume(item: Item) -> Grant:
    shown = f'&acl.HostVolumePolicy{{Name:"{_label(item)}", Policy:"{_text(_body(item), "policy")}"}}'
    return _grant(
        "host_volume",
        item,
        re.compile(r"[a-zA-Z0-9\-*]{1,128}"),
        {
            "name": lambda: f"Invalid host volume name: {shown}",
            "policy": lambda: f"Invalid host volume policy: {shown}",
            "capability": lambda: f"Invalid host volume capability '%s': {shown}",
        },
        _VOLUME_CAPABILITIES,
    )


def _grant(
    kind: str, item: Item, name: re.Pattern[str], errors: Mapping[str, Callable[[], str]], known: frozenset[str]
) -> Grant:
    body = _body(item)
    level = _text(body, "policy")
    if not name.fullmatch(_label(item)):
        raise InvalidRules(errors["name"]())
    if level and level not in _LEVELS:
        raise InvalidRules(errors["policy"]())
    capabilities = _texts(body, "capabilities")
    for capability in capabilities:
        if capability not in known:
            raise InvalidRules(errors["capability"]().replace("%s", capability))
    return Grant(_label(item), [*capabilities, *_SHORTHAND[kind].get(level, ())], level)


def _label(item: Item) -> str:
    return item.labels[0] if item.labels else ""


def _body(item: Item) -> Body:
    if not isinstance(item.value, Body):
        raise InvalidRules(f"Failed to parse ACL Policy: {item.name}: not an object type")
    return item.value


def _text(body: Body, name: str) -> str:
    value = body.value(name)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidRules(f"Failed to parse ACL Policy: {name}: unknown type for string *ast.ObjectType")
    return value


def _texts(body: Body, name: str) -> list[str]:
    value = body.value(name)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise InvalidRules(f"Failed to parse ACL Policy: {name}: expected a list of strings")
    return list(value)
