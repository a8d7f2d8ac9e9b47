"""Installing Azurite: once, whole or not at all, whatever is cut. npm is played by a small program."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from lab.storage import install
from lab.storage.install import ENTRY, Node, install_azurite

NPM = f"""
import pathlib, sys, time
runs = pathlib.Path(sys.argv[1])
runs.write_text(runs.read_text() + "x")
time.sleep(0.2)
if not pathlib.Path("package-lock.json").exists():
    sys.exit("no lock file")
if (runs.parent / "broken").exists():
    sys.exit("npm is broken today")
entry = pathlib.Path({str(ENTRY)!r})
entry.parent.mkdir(parents=True)
entry.touch()
"""


@pytest.fixture
def npm_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that grows by one letter with each run of npm."""
    runs = tmp_path / "runs"
    runs.touch()
    (tmp_path / "npm.py").write_text(NPM)
    npm = (sys.executable, str(tmp_path / "npm.py"), str(runs))
    monkeypatch.setattr(install, "find_node", lambda: Node(Path(sys.executable), npm))
    return runs


def test_it_is_installed_once_however_many_ask_at_once(tmp_path: Path, npm_runs: Path):
    with ThreadPoolExecutor(4) as pool:
        found = set(pool.map(lambda _: install_azurite(tmp_path / "build"), range(4)))

    assert len(found) == 1
    assert found.pop().script.exists()
    assert npm_runs.read_text() == "x"


def test_what_a_cut_run_left_behind_is_replaced(tmp_path: Path, npm_runs: Path):
    home = install_azurite(tmp_path / "build").script.parents[len(ENTRY.parts) - 1]
    partial = home.with_suffix(".partial")
    home.rename(partial)
    (partial / ENTRY).unlink()

    assert install_azurite(tmp_path / "build").script.exists()
    assert not partial.exists()


def test_a_failed_installation_says_what_npm_said_and_is_tried_again(tmp_path: Path, npm_runs: Path):
    (tmp_path / "broken").touch()
    with pytest.raises(RuntimeError, match="npm is broken today"):
        install_azurite(tmp_path / "build")
    (tmp_path / "broken").unlink()

    assert install_azurite(tmp_path / "build").script.exists()


def test_changed_pins_are_a_new_installation(tmp_path: Path, npm_runs: Path, monkeypatch: pytest.MonkeyPatch):
    first = install_azurite(tmp_path / "build")
    pins = tmp_path / "pins"
    pins.mkdir()
    for name in install.PINS:
        (pins / name).write_bytes((install.HERE / name).read_bytes() + b"\n")
    monkeypatch.setattr(install, "HERE", pins)

    assert install_azurite(tmp_path / "build").script != first.script
