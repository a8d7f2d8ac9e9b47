"""Constraints hold, fail, or cannot be told, as Nomad reads them."""

import pytest

from keeper.core.constraints import Known, Verdict, judge
from keeper.core.model import Constraint, Operand

HERE = {
    "attr.kernel.name": "linux",
    "attr.cpu.numcores": "4",
    "attr.nomad.version": "1.6.5",
    "attr.driver.docker.version": "24.0.7-rc1",
    "attr.os.signals": "SIGHUP, SIGINT,SIGTERM",
    "meta.rack": "r2",
    "meta.digit": "٣",
    "attr.load": "0.5",
}
SEEN = Known(HERE, complete=True)
NEW = Known(HERE, complete=True, uncertain=frozenset({"attr.platform.azure.zone"}), unseen=True)
GUESSED = Known(HERE, complete=False, unseen=True)


def verdict(left: str, operand: Operand, right: str, place: Known = SEEN) -> Verdict:
    return judge(Constraint(left, operand, right), place)


@pytest.mark.parametrize(
    ("left", "operand", "right", "holds"),
    [
        ("${attr.kernel.name}", "=", "linux", True),
        ("${attr.kernel.name}", "=", "windows", False),
        ("${attr.nowhere}", "=", "x", False),
        ("${attr.kernel.name}", "!=", "windows", True),
        ("${attr.nowhere}", "!=", "x", True),
        ("${attr.cpu.numcores}", ">", "10", False),
        ("${attr.cpu.numcores}", ">=", "4", True),
        ("${attr.cpu.numcores}", "<", "10", True),
        ("${attr.load}", "<=", "0.50", True),
        ("${attr.kernel.name}", "<", "windows", True),
        ("${attr.nowhere}", "<", "1", False),
        ("${attr.kernel.name}", "regexp", "^lin", True),
        ("${attr.kernel.name}", "regexp", "inu", True),
        ("${attr.kernel.name}", "regexp", "^win", False),
        ("${meta.digit}", "regexp", "\\d", False),
        ("${attr.nomad.version}", "version", ">= 1.6, < 1.7", True),
        ("${attr.nomad.version}", "version", "~> 1.6.1", True),
        ("${attr.nomad.version}", "version", "~> 1.5.1", False),
        ("${attr.nomad.version}", "version", "~> 1.5", True),
        ("${attr.nomad.version}", "version", "1.6.5", True),
        ("${attr.nomad.version}", "version", "!= 1.6.5", False),
        ("${attr.kernel.name}", "version", ">= 1", False),
        ("${attr.driver.docker.version}", "version", ">= 20", False),
        ("${attr.driver.docker.version}", "version", ">= 24.0.7-beta", True),
        ("${attr.driver.docker.version}", "semver", ">= 20.0.0", True),
        ("${attr.driver.docker.version}", "semver", ">= 24.0.7", False),
        ("${attr.os.signals}", "set_contains", "SIGTERM,SIGHUP", True),
        ("${attr.os.signals}", "set_contains_all", "SIGTERM, SIGKILL", False),
        ("${attr.os.signals}", "set_contains_any", "SIGKILL,SIGINT", True),
        ("${attr.os.signals}", "set_contains_any", "SIGKILL", False),
        ("${meta.rack}", "is_set", "", True),
        ("${meta.row}", "is_set", "", False),
        ("${meta.row}", "is_not_set", "", True),
        ("linux", "=", "${attr.kernel.name}", True),
        ("${meta.rack}", "distinct_property", "1", True),
        ("", "distinct_hosts", "true", True),
    ],
)
def test_every_operator_decides_as_in_nomad(left, operand, right, holds):
    assert verdict(left, Operand(operand), right) is Verdict.of(holds)


@pytest.mark.parametrize(
    ("left", "operand", "place", "expected"),
    [
        ("${attr.nowhere}", "=", SEEN, Verdict.FAILS),
        ("${attr.nowhere}", "=", GUESSED, Verdict.UNKNOWN),
        ("${attr.nowhere}", "is_not_set", GUESSED, Verdict.UNKNOWN),
        ("${attr.kernel.name}", "=", GUESSED, Verdict.FAILS),
        ("${attr.platform.azure.zone}", "=", NEW, Verdict.UNKNOWN),
        ("${attr.unique.hostname}", "=", NEW, Verdict.FAILS),
        ("${node.unique.id}", "regexp", NEW, Verdict.FAILS),
        ("${node.unique.name}", "!=", NEW, Verdict.HOLDS),
        ("${meta.unique.x}", "is_set", NEW, Verdict.HOLDS),
        ("${node.unique.name}", "=", SEEN, Verdict.UNKNOWN),
    ],
)
def test_what_is_not_known_is_kept_apart_from_what_fails(left, operand, place, expected):
    assert verdict(left, Operand(operand), "value", place) is expected


def test_a_pattern_that_cannot_be_read_is_not_known_to_fail():
    assert verdict("${attr.kernel.name}", Operand.REGEXP, "(") is Verdict.UNKNOWN
    assert verdict("${attr.kernel.name}", Operand.REGEXP, r"^\pL+$") is Verdict.UNKNOWN
    assert verdict("${attr.nomad.version}", Operand.VERSION, "about 1") is Verdict.UNKNOWN
