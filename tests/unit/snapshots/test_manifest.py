"""Names and manifests: what is written is read again, and what is wrong is named."""

import json
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keeper.core.manifest_json import LARGEST, from_json, to_json
from keeper.core.problems import FieldError
from keeper.core.snapshots import (
    Level,
    Manifest,
    Part,
    Product,
    SnapshotName,
    Tier,
    WrappedKey,
    parse_blob,
    parse_stem,
)

NAME = SnapshotName("lab", Product.NOMAD, datetime(2026, 1, 5, 8, 0, tzinfo=UTC), 1229)
MANIFEST = Manifest(
    name=NAME,
    tier=Tier.DAILY,
    level=Level.SANE,
    server_version="1.6.5",
    region="global",
    leader="10.0.10.1:4647",
    term=2,
    servers=3,
    right="management token",
    state_bytes=249184,
    archive_bytes=28400,
    archive_sha256="0" * 64,
    digest_announced=True,
    sealed_bytes=28428,
    sealed_sha256="1" * 64,
    seal="nkseal-1/aes-256-gcm",
    frame_bytes=1048576,
    key=WrappedKey("https://v.vault.azure.net/keys/nomad-snapshots", "ab12", "RSA-OAEP-256", bytes(range(256)) * 2),
    counts={"jobs": (2, 3), "variables": (12, 12)},
)

names = st.builds(
    SnapshotName,
    st.from_regex(r"[a-z0-9][a-z0-9-]{0,30}", fullmatch=True),
    st.sampled_from(Product),
    st.integers(0, 30_000_000_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC)),
    st.integers(0, 10**15),
)


@given(names, st.sampled_from(Part))
def test_a_name_is_read_from_its_blobs(name, part):
    assert parse_blob(name.blob(part)) == (name, part)
    assert parse_stem(name.stem) == name


def test_names_sort_by_age_within_a_product():
    older = SnapshotName("lab", Product.NOMAD, datetime(2026, 1, 4, tzinfo=UTC), 9999)

    assert sorted([NAME, older]) == [older, NAME]
    assert sorted([NAME.stem, older.stem]) == [older.stem, NAME.stem]


@pytest.mark.parametrize(
    "name", ["lab/nomad/x.snap.enc", "lab/vault/20260105T080000Z-000000001229.snap.enc", "leases/x"]
)
def test_other_blobs_are_nobodys(name):
    assert parse_blob(name) is None


def test_a_manifest_is_read_as_it_was_written():
    assert from_json(to_json(MANIFEST)) == MANIFEST


def test_a_manifest_fits_into_a_blobs_metadata():
    text = to_json(MANIFEST)

    assert text.isascii()
    assert "\n" not in text
    assert len(text) < LARGEST / 4


def test_an_older_keeper_reads_a_newer_manifest():
    assert from_json(json.dumps({**json.loads(to_json(MANIFEST)), "later": {"x": 1}})) == MANIFEST


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("archive_sha256", "0" * 63),
        ("archive_bytes", -1),
        ("archive_bytes", True),
        ("tier", "yearly"),
        ("level", "proven"),
        ("index", 7),
        ("taken", "2026-01-05T08:00:01+00:00"),
        ("wrapped_key", "???"),
        ("counts", {"jobs": [3, 2]}),
        ("snapshot", "lab/nomad/20261305T080000Z-000000001229"),
        ("manifest", 2),
    ],
)
def test_what_is_wrong_is_named(field, value):
    with pytest.raises(FieldError) as caught:
        from_json(json.dumps({**json.loads(to_json(MANIFEST)), field: value}))

    assert caught.value.field.partition(".")[0] == field


@pytest.mark.parametrize("text", ["", "[]", "{", b"\xff"])
def test_what_is_no_manifest_is_said_to_be_none(text):
    with pytest.raises(FieldError, match="manifest"):
        from_json(text)
