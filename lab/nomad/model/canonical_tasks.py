"""The blocks of a task in full: artifacts, templates, mounts, secrets, identity, plugins, scaling."""

from __future__ import annotations

from posixpath import basename, join
from typing import TYPE_CHECKING, Any

from lab.nomad.model.times import SECOND

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_TEMPLATE: Record = {
    "ChangeMode": "restart",
    "ChangeScript": None,
    "ChangeSignal": "",
    "DestPath": "",
    "EmbeddedTmpl": "",
    "Envvars": False,
    "ErrMissingKey": False,
    "Gid": None,
    "LeftDelim": "{{",
    "Perms": "0644",
    "RightDelim": "}}",
    "SourcePath": "",
    "Splay": 5 * SECOND,
    "Uid": None,
    "VaultGrace": 0,
    "Wait": None,
}
_SCRIPT: Record = {"Args": [], "Command": "", "FailOnError": False, "Timeout": 5 * SECOND}
_VAULT: Record = {
    "ChangeMode": "restart",
    "ChangeSignal": "SIGHUP",
    "DisableFile": False,
    "Env": True,
    "Namespace": "",
    "Policies": None,
}
_MOUNT: Record = {"Destination": "", "PropagationMode": "private", "ReadOnly": False, "Volume": ""}
_PLUGIN: Record = {
    "HealthTimeout": 30 * SECOND,
    "ID": "",
    "MountDir": "/csi",
    "StagePublishBaseDir": "/local/csi",
    "Type": "",
}


def fill(default: Record, own: Record) -> Record:
    """Answer the defaults with what is given (and not null) laid over them; unknown keys are dropped."""
    return {key: value if own.get(key) is None else own[key] for key, value in default.items()}


def blocks(task: Record, names: tuple[Record, Record], vault_namespace: str) -> Record:
    """Answer those blocks of a task that are objects of their own. `names` are its job and its group, in full so far."""
    payload, identity, plugin = (task.get(key) for key in ("DispatchPayload", "Identity", "CSIPluginConfig"))
    mounts = [fill(_MOUNT, one) for one in task.get("VolumeMounts") or () if one.get("Volume") is not None]
    return {
        "Artifacts": [_artifact(one) for one in task.get("Artifacts") or ()] or None,
        "CSIPluginConfig": None if plugin is None else _plugin(plugin),
        "DispatchPayload": None if payload is None else fill({"File": ""}, payload),
        "Identity": None if identity is None else fill({"Env": False, "File": False}, identity),
        "ScalingPolicies": [_policy(one, task, names) for one in task.get("ScalingPolicies") or ()] or None,
        "Templates": [_template(one) for one in task.get("Templates") or ()] or None,
        "Vault": _vault(task.get("Vault"), vault_namespace),
        "VolumeMounts": mounts or None,
    }


def _artifact(own: Record) -> Record:
    mode, source = own.get("GetterMode"), own.get("GetterSource") or ""
    place = join("local", basename(source) or ".") if mode == "file" else "local/"
    return {
        "GetterHeaders": own.get("GetterHeaders") or None,
        "GetterMode": ("any" if mode is None else mode) or "any",
        "GetterOptions": own.get("GetterOptions") or None,
        "GetterSource": source,
        "RelativeDest": place if own.get("RelativeDest") is None else own["RelativeDest"],
    }


def _template(own: Record) -> Record:
    full = fill(_TEMPLATE, own)
    if own.get("ChangeSignal") is None and full["ChangeMode"] == "signal":
        full["ChangeSignal"] = "SIGHUP"
    wait, script = own.get("Wait"), own.get("ChangeScript")
    return full | {
        "ChangeScript": None if script is None else fill(_SCRIPT, script),
        "ChangeSignal": full["ChangeSignal"].upper(),
        "Wait": None if wait is None else fill({"Max": None, "Min": None}, wait),
    }


def _vault(own: Record | None, namespace: str) -> Record | None:
    if own is None:
        return None
    full = fill(_VAULT, own)
    return full | {
        "ChangeMode": full["ChangeMode"] or "restart",
        "ChangeSignal": full["ChangeSignal"].upper(),
        "Namespace": full["Namespace"] or namespace,
    }


def _plugin(own: Record) -> Record:
    return {key: own.get(key) or value for key, value in _PLUGIN.items()}


def policy(own: Record, count: int, target: dict[str, str]) -> Record:
    """Answer a scaling policy in full. Its indexes, and an ID, are given when the job is written."""
    given: dict[str, Any] = {"Enabled": True, "Max": -1, "Min": count}
    return fill(given, own) | {
        "CreateIndex": 0,
        "ID": "",
        "ModifyIndex": 0,
        "Policy": own.get("Policy"),
        "Target": target,
        "Type": own.get("Type") or "",
    }


def _policy(own: Record, task: Record, names: tuple[Record, Record]) -> Record:
    job, group = names
    target = {"Group": group["Name"], "Job": job["ID"], "Namespace": job["Namespace"], "Task": task.get("Name") or ""}
    return policy(own, 0, target)
