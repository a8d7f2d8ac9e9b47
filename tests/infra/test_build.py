"""The templates compile, and nobody has to look past a warning."""

import pytest

from tools.infra_bicep import BICEP, Refused, entrances, lint, predict_with, reached, sources, unformatted

LONGEST = 300


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


def test_modules_are_short_enough_to_read():
    modules = [*BICEP.glob("modules/*/*.bicep"), *(file for file in BICEP.glob("*.bicep") if file.name != "main.bicep")]

    assert {file.name: n for file in modules if (n := len(file.read_text().splitlines())) > LONGEST} == {}


def test_a_pool_of_a_size_that_nobody_described_is_refused():
    with pytest.raises(Refused, match=r"size Standard_X1 of pool odd is not in sizes\.json"):
        predict_with(
            "param sshPublicKey = 'k'\nparam clientPools = [{ name: 'odd', min: 0, max: 1, sku: 'Standard_X1' }]"
        )
