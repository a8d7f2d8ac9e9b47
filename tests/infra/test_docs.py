"""The pages about deploying: their commands parse and name things that exist; generated pages are up to date."""

import json
import re
import shlex
import subprocess

import pytest

from tools import infra_cost
from tools.infra_bicep import ROOT, parameter_files
from tools.infra_prediction import prediction

PAGES = ["deploy.md", "environments.md", "cost.md", "parameters.md"]


def blocks(page: str) -> list[str]:
    return re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / page).read_text(), re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_every_command_block_is_valid_shell(page):
    for block in blocks(page):
        done = subprocess.run(["sh", "-n"], input=block, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{block}\n{done.stderr}"


@pytest.mark.parametrize("page", PAGES)
def test_every_path_named_exists(page):
    text = (ROOT / "docs" / page).read_text()
    named = set(re.findall(r"(?:bicep|docs|tools|tests)/[\w./-]+\w", text)) - {"docs/architecture.md"}

    assert [path for path in named if not (ROOT / path).exists()] == []


def test_every_parameter_set_on_a_command_line_exists():
    given = {name for block in blocks("deploy.md") for name in re.findall(r"--parameters (\w+)=", block)}
    known = set(re.findall(r"^param (\w+)", (ROOT / "bicep" / "main.bicep").read_text(), re.MULTILINE))

    assert given
    assert given <= known


def test_three_commands_are_three_commands():
    lines = [line for line in blocks("deploy.md")[0].splitlines() if not line.startswith("export ")]

    assert [shlex.split(line)[0] for line in lines] == ["az", "az", "make"]


def test_names_in_commands_are_those_that_are_made():
    world = prediction(next(file for file in parameter_files() if file.stem == "production-minimal"))
    made = {resource["name"] for resource in world.resources}
    text = "\n".join(blocks("deploy.md"))

    assert {"bas-nomad", "nomad-server-1"} <= made
    assert set(re.findall(r"--name (bas-\S+|nomad-server-\d)", text)) <= made
    assert "functionAppName" in world.raw["outputs"]
    assert {f"snapshots-{tier}" for tier in ("hourly", "daily", "weekly", "monthly")} <= {
        name.rsplit("/", 1)[-1] for name in made
    }


def test_the_app_roles_are_those_that_the_keeper_asks_for():
    roles = {role["value"] for role in json.loads((ROOT / "docs" / "app-roles.json").read_text())}

    assert roles == set(re.findall(r'"(Keeper\.\w+)"', (ROOT / "functions" / "replies.py").read_text()))


def test_the_cost_page_is_counted_from_what_would_be_made():
    assert infra_cost.PAGE.read_text() == infra_cost.page(), "run `python -m tools.infra_cost`"


def test_production_costs_more_than_dev_and_everything_most():
    totals = {file.stem: sum(line.total for line in infra_cost.bill(prediction(file))) for file in parameter_files()}

    assert totals["dev"] < totals["production-minimal"] < totals["production-ha"] < totals["everything-on"]
