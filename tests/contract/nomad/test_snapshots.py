"""07-snapshot.json replayed: save, damaged archives, restore into a fresh server, the keyring that is not in the archive."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from functools import cache
from typing import TYPE_CHECKING

import pytest

from tests.contract.nomad.player import Player, Result, compare
from tests.contract.nomad.recorded import Step, steps
from tests.contract.nomad.runs import subjects
from tests.contract.nomad.singles import SOURCE, Singles

if TYPE_CHECKING:
    from collections.abc import Callable

STEPS = [step for step in steps("07-snapshot") if step.request]


def _repacked(archive: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        files = {entry.name: _content(tar, entry) for entry in tar}
    change(files)
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return gzip.compress(made.getvalue())


def _content(tar: tarfile.TarFile, entry: tarfile.TarInfo) -> bytes:
    opened = tar.extractfile(entry)
    assert opened is not None
    return opened.read()


def _flipped(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def _flip_state(files: dict[str, bytes]) -> None:
    files["state.bin"] = _flipped(files["state.bin"], len(files["state.bin"]) // 2)


def body(step: Step, archive: bytes) -> bytes | None:
    """The bytes that the words of a recorded body describe; None when it is no archive."""
    words = step.request.get("body")
    makers: dict[str, Callable[[], bytes]] = {
        "<snapshot-200-jobs.snap>": lambda: archive,
        "<empty>": lambda: b"",
        "<first half of snapshot-200-jobs.snap>": lambda: archive[: len(archive) // 2],
        "<snapshot-200-jobs.snap without its last 100 bytes>": lambda: archive[:-100],
        "<snapshot-200-jobs.snap, one bit flipped at half its length>": lambda: _flipped(archive, len(archive) // 2),
        "<repacked, state.bin one bit off>": lambda: _repacked(archive, _flip_state),
        "<repacked without SHA256SUMS>": lambda: _repacked(archive, lambda files: files.pop("SHA256SUMS") and None),
        "<repacked without state.bin>": lambda: _repacked(archive, lambda files: files.pop("state.bin") and None),
    }
    return makers[words]() if isinstance(words, str) and words in makers else None


@cache
def run(kind: str) -> dict[int, Result]:
    """Play the recording against three single servers; answer the results by step."""
    singles = Singles(kind)
    player = Player(singles)
    archive = b""
    results: dict[int, Result] = {}
    try:
        for step in STEPS:
            if step.number == 4:
                singles.fill(player)
            if step.number == 39:
                singles.copy_keystore(player)
            answer = singles.play(player, step, body(step, archive))
            if step.number == 8:
                archive = answer.body
            verdict = compare(step, answer, player)
            results[step.number] = Result(step, verdict.differences, verdict.compared)
    finally:
        singles.close()
    return results


FLIPPED = 18
"""A bit flipped in the middle of the compressed stream shows as one error or another, depending on the bytes."""


@pytest.mark.nomad
@pytest.mark.parametrize("kind", subjects())
@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.label)
def test_a_recorded_step_of_the_snapshots_is_answered_as_recorded(step: Step, kind: str):
    result = run(kind)[step.number]

    if step.number == FLIPPED:
        assert not [text for text in result.differences if not text.startswith("text")]
        return
    assert not result.differences, "\n".join(result.differences)


@pytest.mark.parametrize("kind", subjects())
def test_an_archive_holds_exactly_what_its_sums_say(kind: str):
    singles = Singles(kind, only=SOURCE)
    player = Player(singles)
    try:
        for step in STEPS[:3]:
            compare(step, singles.play(player, step, None), player)
        answer = player.subject.send(
            "GET", "/v1/operator/snapshot", {}, {"X-Nomad-Token": player.tokens["snap-management"]}, b"", SOURCE
        )
    finally:
        singles.close()

    with tarfile.open(fileobj=io.BytesIO(answer.body), mode="r:gz") as tar:
        files = {entry.name: _content(tar, entry) for entry in tar}
    sums = dict(reversed(line.split("  ")) for line in files["SHA256SUMS"].decode().splitlines())
    assert sums == {name: hashlib.sha256(files[name]).hexdigest() for name in ("meta.json", "state.bin")}
