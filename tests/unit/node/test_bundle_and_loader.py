"""What Azure hands a machine: the constant loader, and the bundle that it verifies and unpacks. The loader's own text runs."""

import ast
import base64
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest
import yaml
from node_paper import PYTHON_3_10, user_data
from node_standins import Loopback, Reply

ROOT = Path(__file__).parents[3]
SOURCES = ROOT / "cloud-init" / "node"
CUSTOM_DATA_LIMIT = 16 * 1024
USER_DATA_LIMIT = 64 * 1024
ROOM = 6 * 1024
"""Characters of userData that stay free: a program that grows past this is cut down before it no longer fits."""

sys.path.insert(0, str(ROOT / "tools"))
import bundle_node  # noqa: E402 - a command of tools/, which is no package


def loader():
    return yaml.safe_load((ROOT / "cloud-init" / "loader.yaml").read_text())


class Metadata(Loopback):
    """The instance metadata service's userData."""

    user_data = b""
    status = 200

    def answer(self, _method, path, query, headers, _body):
        assert (path, headers["Metadata"]) == ("/metadata/instance/compute/userData", "true")
        assert query["format"] == ["text"]
        return Reply(self.status, base64.b64encode(self.user_data))


class Machine:
    def __init__(self, folder):
        self.folder, self.imds = folder, Metadata()
        (script,) = [each["content"] for each in loader()["write_files"] if each["path"].endswith("keeper-load")]
        for real, here in (
            ("http://169.254.169.254", self.imds.url),
            ("/opt/keeper", str(folder / "opt")),
            ("/var/lib/keeper", str(folder / "var")),
        ):
            assert real in script
            script = script.replace(real, here)
        self.script = folder / "keeper-load"
        self.script.write_text(script)

    def boot(self):
        return subprocess.run([sys.executable, self.script], capture_output=True, text=True, check=False, timeout=30)


@pytest.fixture
def machine(tmp_path):
    made = Machine(tmp_path)
    yield made
    made.imds.close()


def packed(members, **more):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        for name, text in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))
    made = bundle_node.bundled(out.getvalue())
    told = {"sha256": more.pop("sha256", made["sha256"]), **more}
    return base64.b64decode(made["program"]) + json.dumps(told).encode()


def given(role, **knobs):
    """What the metadata service gives a machine with the program that is checked in."""
    kept = json.loads(bundle_node.BUNDLE.read_text())
    told = json.loads(user_data(role, **knobs))
    return base64.b64decode(bundle_node.user_data(kept, told))


ECHO = "import sys\nprint('ran', sys.argv[1:])\nsys.exit(75)\n"


def test_the_loader_runs_the_program_that_user_data_holds_and_hands_its_exit_code_on(machine):
    machine.imds.user_data = packed({"keeper_node.py": ECHO}, knobs={"a": 1})

    done = machine.boot()

    kept = machine.folder / "var" / "user-data.json"
    assert done.returncode == 75
    assert done.stdout == f"ran ['apply', '--user-data', '{kept}']\n"
    assert json.loads(kept.read_text())["knobs"] == {"a": 1}
    assert kept.stat().st_mode & 0o777 == 0o644  # the health shim reads it under a user of its own; no secret is in it


def test_changed_user_data_is_followed_at_the_next_run(machine):
    machine.imds.user_data = packed({"keeper_node.py": "print('old')"})
    machine.boot()
    machine.imds.user_data = packed({"keeper_node.py": "print('new')"})

    assert machine.boot().stdout == "new\n"


