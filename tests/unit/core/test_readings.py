"""Numbers, patterns and versions as Nomad reads them, which is as Go does; each case was asked of a real Nomad or of Go's documents."""

import pytest

from keeper.core import numbers, patterns, versions


@pytest.mark.parametrize(
    ("left", "right", "order"),
    [
        ("9", "10", -1),
        ("010", "10", 0),
        ("+3", "3", 0),
        ("-0", "0", 0),
        ("9.5", "10", -1),
        ("1e3", "999", 1),
        ("9.5", "1_000", -1),
        ("1__0", "2", -1),
        ("0x10", "9", -1),
        (" 10", "9", -1),
        ("abc", "abd", -1),
        ("nan", "1", None),
        ("inf", "1e308", 1),
        ("1e400", "2", -1),
        ("9" * 5000, "1", 1),
    ],
)
def test_numbers_are_ordered_as_go_reads_them(left, right, order):
    assert numbers.order(left, right) == order
    assert numbers.order(right, left) == (None if order is None else -order)


@pytest.mark.parametrize(
    ("text", "pattern", "found"),
    [
        ("beta", "^beta$", True),
        ("beta\n", "^beta$", False),
        ("beta\n", "(?m)^beta$", True),
        ("a", r"a\z", True),
        ("x$", "[$]", True),
        ("abc", "^[[:alpha:]]+$", True),
        ("a1", "^[[:alpha:][:digit:]]+$", True),
        ("1", "[[:alpha:]]", False),
        ("]a", "^[]a]+$", True),
        ("a", "[^[:alpha:]]", False),
        ("abc", "a(?=b)", False),
        ("aa", r"(a)\1", False),
        ("a", "a{,2}", None),
        ("a", "[[a]]", None),
        ("a", r"\pL", None),
        ("a", "(", None),
    ],
)
def test_patterns_find_what_go_finds_or_are_not_judged(text, pattern, found):
    assert patterns.matches(text, pattern) is found


@pytest.mark.parametrize(
    ("version", "bounds", "strict", "holds"),
    [
        ("v2.0", ">= 1.2.3", False, True),
        ("1.2.3-beta.1", ">= 1.2.0", False, False),
        ("1.2.3-beta.1", ">= 1.2.0", True, True),
        ("5.15.0-1051-azure", "> 5.15.0-1050-azure", False, True),
        ("1.2.9", "~> 1.2.3", False, True),
        ("1.3.0", "~> 1.2.3", False, False),
        ("1.9.0", "~> 1.2", False, True),
        ("1.2.3", "~> 1.2", True, None),
        ("1.2", "= 1.2.0", False, True),
        ("9" * 5000, ">= 1", False, False),
        ("1.2.3", ">= " + "9" * 5000, False, None),
    ],
)
def test_versions_hold_as_nomad_holds_them(version, bounds, strict, holds):
    assert versions.satisfies(version, bounds, strict=strict) is holds
