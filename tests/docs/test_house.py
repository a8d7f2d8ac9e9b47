"""The house keeps its own rules: pinned packages, generated pages, promises with proofs."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
UV = shutil.which("uv") or str(ROOT / ".tools/uv/bin/uv")


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True)
    return [name for name in listed.stdout.splitlines() if (ROOT / name).exists()]


@pytest.mark.parametrize(("name", "extra"), [("requirements.txt", []), ("requirements-dev.txt", ["--extra", "dev"])])
def test_requirements_are_what_pyproject_compiles_to(name: str, extra: list[str], tmp_path: Path) -> None:
    fresh = tmp_path / name
    fresh.write_text((ROOT / name).read_text())  # the present pins are kept where pyproject.toml allows them
    subprocess.run(
        [
            UV,
            "pip",
            "compile",
            "--quiet",
            "--python",
            sys.executable,
            "--generate-hashes",
            "--custom-compile-command",
            "make requirements",
            *extra,
            "pyproject.toml",
            "-o",
            str(fresh),
        ],
        cwd=ROOT,
        check=True,
    )

    assert fresh.read_text() == (ROOT / name).read_text()


def test_every_requirement_is_pinned_with_hashes() -> None:
    for name in ("requirements.txt", "requirements-dev.txt"):
        entries = re.split(r"\n(?=[a-z0-9])", re.sub(r"^#.*\n", "", (ROOT / name).read_text(), flags=re.MULTILINE))
        assert len(entries) > 10
        assert [e.splitlines()[0] for e in entries if "==" not in e or "--hash=sha256:" not in e] == []


def test_the_packages_that_users_asked_for_are_there() -> None:
    pinned = set(re.findall(r"^([a-z0-9-]+)==", (ROOT / "requirements.txt").read_text(), re.MULTILINE))

    asked = {"azure-functions", "azure-identity", "azure-mgmt-compute", "azure-mgmt-network", "azure-mgmt-monitor"}
    asked |= {"azure-storage-blob", "azure-keyvault-secrets", "requests", "python-nomad", "azure-functions-runtime"}
    assert asked <= pinned


def test_no_lock_file_of_another_tool_is_tracked() -> None:
    assert not [name for name in tracked() if name.endswith(("uv.lock", "poetry.lock", "Pipfile.lock"))]


def test_no_tracked_file_names_a_package_registry() -> None:
    hosts = ["pypi" + ".org", "registry.npmjs" + ".org", "files.python" + "hosted", "registry.yarn" + "pkg"]
    found = []
    for name in tracked():
        if (ROOT / name).stat().st_size < 2_000_000 and not name.endswith((".snap", ".png", ".gz")):
            text = (ROOT / name).read_text(errors="replace")
            found += [f"{name}: {host}" for host in hosts if host in text]
    assert found == []


def test_the_layout_is_what_the_map_says() -> None:
    for name in (
        "function_app.py",
        "functions",
        "bicep",
        "cloud-init",
        "host.json",
        "requirements.txt",
        "tests",
        "README.md",
    ):
        assert (ROOT / name).exists(), name
    assert len((ROOT / "function_app.py").read_text().splitlines()) < 25


def test_shipped_modules_stay_under_300_lines() -> None:
    shipped = [n for n in tracked() if n.endswith(".py") and n.startswith(("keeper/", "functions/", "cloud-init/"))]

    assert len(shipped) > 20
    assert [name for name in shipped if len((ROOT / name).read_text().splitlines()) > 300] == []


def test_generated_pages_are_what_the_code_says() -> None:
    done = subprocess.run(
        [sys.executable, "tools/docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stdout


def promises() -> list[tuple[str, str, str]]:
    lines = (ROOT / "docs/promises.md").read_text().splitlines()
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    return [(c[0], c[1], c[2]) for c in cells if len(c) == 3 and c[0] != "promise" and not c[0].startswith("---")]


def test_promises_have_a_state_that_is_known() -> None:
    rows = promises()
    assert len(rows) > 20
    assert {state for _, _, state in rows} <= {"kept", "open"}


@pytest.mark.parametrize("row", promises(), ids=lambda row: row[0][:40])
def test_the_proof_of_a_kept_promise_exists(row: tuple[str, str, str]) -> None:
    _, proofs, state = row
    if state == "open":
        return
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for proof in re.split(r",\s*", proofs):
        command = re.fullmatch(r"`make ([a-z-]+)`", proof)
        if command:
            assert command[1] in targets, proof
            continue
        path, _, name = proof.strip("`").partition("::")
        assert (ROOT / path).exists(), proof
        if name:
            assert re.search(rf"(def|class) {re.escape(name)}\b", (ROOT / path).read_text()), proof
