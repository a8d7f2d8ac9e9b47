"""checkov over every prediction. Where it is missing the tests say so; in CI that is a failure."""

import json
import os

import pytest

from tests.infra.conftest import NAMES
from tools.infra_bicep import BICEP
from tools.infra_scan import CHECKOV, Contradiction, classic_template, scan, skips

SOURCES = sorted(BICEP.rglob("*.bicep"))
MOST_SKIPS = 10
FEWEST_PASSED = {"production-ha": 150}

needs_checkov = pytest.mark.skipif(
    not CHECKOV.exists() and not os.environ.get("CI"),
    reason="checkov is not installed; run `sh tools/scan-tools`",
)


@needs_checkov
@pytest.mark.parametrize("name", NAMES)
def test_checkov_finds_nothing_and_really_looked(name, predicted):
    report = scan(predicted(name))

    assert report.failed == []
    assert report.parsing_errors == 0
    assert report.passed >= FEWEST_PASSED.get(name, 100)


@needs_checkov
def test_checkov_finds_a_planted_fault(predicted):
    world = predicted("dev").planted()
    world.of("Microsoft.KeyVault/vaults")[0]["properties"]["enablePurgeProtection"] = False

    assert {line.split(" ")[0] for line in scan(world).failed} == {"CKV_AZURE_110", "CKV_AZURE_42"}


def test_skips_are_few_and_each_gives_a_reason():
    given = skips(SOURCES)

    assert len({skip.check for skip in given}) <= MOST_SKIPS
    assert [skip.check for skip in given if len(skip.reason.split()) < 8] == []


def test_no_skip_is_left_over(predicted):
    used = {
        (entry["id"], resource["type"])
        for name in NAMES
        for resource in classic_template(predicted(name), skips(SOURCES))["resources"]
        for entry in resource.get("metadata", {}).get("checkov", [])
    }

    assert {(skip.check, skip.type) for skip in skips(SOURCES)} == used


def test_a_skip_beside_one_of_two_declarations_is_refused(tmp_path):
    file = tmp_path / "a.bicep"
    file.write_text(
        "// checkov:skip=CKV_AZURE_3: a reason that is long enough to count\n"
        "resource a 'Microsoft.Storage/storageAccounts@2025-06-01' = {\n}\n"
        "resource b 'Microsoft.Storage/storageAccounts@2025-06-01' = {\n}\n"
    )

    with pytest.raises(Contradiction, match="beside 1 of 2"):
        skips([file])


def test_the_scanner_sees_the_loader_in_clear(predicted):
    template = json.dumps(classic_template(predicted("dev"), []))

    assert "#cloud-config" in template
