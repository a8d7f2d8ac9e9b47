"""Problems of a task, in Nomad's words and order."""

from __future__ import annotations

import posixpath
import re
from typing import TYPE_CHECKING

from lab.nomad.model.errors import multierror
from lab.nomad.model.times import go_duration
from lab.nomad.model.validate_parts import affinity_problems, constraint_problems, device_problems
from lab.nomad.model.validate_services import task_service_problems
from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_CHANGE_MODES = frozenset({"noop", "restart", "signal", "script"})
_DIGESTS = {"md5": 32, "sha1": 40, "sha256": 64, "sha512": 128}


def task_problems(kind: str, group: Record, task: Record) -> list[str]:
    """Answer the problems of a task of a job of a type."""
    return [
        *_header(kind, group, task),
        *_joined(_resources(task["Resources"])),
        *_joined(_logs(group, task["LogConfig"])),
        *_constraints(task),
        *_affinities(kind, task),
        *_joined(task_service_problems(group, task)),
        *_numbered("Artifact", [_artifact(one) for one in task["Artifacts"] or ()]),
        *_vault(task["Vault"]),
        *_templates(task["Templates"] or []),
        *_hooks(task),
        *_mounts(group, task),
        *_plugin(task["CSIPluginConfig"]),
    ]


def _joined(inner: list[str]) -> list[str]:
    return [multierror(inner)] if inner else []


def _numbered(what: str, lists: list[list[str]]) -> list[str]:
    return [f"{what} {n} validation failed: {multierror(inner)}" for n, inner in enumerate(lists, start=1) if inner]


def _header(kind: str, group: Record, task: Record) -> list[str]:
    found = []
    if not task["Name"]:
        found.append("Missing task name")
    if "/" in task["Name"] or "\\" in task["Name"]:
        found.append("Task name cannot include slashes")
    elif "\0" in task["Name"]:
        found.append("Task name cannot include null characters")
    if not task["Driver"]:
        found.append("Missing task driver")
    deadline = (group["Update"] or {}).get("ProgressDeadline", 0) if kind == JobType.SERVICE else 0
    if task["KillTimeout"] < 0:
        found.append("KillTimeout must be a positive value")
    elif 0 < deadline < task["KillTimeout"]:
        times = go_duration(task["KillTimeout"]), go_duration(deadline)
        found.append(f"KillTimout ({times[0]}) longer than the group's ProgressDeadline ({times[1]})")
    if task["ShutdownDelay"] < 0:
        found.append("ShutdownDelay must be a positive value")
    return found


def _resources(asked: Record) -> list[str]:
    found = []
    if asked["Cores"] > 0 and asked["CPU"] > 0:
        found.append("Task can only ask for 'cpu' or 'cores' resource, not both.")
    least = []
    if not asked["Cores"] and asked["CPU"] < 1:
        least.append(f"minimum CPU value is 1; got {asked['CPU']}")
    if asked["MemoryMB"] < 10:
        least.append(f"minimum MemoryMB value is 10; got {asked['MemoryMB']}")
    found += [*_joined(least), *device_problems(asked["Devices"])]
    if asked["MemoryMaxMB"] and asked["MemoryMaxMB"] < asked["MemoryMB"]:
        most, memory = asked["MemoryMaxMB"], asked["MemoryMB"]
        found.append(f"MemoryMaxMB value ({most}) should be larger than MemoryMB value ({memory})")
    return found


def _logs(group: Record, logs: Record) -> list[str]:
    found = []
    if logs["MaxFiles"] < 1:
        found.append(f"minimum number of files is 1; got {logs['MaxFiles']}")
    if logs["MaxFileSizeMB"] < 1:
        found.append(f"minimum file size is 1MB; got {logs['MaxFileSizeMB']}")
    used, size = logs["MaxFiles"] * logs["MaxFileSizeMB"], group["EphemeralDisk"]["SizeMB"]
    if size <= used:
        found.append(f"log storage ({used} MB) must be less than requested disk capacity ({size} MB)")
    return found


def _constraints(task: Record) -> list[str]:
    found = []
    for number, one in enumerate(task["Constraints"] or (), start=1):
        found += constraint_problems([one], number)
        if one["Operand"] in {"distinct_hosts", "distinct_property"}:
            found.append(f"Constraint {number} has disallowed Operand at task level: {one['Operand']}")
    return found


def _affinities(kind: str, task: Record) -> list[str]:
    if kind != JobType.SYSTEM:
        return affinity_problems(task["Affinities"])
    return ["System jobs may not have an affinity block"] if task["Affinities"] else []


def _escapes(folder: str, path: str) -> list[str]:
    whole = posixpath.normpath(posixpath.join("/alloc-dir/alloc-id", folder, path.lstrip("/")))
    inside = (whole + "/").startswith("/alloc-dir/alloc-id/")
    return [] if inside else ["destination escapes allocation directory"]


def _artifact(artifact: Record) -> list[str]:
    found = []
    if not artifact["GetterSource"]:
        found.append("source must be specified")
    if artifact["GetterMode"] not in {"any", "file", "dir"}:
        found.append(f'invalid artifact mode "{artifact["GetterMode"]}"; must be one of: any, file, dir')
    return [*found, *_escapes("task", artifact["RelativeDest"]), *_checksum(artifact["GetterOptions"] or {})]


