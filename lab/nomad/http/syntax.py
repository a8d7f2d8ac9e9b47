"""What Go's encoding/json says of a text that is no JSON: the first byte that does not fit, and what was looked for."""

from __future__ import annotations

import re

from lab.nomad.http.gotext import quote

_SPACE = re.compile(r"[ \t\r\n]*")
_STRING = re.compile(r'"(?:[^"\\\x00-\x1f]|\\["\\/bfnrt]|\\u[0-9a-fA-F]{4})*')
_HEX = re.compile(r"[0-9a-fA-F]*")
_DIGITS = re.compile(r"[0-9]*")
_LITERALS = {"t": "true", "f": "false", "n": "null"}
_VALUE = "looking for beginning of value"
_KEY = "looking for beginning of object key string"


class _Found(Exception):
    """The sentence on the first fault."""


def complaint(body: bytes) -> str:
    """Say what is wrong with a text, "" when its first value is well formed."""
    text = body.decode("latin-1")  # Go reads bytes, and shows each as the character of its number
    if not _SPACE.sub("", text, count=1):
        return "EOF"
    try:
        _value(text, _skip(text, 0))
    except _Found as found:
        return str(found)
    return ""


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _fault(text: str, at: int, where: str) -> _Found:
    if at >= len(text):
        return _Found("unexpected EOF")
    shown = {"'": "'\\''", '"': "'\"'"}.get(text[at]) or f"'{quote(text[at])[1:-1]}'"
    return _Found(f"invalid character {shown} {where}")


def _value(text: str, at: int) -> int:
    first = text[at : at + 1]
    if first == "{":
        return _object(text, at)
    if first == "[":
        return _array(text, at)
    if first == '"':
        return _string(text, at)
    if first in _LITERALS:
        return _literal(text, at, _LITERALS[first])
    if first and first in "-0123456789":
        return _number(text, at)
    raise _fault(text, at, _VALUE)


def _object(text: str, at: int) -> int:
    at = _skip(text, at + 1)
    if text[at : at + 1] == "}":
        return at + 1
    while True:
        if text[at : at + 1] != '"':
            raise _fault(text, at, _KEY)
        at = _skip(text, _string(text, at))
        if text[at : at + 1] != ":":
            raise _fault(text, at, "after object key")
        at = _skip(text, _value(text, _skip(text, at + 1)))
        if text[at : at + 1] == "}":
            return at + 1
        if text[at : at + 1] != ",":
            raise _fault(text, at, "after object key:value pair")
        at = _skip(text, at + 1)


def _array(text: str, at: int) -> int:
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return at + 1
    while True:
        at = _skip(text, _value(text, at))
        if text[at : at + 1] == "]":
            return at + 1
        if text[at : at + 1] != ",":
            raise _fault(text, at, "after array element")
        at = _skip(text, at + 1)


def _string(text: str, at: int) -> int:
    match = _STRING.match(text, at)
    at = match.end() if match else at
    if text[at : at + 1] == '"':
        return at + 1
    if text[at : at + 1] != "\\":
        raise _fault(text, at, "in string literal")
    if text[at + 1 : at + 2] != "u":
        raise _fault(text, at + 1, "in string escape code")
    digits = _HEX.match(text, at + 2)
    raise _fault(text, digits.end() if digits else at + 2, r"in \u hexadecimal character escape")


def _literal(text: str, at: int, word: str) -> int:
    for offset, expected in enumerate(word):
        if text[at + offset : at + offset + 1] != expected:
            raise _fault(text, at + offset, f"in literal {word} (expecting '{expected}')")
    return at + len(word)


def _number(text: str, at: int) -> int:
    if text[at] == "-":
        at += 1
    at = at + 1 if text[at : at + 1] == "0" else _digits(text, at, "in numeric literal")
    if text[at : at + 1] == ".":
        at = _digits(text, at + 1, "after decimal point in numeric literal")
    if text[at : at + 1] in {"e", "E"}:
        at += 1
        if text[at : at + 1] in {"+", "-"}:
            at += 1
        at = _digits(text, at, "in exponent of numeric literal")
    return at


def _digits(text: str, at: int, where: str) -> int:
    match = _DIGITS.match(text, at)
    if match is None or match.end() == at:
        raise _fault(text, at, where)
    return match.end()
