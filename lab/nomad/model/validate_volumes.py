"""Problems of a group's volumes, in Nomad's words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.errors import multierror
from lab.nomad.model.words import JobType

if TYPE_CHECKING:
    from lab.nomad.model.store import Record

_READERS = frozenset({"single-node-reader-only", "multi-node-reader-only"})
_SOLE = {
    "single-node-reader-only": "reader",
    "single-node-writer": "reader or writer",
    "multi-node-single-writer": "writer",
}


def volume_problems(kind: str, group: Record) -> list[str]:
    """Answer the problems of the volumes of a group of a job of a type."""
    found = []
    canaries = (group["Update"] or {}).get("Canary", 0)
    for name, volume in (group["Volumes"] or {}).items():
        inner = [
            *_common(kind, volume, canaries),
            *(_host(volume) if volume["Type"] == "host" else _csi(volume, group)),
        ]
        if inner:
            found.append(f"Task group volume validation for {name} failed: {multierror(inner)}")
    return found


def _common(kind: str, volume: Record, canaries: int) -> list[str]:
    found = []
    if not volume["Source"]:
        found.append("volume has an empty source")
    if volume["PerAlloc"] and kind in {JobType.SYSTEM, JobType.SYSBATCH}:
        found.append("volume cannot be per_alloc for system or sysbatch jobs")
    if volume["PerAlloc"] and canaries > 0:
        found.append("volume cannot be per_alloc when canaries are in use")
    return found


def _host(volume: Record) -> list[str]:
    words = {"AttachmentMode": "an attachment mode", "AccessMode": "an access mode", "MountOptions": "mount options"}
    return [
        f"host volumes cannot have {what}"
        for key, what in words.items()
        if volume[key] is not None and volume[key] != ""
    ]


def _csi(volume: Record, group: Record) -> list[str]:
    found = []
    attachment, access = volume["AttachmentMode"], volume["AccessMode"]
    if not attachment:
        found.append("CSI volumes must have an attachment mode")
    elif attachment == "block-device" and volume["MountOptions"] is not None:
        found.append("block devices cannot have mount options")
    if not access:
        found.append("CSI volumes must have an access mode")
    if access in _READERS and not volume["ReadOnly"]:
        found.append(f"{access} volumes must be read-only")
    shared = group["Count"] > 1 and not volume["PerAlloc"]
    if access in _SOLE and shared and not (access == "multi-node-single-writer" and volume["ReadOnly"]):
        found.append(f"volume with {access} access mode allows only one {_SOLE[access]}")
    return found