def _checksum(options: Record) -> list[str]:
    given = options.get("checksum")
    if given is None or "${" in given:
        return []
    kind, _, digest = given.strip().partition(":")
    if not given.strip():
        return ["checksum value cannot be empty"]
    if given.count(":") != 1:
        return [f'checksum must be given as "type:value"; got "{given.strip()}"']
    if not re.fullmatch(r"(?:[0-9a-fA-F]{2})*", digest):
        bad = re.search(r"[^0-9a-fA-F]", digest)
        why = (
            f"encoding/hex: invalid byte: U+{ord(bad.group()):04X} '{bad.group()}'"
            if bad
            else "encoding/hex: odd length hex string"
        )
        return [f"invalid checksum: {why}"]
    if kind not in _DIGESTS:
        return [f"unsupported checksum type: {kind}"]
    return [] if len(digest) == _DIGESTS[kind] else [f"invalid {kind} checksum: {digest}"]


def _vault(vault: Record | None) -> list[str]:
    if vault is None:
        return []
    found = [] if vault["Policies"] else ["Policy list cannot be empty"]
    found += ['Can not specify "root" policy' for name in vault["Policies"] or () if name == "root"]
    if vault["ChangeMode"] == "signal" and not vault["ChangeSignal"]:
        found.append('Signal must be specified when using change mode "signal"')
    elif vault["ChangeMode"] not in {"signal", "noop", "restart"}:
        found.append(f'Unknown change mode "{vault["ChangeMode"]}"')
    return [f"Vault validation failed: {multierror(found)}"] if found else []


def _templates(templates: list[Record]) -> list[str]:
    found = []
    places: dict[str, int] = {}
    for number, template in enumerate(templates, start=1):
        inner = _template(template)
        if inner:
            found.append(f"Template {number} validation failed: {multierror(inner)}")
        first = places.setdefault(template["DestPath"], number)
        if first != number:
            found.append(f"Template {number} has same destination as {first}")
    return found


def _template(template: Record) -> list[str]:
    found = []
    if not template["SourcePath"] and not template["EmbeddedTmpl"]:
        found.append("Must specify a source path or have an embedded template")
    if not template["DestPath"]:
        found.append("Must specify a destination for the template")
    found += [*_escapes("task", template["DestPath"]), *_change(template)]
    if template["Splay"] < 0:
        found.append("Must specify positive splay value")
    return [*found, *_permissions(template["Perms"]), *_wait(template["Wait"])]


def _change(template: Record) -> list[str]:
    mode, script = template["ChangeMode"], template["ChangeScript"]
    if mode not in _CHANGE_MODES:
        return ["Invalid change mode. Must be one of the following: noop, signal, script, restart"]
    found = []
    if mode == "signal" and not template["ChangeSignal"]:
        found.append("Must specify signal value when change mode is signal")
    if mode == "signal" and template["Envvars"]:
        found.append("cannot use signals with env var templates")
    if mode == "script" and script is None:
        found.append("must specify change script configuration value when change mode is script")
    if mode == "script" and script is not None and not script["Command"]:
        found.append("must specify script path value when change mode is script")
    return found


def _permissions(text: str) -> list[str]:
    if not text or (re.fullmatch(r"[0-7]+", text) and int(text, 8) < 1 << 12):
        return []
    why = "value out of range" if re.fullmatch(r"[0-7]+", text) else "invalid syntax"
    return [f'Failed to parse "{text}" as octal: strconv.ParseUint: parsing "{text}": {why}']


def _wait(wait: Record | None) -> list[str]:
    if wait is None or wait["Min"] is None or wait["Max"] is None or wait["Min"] <= wait["Max"]:
        return []
    return [f"wait min {go_duration(wait['Min'])} is greater than max {go_duration(wait['Max'])}"]


def _hooks(task: Record) -> list[str]:
    found = []
    if task["DispatchPayload"] is not None:
        wrong = _escapes("task/local", task["DispatchPayload"]["File"])
        found += [f"Dispatch Payload validation failed: {text}" for text in wrong]
    hook = (task["Lifecycle"] or {}).get("Hook", "prestart")
    if hook not in {"prestart", "poststart", "poststop"}:
        why = f"invalid hook: {hook}" if hook else "no lifecycle hook provided"
        found.append(f"Lifecycle validation failed: {why}")
    return found


def _mounts(group: Record, task: Record) -> list[str]:
    found = []
    for number, mount in enumerate(task["VolumeMounts"] or ()):
        if mount["PropagationMode"] not in {"", "private", "host-to-task", "bidirectional"}:
            found.append(f'Volume Mount ({number}) has an invalid propagation mode: "{mount["PropagationMode"]}"')
        if not mount["Volume"]:
            found.append(f"Volume Mount ({number}) references an empty volume")
        elif mount["Volume"] not in (group["Volumes"] or {}):
            found.append(f"Volume Mount ({number}) references undefined volume {mount['Volume']}")
    return found


def _plugin(plugin: Record | None) -> list[str]:
    if plugin is None:
        return []
    found = [] if plugin["ID"] else ["CSIPluginConfig must have a non-empty PluginID"]
    if plugin["Type"] not in {"node", "controller", "monolith"}:
        wanted = "one of 'node', 'controller', or 'monolith'"
        found.append(f'CSIPluginConfig PluginType must be {wanted}, got: "{plugin["Type"]}"')
    stage, mount = plugin["StagePublishBaseDir"], plugin["MountDir"]
    if stage.startswith(mount):
        got = f'StagePublishBaseDir="{stage}" MountDir="{mount}"'
        found.append(f"CSIPluginConfig StagePublishBaseDir must not be a subdirectory of MountDir, got: {got}")
    return found
