"""A manifest's text form: one JSON object, ASCII, keys sorted, below eight kilobytes so that it fits a blob's metadata.

Times are RFC 3339, binary values base64. Unknown keys are ignored, so that an older keeper reads a newer one's.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from enum import Enum
from typing import cast

from keeper.core.problems import FieldError
from keeper.core.snapshots import Level, Manifest, SnapshotName, Tier, WrappedKey, parse_stem

VERSION = 1
LARGEST = 8000
"""Bytes. Azure allows 8 KiB of metadata, names included (https://learn.microsoft.com/rest/api/storageservices/setting-and-retrieving-properties-and-metadata-for-blob-resources)."""


def to_json(manifest: Manifest) -> str:
    """The text form; raises `FieldError` when it is too long for metadata."""
    name, key = manifest.name, manifest.key
    text = json.dumps(
        {
            "manifest": VERSION,
            "snapshot": name.stem,
            "cluster": name.cluster,
            "product": name.product,
            "taken": name.taken.isoformat(),
            "index": name.index,
            "term": manifest.term,
            "tier": manifest.tier,
            "level": manifest.level.name.lower(),
            "server_version": manifest.server_version,
            "region": manifest.region,
            "leader": manifest.leader,
            "servers": manifest.servers,
            "right": manifest.right,
            "state_bytes": manifest.state_bytes,
            "archive_bytes": manifest.archive_bytes,
            "archive_sha256": manifest.archive_sha256,
            "digest_announced": manifest.digest_announced,
            "sealed_bytes": manifest.sealed_bytes,
            "sealed_sha256": manifest.sealed_sha256,
            "seal": manifest.seal,
            "frame_bytes": manifest.frame_bytes,
            "key": key.key,
            "key_version": key.version,
            "key_algorithm": key.algorithm,
            "wrapped_key": base64.b64encode(key.wrapped).decode(),
            "counts": {kind: list(seen) for kind, seen in manifest.counts.items()},
            "keystore_sha256": manifest.keystore_sha256,
        },
        sort_keys=True,
        separators=(",", ":"),
    )
    if len(text) > LARGEST:
        raise FieldError("manifest", f"at most {LARGEST} bytes", len(text))
    return text


def from_json(text: str | bytes) -> Manifest:
    """The manifest of a text form; raises `FieldError` naming the field that is wrong."""
    try:
        parsed: object = json.loads(text)
    except (ValueError, RecursionError):
        raise FieldError("manifest", "one JSON object", text) from None
    if not isinstance(parsed, dict):
        raise FieldError("manifest", "one JSON object", parsed)
    given = cast("dict[str, object]", parsed)
    if given.get("manifest") != VERSION:
        raise FieldError("manifest", f"version {VERSION}", given.get("manifest"))
    name = parse_stem(_text(given, "snapshot"))
    _agree(given, name)
    return Manifest(
        name=name,
        tier=_one_of(Tier, given, "tier"),
        level=_level(given),
        server_version=_text(given, "server_version"),
        region=_text(given, "region"),
        leader=_text(given, "leader"),
        term=_number(given, "term"),
        servers=_number(given, "servers"),
        right=_text(given, "right"),
        state_bytes=_number(given, "state_bytes"),
        archive_bytes=_number(given, "archive_bytes"),
        archive_sha256=_sha256(given, "archive_sha256"),
        digest_announced=given.get("digest_announced") is True,
        sealed_bytes=_number(given, "sealed_bytes"),
        sealed_sha256=_sha256(given, "sealed_sha256"),
        seal=_text(given, "seal"),
        frame_bytes=_number(given, "frame_bytes"),
        key=WrappedKey(
            _text(given, "key"),
            _text(given, "key_version"),
            _text(given, "key_algorithm"),
            _bytes(given, "wrapped_key"),
        ),
        counts=_counts(given),
        keystore_sha256=None if given.get("keystore_sha256") is None else _sha256(given, "keystore_sha256"),
    )


def _agree(given: Mapping[str, object], name: SnapshotName) -> None:
    """What the stem says and what the fields beside it say must be one: they are there for people."""
    said = {"cluster": name.cluster, "product": name.product, "index": name.index, "taken": name.taken.isoformat()}
    for field, value in said.items():
        if given.get(field) != value:
            raise FieldError(field, f"{value}, as in the snapshot's name", given.get(field))


def _level(given: Mapping[str, object]) -> Level:
    try:
        return Level[_text(given, "level").upper()]
    except KeyError:
        raise FieldError(
            "level", "one of " + ", ".join(level.name.lower() for level in Level), given["level"]
        ) from None


def _one_of[E: Enum](words: type[E], given: Mapping[str, object], field: str) -> E:
    try:
        return words(given.get(field))
    except ValueError:
        raise FieldError(field, "one of " + ", ".join(str(word) for word in words), given.get(field)) from None


def _text(given: Mapping[str, object], field: str) -> str:
    value = given.get(field)
    if not isinstance(value, str):
        raise FieldError(field, "text", value)
    return value


def _number(given: Mapping[str, object], field: str) -> int:
    value = given.get(field)
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise FieldError(field, "a whole number from 0", value)
    return value


def _sha256(given: Mapping[str, object], field: str) -> str:
    value = _text(given, field)
    if not re.fullmatch(r"[0-9a-f]{64}", value):
        raise FieldError(field, "64 hexadecimal digits", value)
    return value


def _bytes(given: Mapping[str, object], field: str) -> bytes:
    try:
        return base64.b64decode(_text(given, field), validate=True)
    except binascii.Error:
        raise FieldError(field, "base64", given[field]) from None


def _counts(given: Mapping[str, object]) -> Mapping[str, tuple[int, int]]:
    value = given.get("counts")
    if not isinstance(value, dict):
        raise FieldError("counts", "an object", value)
    return {kind: _range(kind, seen) for kind, seen in cast("dict[str, object]", value).items()}


def _range(kind: str, seen: object) -> tuple[int, int]:
    match seen:
        case [int(fewest), int(most)] if 0 <= fewest <= most:
            return fewest, most
        case _:
            raise FieldError(f"counts.{kind}", "two whole numbers, the smaller first", seen)
