"""Run the Bicep compiler: find it, build, lint, format, and predict the resources of a deployment.

Found on PATH, or beside the checkout in `shared/tools/bicep`. Predictions are kept in `build/infra` by what went into them.
"""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
BICEP = ROOT / "bicep"
MAIN = BICEP / "main.bicep"
KEPT = ROOT / "build" / "infra"

SUBSCRIPTION = "00000000-0000-0000-0000-000000000001"
TENANT = "00000000-0000-0000-0000-000000000002"
GROUP = "rg-nomad"
LOCATION = "westeurope"

_USES = re.compile(r"^(?:module \w+|import \{[^}]*\} from) '([^']+\.bicep)'", re.MULTILINE)

NOBODYS_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExampleKeyForChecksOnly0000000000000000000000 checks"
GIVEN = {"SSH_PUBLIC_KEY": NOBODYS_KEY, "OPERATOR_SOURCES": "203.0.113.0/24"}
"""What every parameter file asks for, as checks give it."""

FROM_ENVIRONMENT = (*GIVEN, "ADMIN_GROUP_ID", "ALERT_EMAILS", "API_CLIENT_ID", "CERTIFICATE_SECRET_ID", "PACKAGE_URL")
"""What the parameter files take from the environment; docs/deploy.md sets them."""


class Refused(Exception):
    """The compiler, or the template itself, refused the parameters; the message is what a user would read."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One diagnostic of the compiler or linter."""

    file: str
    line: int
    rule: str
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.rule}: {self.message}"


@cache
def compiler() -> str:
    """Path of the compiler; FileNotFoundError says where it was looked for."""
    beside = ROOT.parent / "shared" / "tools" / "bicep" / "bicep"
    found = shutil.which("bicep") or (str(beside) if beside.exists() else None)
    if found is None:
        raise FileNotFoundError(
            f"no bicep on PATH and none at {beside}; install it, or run `az bicep install` and add ~/.azure/bin to PATH"
        )
    return found


def parameter_files() -> list[Path]:
    """The five parameter files, by name."""
    return sorted((BICEP / "params").glob("*.bicepparam"))


def sources() -> list[Path]:
    """Every file of ours that the compiler reads."""
    return sorted([*BICEP.rglob("*.bicep"), *BICEP.rglob("*.bicepparam")])


def lint(path: Path) -> list[Finding]:
    """Every diagnostic for `path`, of any level: warnings leave the compiler's exit code at 0, so it is never trusted."""
    done = _run("lint", str(path), "--diagnostics-format", "Sarif")
    report = json.loads(done.stdout or done.stderr)
    return [_finding(result) for run in report["runs"] for result in run["results"]]


def entrances() -> list[Path]:
    """The files that a deployment begins with; linting them lints every module that they lead to."""
    return [MAIN, *parameter_files()]


def reached() -> set[Path]:
    """Every Bicep file that main.bicep leads to, itself included."""
    seen, waiting = set[Path](), [MAIN]
    while waiting:
        file = waiting.pop()
        if file not in seen:
            seen.add(file)
            waiting += [(file.parent / path).resolve() for path in _USES.findall(file.read_text())]
    return seen


def unformatted() -> list[str]:
    """Files that the formatter would change."""
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "bicep"
        shutil.copytree(BICEP, copy)
        _run("format", "--pattern", f"{copy}/**/*.bicep*")
        return [
            file.relative_to(BICEP).as_posix()
            for file in sources()
            if (copy / file.relative_to(BICEP)).read_text() != file.read_text()
        ]


def predict(parameters: Path) -> dict[str, Any]:
    """What a deployment with this parameter file would create, as `bicep snapshot` says; raises `Refused`."""
    kept = KEPT / f"{_fingerprint(parameters)}.json"
    if not kept.exists():
        KEPT.mkdir(parents=True, exist_ok=True)
        answer = _snapshot(parameters)
        whole = kept.with_suffix(f".{os.getpid()}")
        whole.write_text(json.dumps(answer))
        whole.replace(kept)
    answer = json.loads(kept.read_text())
    if "refused" in answer:
        raise Refused(answer["refused"])
    return answer


def predict_with(parameters: str) -> dict[str, Any]:
    """The same for parameters written as Bicep text, without the `using` line."""
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        file = Path(folder) / "case.bicepparam"
        file.write_text(f"using '{os.path.relpath(MAIN, folder)}'\n{parameters}\n")
        return predict(file)


def _scratch() -> Path:
    scratch = KEPT / "cases"
    scratch.mkdir(parents=True, exist_ok=True)
    return scratch


def _snapshot(parameters: Path) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=_scratch()) as folder:
        copy = Path(folder) / parameters.name
        text = parameters.read_text()
        used = (parameters.parent / text.split("'")[1]).resolve()
        copy.write_text(text.replace(text.split("'")[1], os.path.relpath(used, folder), 1))
        where = [
            "--subscription-id",
            SUBSCRIPTION,
            "--tenant-id",
            TENANT,
            "--resource-group",
            GROUP,
            "--location",
            LOCATION,
        ]
        done = _run("snapshot", str(copy), *where)
        made = copy.with_suffix(".snapshot.json")
        if done.returncode != 0 or not made.exists():
            return {"refused": done.stderr.replace(folder, "").strip()}
        return json.loads(made.read_text())


def _run(*arguments: str) -> subprocess.CompletedProcess[str]:
    # Parameter files read these from the environment when a person deploys; a prediction must not depend on it.
    unset = [f"--unset={name}" for name in FROM_ENVIRONMENT]
    given = [f"{name}={value}" for name, value in GIVEN.items()]
    # The compiler lives for seconds: watching itself, so as to run faster later, costs it a sixth of them.
    given.append("DOTNET_TieredPGO=0")
    return subprocess.run(["env", *unset, *given, compiler(), *arguments], capture_output=True, text=True, check=False)


def _fingerprint(parameters: Path) -> str:
    digest = hashlib.sha256(Path(compiler()).stat().st_size.to_bytes(8))
    loaded = [*BICEP.rglob("*.json"), *(ROOT / "cloud-init").glob("*.*")]
    for path in sorted({*sources(), *loaded}):
        if path.suffix != ".bicepparam":
            digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    digest.update(parameters.read_text().split("\n", 1)[1].encode())
    return digest.hexdigest()[:32]


def _finding(result: dict[str, Any]) -> Finding:
    place = result["locations"][0]["physicalLocation"]
    return Finding(
        place["artifactLocation"]["uri"].rsplit("/", 1)[-1],
        place["region"]["startLine"],
        result["ruleId"],
        result["message"]["text"],
    )


if __name__ == "__main__":
    sys.exit("\n".join(str(finding) for path in entrances() for finding in lint(path)) or 0)
