"""What is deployed works by itself, and holds nothing that is not deployed."""

import os
import subprocess
import sys
import zipfile
from pathlib import Path

from lab.pools import LabPool, settings_of

ROOT = Path(__file__).resolve().parents[2]


def unpacked(into: Path) -> list[str]:
    subprocess.run([sys.executable, "tools/package.py"], cwd=ROOT, check=True, capture_output=True)
    with zipfile.ZipFile(ROOT / "build" / "app.zip") as packed:
        packed.extractall(into)
        return packed.namelist()


def test_the_function_app_imports_from_the_package_alone(tmp_path: Path) -> None:
    unpacked(tmp_path)
    settings = settings_of([LabPool("general", 1, 4)], "0" * 36)
    code = "import function_app; print(sorted(f.get_function_name() for f in function_app.app.get_functions()))"

    done = subprocess.run(
        [sys.executable, "-P", "-c", "import sys; sys.path.insert(0, '.'); " + code],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], **settings},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert {"'autoscale'", "'alerts'", "'events'", "'work'", "'bury'", "'start_operation'"} <= set(
        done.stdout.strip("[]\n").split(", ")
    )


def test_wrong_settings_stop_the_app_with_every_problem_in_one_error(tmp_path: Path) -> None:
    unpacked(tmp_path)

    done = subprocess.run(
        [sys.executable, "-c", "import function_app"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "POOLS": "{"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode != 0
    for name in ("NOMAD_ADDRESS", "AZURE_CLIENT_ID", "KEY_VAULT_URL", "POOLS: expected a JSON list"):
        assert name in done.stderr


def test_where_app_roles_are_required_no_door_asks_for_a_key(tmp_path: Path) -> None:
    unpacked(tmp_path)
    code = "import json, function_app; print([json.loads(b)['authLevel'] for f in function_app.app.get_functions() for b in map(str, f.get_raw_bindings()) if 'authLevel' in b])"
    levels = {}
    for required in ("true", "false"):
        settings = settings_of([LabPool("general", 1, 4)], "0" * 36, {"HTTP_REQUIRE_APP_ROLES": required})
        done = subprocess.run(
            [sys.executable, "-P", "-c", "import sys; sys.path.insert(0, '.'); " + code],
            cwd=tmp_path,
            env={"PATH": os.environ["PATH"], **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        levels[required] = set(done.stdout.strip("[]\n").replace("'", "").split(", "))

    assert levels == {"true": {"ANONYMOUS"}, "false": {"FUNCTION"}}


def test_only_what_runs_in_azure_is_packed(tmp_path: Path) -> None:
    names = unpacked(tmp_path)

    assert not [name for name in names if name.startswith(("lab", "tests", "bicep", "cloud-init", "keeper/cli", "."))]
    assert "requirements.txt" in names
