"""The check that an archive passes while it streams past."""

import hashlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.core.archive import STEP, ArchiveCheck, Limits
from keeper.core.snapshots import BadSnapshot, Reason
from lab.archives import archive_of, gzip_of, tar_of
from lab.damage import damaged, members_of

RECORDED = Path(__file__).parents[2] / "recordings" / "nomad-1.6.5"
LIMITS = Limits(1 << 30)
REAL = {name: (RECORDED / name).read_bytes() for name in ("snapshot.snap", "snapshot-200-jobs.snap")}


def checked(body, announced=None, size=None, limits=LIMITS):
    check = ArchiveCheck(limits)
    for at in range(0, len(body), size or max(1, len(body))):
        check.push(body[at : at + (size or len(body))])
    return check.end(announced)


@pytest.mark.parametrize(("name", "index", "servers"), [("snapshot.snap", 1229, 3), ("snapshot-200-jobs.snap", 774, 1)])
def test_what_a_real_server_sent_passes_and_says_its_index(name, index, servers):
    facts = checked(REAL[name], hashlib.sha256(REAL[name]).digest())

    assert (facts.index, facts.term, facts.servers) == (index, 2, servers)
    assert facts.state_bytes == len(members_of(REAL[name])["state.bin"])
    assert facts.archive_bytes == len(REAL[name])


@pytest.mark.parametrize("size", [1, 7, 511, 512, 65536])
def test_it_does_not_matter_how_the_bytes_are_cut(size):
    assert checked(REAL["snapshot.snap"], size=size) == checked(REAL["snapshot.snap"])


@given(st.integers(0, 3 * STEP), st.integers(1000, 1 << 20))
@settings(max_examples=25, deadline=None)
def test_states_of_any_size_pass(size, piece):
    state = b"abcdefgh" * (size // 8) + b"x" * (size % 8)

    assert checked(archive_of(state), size=piece).state_bytes == size


@pytest.mark.parametrize("missing", range(1, 9))
def test_an_archive_that_lacks_any_byte_of_its_gzip_end_is_cut_short(missing):
    body = REAL["snapshot.snap"][:-missing]  # the tar inside is whole

    with pytest.raises(BadSnapshot) as caught:
        checked(body, hashlib.sha256(body).digest())
    assert caught.value.reason is Reason.CUT_SHORT


@pytest.mark.parametrize("name", REAL)
def test_no_damaged_archive_passes(name):
    passed = []
    for each in damaged(REAL[name], 80):
        try:
            facts = checked(each.body, each.digest, size=8192)
        except BadSnapshot:
            continue
        passed.append((each.how, facts.index))

    assert passed == [("meta.json with an index behind", 1)]  # sound in itself; `judge` refuses it


def test_without_a_digest_a_flipped_bit_either_shows_or_changes_nothing():
    whole = REAL["snapshot.snap"]
    for at in range(0, len(whole), 101):
        body = whole[:at] + bytes([whole[at] ^ (1 << at % 8)]) + whole[at + 1 :]
        try:
            checked(body)
        except BadSnapshot:
            continue
        assert members_of(body) == members_of(whole)


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("truncated", Reason.CUT_SHORT),
        ("without state.bin", Reason.WRONG_MEMBERS),
        ("state.bin changed, sums left", Reason.SUM_WRONG),
        ("bytes behind the gzip stream", Reason.TRAILING_DATA),
        ("a second tar behind the first", Reason.TRAILING_DATA),
        ("a gzip bomb in a tar", Reason.TOO_LARGE),
        ("an oversized meta.json", Reason.TOO_LARGE),
        ("a wrong digest", Reason.DIGEST_WRONG),
        ("text", Reason.NOT_AN_ARCHIVE),
        ("a tar header with a wrong checksum", Reason.CORRUPT),
    ],
)
def test_the_reason_is_named(how, reason):
    bad = next(each for each in damaged(REAL["snapshot.snap"], 2) if each.how == how)

    with pytest.raises(BadSnapshot) as caught:
        checked(bad.body, bad.digest)

    assert caught.value.reason is reason
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith(reason)
    assert reason.runbook in str(caught.value)


def test_a_state_beyond_the_limit_is_refused_before_it_is_read():
    archive = archive_of(bytes(range(256)) * 8192)

    with pytest.raises(BadSnapshot, match=r"too_large: state\.bin has 2097152 bytes"):
        checked(archive, limits=Limits(1 << 20))


def test_what_unpacks_to_nothing_does_not_come_for_ever():
    empty_blocks = b"\0\0\0\xff\xff" * 10_000_000

    with pytest.raises(BadSnapshot, match="too_large: "):
        checked(archive_of(b"")[:10] + empty_blocks, size=1 << 20)


@pytest.mark.parametrize("meta", [b"[" * 200_000, b'{"Index":' * 20_000], ids=["lists", "objects"])
def test_a_meta_that_is_nested_without_end_is_no_json(meta):
    with pytest.raises(BadSnapshot, match=r"corrupt: meta\.json is no JSON"):
        checked(gzip_of(tar_of([("meta.json", meta)])))


def test_an_index_that_raft_cannot_count_to_never_becomes_a_name():
    assert checked(archive_of(b"state", 2**64 - 1)).index == 2**64 - 1
    with pytest.raises(BadSnapshot, match=r"corrupt: meta\.json lacks"):
        checked(archive_of(b"state", 2**64))


def test_every_reason_has_a_runbook_that_exists():
    root = Path(__file__).parents[3]

    assert [reason for reason in Reason if not (root / reason.runbook).exists()] == []