@pytest.mark.parametrize(
    "spoilt",
    [
        packed({"keeper_node.py": "print('evil')"}, sha256="0" * 64),
        packed({"../outside.py": "print('evil')", "keeper_node.py": "print('evil')"}),
        packed({"/etc/outside.py": "print('evil')"}),
        packed({"keeper_node.py": "print('cut')"})[:-20],
        packed({"keeper_node.py": "print('cut')"})[:60],
        packed({"keeper_node.py": "print('no words')"}).partition(b"{")[0],
        b"not a program",
        b"{}",
        b"",
    ],
)
def test_user_data_that_does_not_verify_is_reported_and_the_last_good_program_runs_on(machine, spoilt):
    machine.imds.user_data = packed({"keeper_node.py": "print('good')"})
    machine.boot()
    machine.imds.user_data = spoilt

    done = machine.boot()

    assert done.stdout.splitlines()[-1] == "good"
    assert done.stdout.startswith("<3>{")
    assert json.loads(done.stdout.splitlines()[0].removeprefix("<3>"))["event"] == "node.load_failed"
    assert not (machine.folder / "outside.py").exists()


def test_a_machine_that_never_had_a_good_program_says_so_and_fails(machine):
    machine.imds.user_data = b"{}"

    done = machine.boot()

    assert done.returncode == 1
    assert "correct it and deploy again" in done.stdout


def test_a_metadata_service_that_is_away_stops_nothing(machine):
    machine.imds.user_data = packed({"keeper_node.py": "print('good')"})
    machine.boot()
    machine.imds.status = 503

    assert machine.boot().stdout.splitlines()[-1] == "good"


def test_the_bundle_holds_just_the_sources():
    kept = json.loads(bundle_node.BUNDLE.read_text())

    assert set(kept) == {"sha256", "program"}
    assert bundle_node.holds_the_sources(kept), "run `python tools/bundle_node.py`"


def test_the_same_sources_give_the_same_bundle():
    assert bundle_node.bundle() == bundle_node.bundle()


def test_the_bundle_runs_under_the_loader_and_reads_its_own_user_data(machine):
    machine.imds.user_data = given("client", colour="red")

    done = machine.boot()

    assert done.returncode == 2
    assert "colour is not a knob" in done.stdout


def test_words_stay_behind_and_every_line_keeps_its_number():
    source = (
        '"""Doc."""\n\nif TYPE_CHECKING:\n    import x\nA = "x # y"  # why\n\n\nclass B:\n    """Two\n    lines."""\n\n'
        '    c: int = 1\n    """Field."""\n\n\nclass C(B):\n    """Alone."""\n\n\ndef d(e: str, *, f: "X" = 1) -> dict[str, int]:\n'
        '    """Doc."""\n    g: int = 2\n'
    )

    stripped = bundle_node.without_words(source)

    assert stripped == (
        '\n\n\n\nA = "x # y"\n\n\nclass B:\n\n\n\n    c: int = 1\n\n\n\nclass C(B):\n    ...\n\n\n'
        "def d(e, *, f = 1):\n\n    g: int = 2\n"
    )


class Unworded(ast.NodeTransformer):
    """The tree of a source without what `without_words` leaves behind, said a second way."""

    def visit_FunctionDef(self, node):
        self.generic_visit(node)
        if node.returns is not None and node.returns.lineno == node.returns.end_lineno:
            node.returns = None
        return node

    def visit_arg(self, node):
        node.annotation = None
        return node

    def visit_Expr(self, node):
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return ast.Pass() if is_text else node

    def visit_If(self, node):
        if isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            return ast.Pass()
        return self.generic_visit(node)


def statements(source):
    """Every statement that does something, as text with the line it begins on."""
    tree = Unworded().visit(ast.parse(source))
    for node in ast.walk(tree):
        if isinstance(getattr(node, "body", None), list):
            node.body = [each for each in node.body if not isinstance(each, ast.Pass) and not is_nothing(each)]
    found = [node for node in ast.walk(tree) if isinstance(node, ast.stmt) and not is_nothing(node)]
    return [(node.lineno, ast.dump(node)) for node in found]


def is_nothing(node):
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and node.value.value is ...


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.name)
def test_what_is_carried_does_the_same_on_the_same_lines(path):
    source = path.read_text()

    assert statements(bundle_node.without_words(source)) == statements(source)


