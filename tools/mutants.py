"""Plants one fault after another in a copy of the keeper and sees that the test which is named for it fails.

The faults stand in `tests/mutants.toml`: `name`, `file`, `find` (once in that file), `replace`, `test` (a pytest id). A fault
that its test does not notice, or a text that is no longer there, is an error. `python tools/mutants.py NAME...` plants only
those.
"""

import shutil
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[1]
FAULTS = ROOT / "tests" / "mutants.toml"
COPIED = ("keeper", "functions", "tests")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "recordings", ".hypothesis", "node_modules")
AT_ONCE = 2
TIMEOUT = 300
FAILED = 1
"""Pytest's exit code for tests that ran and failed; any other means that the test did not judge the fault."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """One planted fault."""

    name: str
    file: str
    find: str
    replace: str
    test: str

    def planted(self, source: str) -> str:
        """The source with the fault in it."""
        if source.count(self.find) != 1:
            raise SystemExit(
                f"{self.name}: expected once in {self.file}, found {source.count(self.find)} times: {self.find!r}"
            )
        return source.replace(self.find, self.replace)


def mutants() -> list[Mutant]:
    """All planted faults; every one must still apply."""
    found = [Mutant(**each) for each in tomllib.loads(FAULTS.read_text())["mutant"]]
    for each in found:
        each.planted((ROOT / each.file).read_text())
    return found


@contextmanager
def copy() -> Iterator[Path]:
    """A copy of what the tests need, gone afterwards. What no fault changes is linked."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        place = Path(folder)
        for name in COPIED:
            shutil.copytree(ROOT / name, place / name, ignore=LEFT_OUT)
        (place / "tests" / "recordings").symlink_to(ROOT / "tests" / "recordings")
        for other in ROOT.iterdir():
            if other.name not in COPIED and not other.name.startswith("."):
                (place / other.name).symlink_to(other)
        yield place


def run(tests: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    """Run these tests there; properties stop at their first counterexample."""
    properties = any(test.startswith("tests/property/") for test in tests)
    profile = ["--hypothesis-profile", "mutants", "--hypothesis-seed", "0"] if properties else []
    command = [sys.executable, "-B", "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *profile, *tests]
    return subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=TIMEOUT, check=False)


def judge(mutant: Mutant) -> str | None:
    """None when the named test catches the fault, else what happened."""
    with copy() as place:
        target = place / mutant.file
        target.write_text(mutant.planted(target.read_text()))
        done = run([mutant.test], place)
    if done.returncode == FAILED:
        return None
    return "was not noticed" if done.returncode == 0 else f"was not judged:\n{done.stdout[-1500:]}{done.stderr[-500:]}"


def main() -> int:
    """Judge all faults, or those named; 0 when every one was caught."""
    chosen = [each for each in mutants() if not sys.argv[1:] or each.name in sys.argv[1:]]
    with copy() as place:
        sound = run(sorted({each.test for each in chosen}), place)
    if sound.returncode:
        print(sound.stdout[-3000:], sound.stderr[-1000:], "the tests fail without any fault", sep="\n")
        return 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        verdicts = list(pool.map(judge, chosen))
    for mutant, verdict in zip(chosen, verdicts, strict=True):
        print(f"{'caught ' if verdict is None else 'SURVIVED'} {mutant.name}  by {mutant.test.rpartition('::')[2]}")
        if verdict is not None:
            print(f"         {verdict}")
    survivors = sum(verdict is not None for verdict in verdicts)
    print(f"{len(chosen) - survivors} of {len(chosen)} planted faults caught")
    return 1 if survivors else 0


if __name__ == "__main__":
    raise SystemExit(main())
