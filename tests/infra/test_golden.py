"""What each parameter file would create, as a text that a review can read."""

import json
from dataclasses import replace

import pytest

from tests.infra.conftest import NAMES
from tools.infra_bicep import ROOT
from tools.infra_golden import GOLDEN, changes, golden_names, readable


@pytest.mark.parametrize("name", NAMES)
def test_the_predicted_resources_are_those_that_were_reviewed(name, predicted):
    difference = changes(predicted(name))

    assert not difference, f"accept with `python -m tools.infra_golden --write`\n{difference[:8000]}"


def test_there_is_one_golden_file_for_each_parameter_file():
    assert golden_names() == sorted(NAMES)
    assert len(NAMES) == 5


def test_a_changed_resource_shows_as_a_few_lines(predicted):
    world = replace(predicted("dev").planted(), name="dev")
    world.one("Microsoft.Network/loadBalancers")["sku"]["name"] = "Basic"

    lines = [line for line in changes(world).splitlines() if line[:1] in "+-" and line[:3] not in {"+++", "---"}]

    assert lines == ['-  "name": "Standard"', '+  "name": "Basic"']


def test_golden_files_hold_neither_the_program_nor_the_loader():
    bundle = json.loads((ROOT / "cloud-init" / "bundle.json").read_text())

    assert [file.name for file in GOLDEN.glob("*.txt") if bundle["program"][:60] in file.read_text()] == []


def test_a_golden_file_tells_how_many_resources_there_are(predicted):
    assert readable(predicted("dev")).startswith(f"# {len(predicted('dev').resources)} resources\n")
