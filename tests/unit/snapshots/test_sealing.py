"""Sealed blobs: nothing in them can be changed, moved, dropped, added or cut off unnoticed."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keeper.azure.sealing import FrameSeal, OpenKey, fresh
from keeper.core import frames
from keeper.core.frames import HEADER_BYTES, TAG_BYTES
from keeper.core.snapshots import BadSnapshot, Reason, WrappedKey

KEY = OpenKey(WrappedKey("https://vault.lab/keys/k", "1", "RSA-OAEP-256", b""), fresh())
NAME = "lab/nomad/20260105T080000Z-000000000001.snap.enc"
SMALL = 64


def sealed(plain, name=NAME, key=KEY, frame=SMALL):
    seal = FrameSeal(key._cipher(name), name, frame)
    return seal.push(plain) + seal.end()


def opened(blob, name=NAME, key=KEY, piece=50):
    pieces = (blob[at : at + piece] for at in range(0, len(blob), piece))
    return b"".join(key.open(name, pieces))


def frames_of(blob, frame=SMALL):
    head, rest = blob[:HEADER_BYTES], blob[HEADER_BYTES:]
    return head, [rest[at : at + frame + TAG_BYTES] for at in range(0, len(rest), frame + TAG_BYTES)]


@given(st.binary(max_size=1000), st.integers(1, 200))
@settings(deadline=None)
def test_what_is_sealed_opens_whatever_the_pieces(plain, piece):
    blob = sealed(plain)

    assert opened(blob, piece=piece) == plain
    assert len(blob) == frames.sealed_size(len(plain), SMALL)


@pytest.mark.parametrize("size", [0, 1, SMALL - 1, SMALL, SMALL + 1, 3 * SMALL])
def test_ends_on_and_off_a_frame_open(size):
    assert opened(sealed(bytes(size))) == bytes(size)


def rearranged(blob):
    head, parts = frames_of(blob)
    for one, other in itertools.combinations(range(len(parts)), 2):
        moved = list(parts)
        moved[one], moved[other] = moved[other], moved[one]
        yield f"{one} and {other} swapped", head + b"".join(moved)
    for at in range(len(parts)):
        yield f"{at} dropped", head + b"".join(parts[:at] + parts[at + 1 :])
        yield f"{at} twice", head + b"".join(parts[: at + 1] + parts[at:])
        yield f"cut after {at}", head + b"".join(parts[:at])
    yield "nothing but a header", head
    yield "nothing", b""
    yield "something behind", blob + b"x"
    yield "another frame size", frames.header(SMALL * 2) + blob[HEADER_BYTES:]


def test_no_frame_can_be_swapped_dropped_doubled_or_cut_off():
    blob = sealed(bytes(range(256)))

    for how, changed in rearranged(blob):
        with pytest.raises(BadSnapshot) as caught:
            opened(changed)
        assert caught.value.reason is Reason.UNREADABLE, how


def test_no_byte_can_be_changed():
    blob = sealed(bytes(150))

    for at in range(len(blob)):
        with pytest.raises(BadSnapshot):
            opened(blob[:at] + bytes([blob[at] ^ 1]) + blob[at + 1 :])


def test_a_blob_opens_under_its_own_name_only():
    blob = sealed(b"state")

    with pytest.raises(BadSnapshot):
        opened(blob, name=NAME.replace("000001.snap", "000002.snap"))


def test_a_frame_of_another_blob_of_the_same_key_does_not_fit():
    mine, other = sealed(bytes(200)), sealed(bytes(200), name=NAME.replace(".snap.enc", ".keystore.enc"))
    head, parts = frames_of(mine)

    with pytest.raises(BadSnapshot):
        opened(head + b"".join([parts[0], frames_of(other)[1][1], *parts[2:]]))


def test_two_blobs_of_one_data_key_never_share_a_key_stream():
    name = NAME.replace(".snap.enc", ".keystore.enc")

    mine, other = (blob[HEADER_BYTES : HEADER_BYTES + 16] for blob in (sealed(bytes(64)), sealed(bytes(64), name=name)))
    assert mine != other  # the tags behind them differ in any case


def test_another_key_opens_nothing():
    other = OpenKey(KEY.wrapped, fresh())

    with pytest.raises(BadSnapshot, match="does not open"):
        opened(sealed(b"state"), key=other)


def test_a_key_does_not_show_itself():
    assert KEY._secret.hex() not in repr(KEY)
    assert repr(KEY._secret) not in repr(KEY)