def test_what_is_carried_makes_members_as_the_sources_do(tmp_path):
    """The tests of the main path, against what a machine gets, laid out as in the checkout."""
    for name, content in bundle_node.carried().items():
        laid = tmp_path / "cloud-init" / "node" / name
        laid.parent.mkdir(parents=True, exist_ok=True)
        laid.write_bytes(content)
    tests = tmp_path / "tests" / "unit" / "node"
    tests.mkdir(parents=True)
    for name in (
        "conftest.py",
        "node_deposits.py",
        "node_paper.py",
        "test_apply.py",
        "test_configuration.py",
        "test_leaving.py",
    ):
        shutil.copy(Path(__file__).with_name(name), tests)
    (tmp_path / "tests" / "recordings").symlink_to(ROOT / "tests" / "recordings")
    chosen = "becomes_a_member or test_configuration or test_leaving or taken_over or reaches_a_command_line"
    argv = [sys.executable, "-W", "error", "-m", "pytest", "-q", "-x", "--import-mode=importlib", "-k", chosen]

    done = subprocess.run(
        [*argv, "-p", "no:cacheprovider", str(tests)],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )

    assert done.returncode == 0, done.stdout[-3000:]
    assert str(tmp_path / "cloud-init") in imported_from(tmp_path)


def imported_from(folder):
    """Where those tests find the program."""
    ask = "import sys; sys.path.insert(0, sys.argv[1]); import keepernode; print(keepernode.__file__)"
    argv = [sys.executable, "-c", ask, folder / "cloud-init" / "node"]
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("path", sorted(SOURCES.rglob("*.py")), ids=lambda path: path.name)
def test_every_module_is_python_3_10_as_written_and_as_bundled(path):
    source = path.read_text()
    for text in (source, bundle_node.without_words(source)):
        ast.parse(text, feature_version=(3, 10))


@pytest.mark.skipif(PYTHON_3_10 is None, reason="no Python 3.10 here: only its grammar was checked")
def test_the_program_loads_and_answers_under_python_3_10(tmp_path):
    kept = json.loads(bundle_node.BUNDLE.read_text())
    with tarfile.open(fileobj=io.BytesIO(bundle_node.taken_apart(kept["program"])[0])) as archive:
        archive.extractall(tmp_path, filter="data")
    run = [PYTHON_3_10, "-W", "error", tmp_path / "keeper_node.py"]

    assert subprocess.run([*run, "--help"], capture_output=True, check=False).returncode == 0
    told = tmp_path / "user-data.json"
    told.write_text(user_data("client", colour="red"))
    done = subprocess.run([*run, "health", "--user-data", told], capture_output=True, text=True, check=False)
    assert (done.returncode, "colour is not a knob" in done.stdout) == (2, True)


def test_custom_data_and_user_data_fit_what_azure_takes():
    custom_data = (ROOT / "cloud-init" / "loader.yaml").read_bytes()
    assert len(base64.b64encode(custom_data)) <= CUSTOM_DATA_LIMIT

    seal = {"vaultName": "v" * 24, "keyName": "k" * 60, "tenantId": "t" * 36}
    knobs = {
        "nodeMeta": {f"key{n}": "v" * 40 for n in range(10)},
        "vaultSeal": seal,
        "keyringKey": seal,
        "consul": "colocated",
    }
    assert len(base64.b64encode(given("server", **knobs))) <= USER_DATA_LIMIT - ROOM


def test_the_loader_has_no_part_that_could_differ_between_machines():
    text = (ROOT / "cloud-init" / "loader.yaml").read_text()

    assert text.startswith("#cloud-config\n")
    assert "${" not in text
    assert "{{" not in text
    assert {each["path"] for each in loader()["write_files"]} == {
        "/usr/local/sbin/keeper-load",
        "/etc/systemd/system/keeper-load.service",
        "/etc/systemd/system/keeper-load.timer",
    }
