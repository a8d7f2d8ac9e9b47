"""The templates compile, and nobody has to look past a warning."""

import json

import pytest

from tools.infra_bicep import Refused, entrances, lint, predict_with, reached, sources, unformatted
from tools.infra_reference import template

LONGEST = 300
FOUR_MEGABYTES = 4 * 1024 * 1024


def test_no_file_has_a_diagnostic_of_any_level():
    assert [str(finding) for path in entrances() for finding in lint(path)] == []


def test_no_file_escapes_the_linter():
    assert reached() == {path for path in sources() if path.suffix == ".bicep"}


def test_every_file_is_formatted():
    assert unformatted() == []


def test_a_misspelt_property_is_noticed_although_the_compiler_only_warns(tmp_path):
    file = tmp_path / "main.bicep"
    file.write_text(
        "resource a 'Microsoft.Network/natGateways@2025-05-01' = {\n"
        "  name: 'a'\n  location: resourceGroup().location\n  sku: { name: 'Standard' }\n  propertis: {}\n}\n"
    )

    assert "BCP089" in {finding.rule for finding in lint(file)}


def test_files_are_short_enough_to_read():
    assert {file.name: n for file in sources() if (n := len(file.read_text().splitlines())) > LONGEST} == {}


def test_the_compiled_template_is_far_from_azures_limit():
    whole = json.dumps(template(), separators=(",", ":"))

    assert len(whole) < FOUR_MEGABYTES / 2


def test_a_pool_of_a_size_that_nobody_described_is_refused():
    with pytest.raises(Refused, match=r"size Standard_X1 of pool odd is not in sizes\.json"):
        predict_with(
            "param sshPublicKey = 'k'\nparam clientPools = [{ name: 'odd', min: 0, max: 1, sku: 'Standard_X1' }]"
        )
