"""Regular expressions as Nomad's operator `regexp` reads them, which are Go's (https://github.com/google/re2/wiki/Syntax)."""

import re
from collections.abc import Iterator
from functools import lru_cache

_TOKEN = re.compile(r"\\.|\[:[a-z]+:\]|.", re.DOTALL)
_CLASSES = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:ascii:]": r"\x00-\x7f",
    "[:blank:]": r"\t ",
    "[:cntrl:]": r"\x00-\x1f\x7f",
    "[:digit:]": "0-9",
    "[:graph:]": "!-~",
    "[:lower:]": "a-z",
    "[:print:]": " -~",
    "[:punct:]": r"!-/:-@\[-`{-~",
    "[:space:]": r"\t\n\v\f\r ",
    "[:upper:]": "A-Z",
    "[:word:]": "0-9A-Za-z_",
    "[:xdigit:]": "0-9A-Fa-f",
}
"""Names of sets of letters, inside of a set."""
_NO_GO = re.compile(r"\(\?(?:=|!|<=|<!|>|P=|#|\()|\\[1-9ZuU]|[*+?}]\+")
"""Python's alone: looking around, references, groups and repetitions that do not go back. To Go it is no pattern, so nothing matches."""
_NO_REPETITION = re.compile(r"\{,\d*\}")
"""To Go these are letters, to Python a repetition."""
_BY_LINES = re.compile(r"\(\?[a-zA-Z]*m")
_SET_OPERATIONS = frozenset("-&~|")


def matches(text: str, pattern: str) -> bool | None:
    """Whether Go finds the pattern in the text; None for what Python does not read alike, which is not judged."""
    if _NO_GO.search(pattern):
        return False
    try:
        return _compiled(pattern).search(text) is not None
    except (re.error, Unlike):
        return None


class Unlike(Exception):
    """Something that Python reads in another way."""


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile("".join(translated(pattern)), re.ASCII)


def translated(pattern: str) -> Iterator[str]:
    """The pattern's parts in Python's words: an end that is the end, not the place before a last line break; raises `Unlike`."""
    if _NO_REPETITION.search(pattern):
        raise Unlike
    end = "$" if _BY_LINES.search(pattern) else r"\Z"
    before, in_set = "", False
    parts: list[str] = _TOKEN.findall(pattern)
    for part in parts:
        if in_set and (part == "[" or (part == before and part in _SET_OPERATIONS)):
            raise Unlike
        replaced = _CLASSES if in_set else {"$": end, r"\z": r"\Z"}
        yield replaced.get(part, part)
        if not in_set:
            in_set, before = part == "[", ""
        elif part == "]" and before:
            in_set = False
        elif part != "^" or before:
            before = part
