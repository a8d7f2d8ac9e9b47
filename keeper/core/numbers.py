"""Numbers as Nomad's operators `<`, `<=`, `>` and `>=` read them, which are Go's.

Whole numbers of 64 bits, then decimal numbers, then text: the first reading that suits both sides decides
(https://developer.hashicorp.com/nomad/docs/job-specification/constraint#operator-values, https://pkg.go.dev/strconv). Python
reads more as a number than Go does, such as ` 10` and digits of other scripts; `1_000` is a decimal number to Go, but no whole one.
"""

import re
from collections.abc import Callable
from math import isinf, isnan

_INTEGER = re.compile("[+-]?0*[0-9]{1,19}")
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_DECIMAL = re.compile(rf"[+-]?(?:{_DIGITS}(?:\.(?:{_DIGITS})?)?|\.{_DIGITS})(?:e[+-]?{_DIGITS})?", re.IGNORECASE)
_HEXADECIMAL = re.compile(
    r"[+-]?0x_?(?=[0-9a-f.])[0-9a-f]*(?:_[0-9a-f]+)*\.?[0-9a-f]*(?:_[0-9a-f]+)*p[+-]?[0-9]+", re.IGNORECASE
)
_NAMED = re.compile("[+-]?inf(?:inity)?|nan", re.IGNORECASE)
_LARGEST = 2**63


def order(left: str, right: str) -> int | None:
    """Below zero when `left` comes first, zero when neither does, above zero when `right` does; None when it is no order."""
    whole = _integer(left), _integer(right)
    if whole[0] is not None and whole[1] is not None:
        return (whole[0] > whole[1]) - (whole[0] < whole[1])
    decimal = _decimal(left), _decimal(right)
    if decimal[0] is None or decimal[1] is None:
        return (left > right) - (left < right)
    if isnan(decimal[0]) or isnan(decimal[1]):
        return None
    return (decimal[0] > decimal[1]) - (decimal[0] < decimal[1])


def _integer(text: str) -> int | None:
    if _INTEGER.fullmatch(text) is None:
        return None
    number = int(text.lstrip("+-0") or "0") * (-1 if text.startswith("-") else 1)
    return number if -_LARGEST <= number < _LARGEST else None


def _decimal(text: str) -> float | None:
    """A number too large is none to Go, unless it is called infinite."""
    if _NAMED.fullmatch(text):
        return float(text)
    if _HEXADECIMAL.fullmatch(text):
        return _finite(lambda: float.fromhex(text.replace("_", "")))
    return _finite(lambda: float(text.replace("_", ""))) if _DECIMAL.fullmatch(text) else None


def _finite(read: Callable[[], float]) -> float | None:
    try:
        number = read()
    except OverflowError:
        return None
    return None if isinf(number) else number
