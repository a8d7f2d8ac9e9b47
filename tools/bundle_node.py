#!/usr/bin/env python3
"""Pack cloud-init/node into cloud-init/bundle.json: `{"sha256": hex, "program": base64 of a tar archive under xz}`.

The same sources give the same archive: names sorted, no times, no owners. userData may hold 64 KB of base64, so what a
running program never looks at stays behind: comments, docstrings, annotations of functions, imports for type checkers.
Every line keeps its number, so that a traceback on a machine points into these sources.

The templates write userData as `program` followed by base64 of `{"schema", "role", "knobs", "sha256"}`. Base64 may be
joined like that where the first part is whole groups of three bytes, so the program ends with spaces up to the next one,
and JSON does not mind spaces before it. An archive under xz says itself where it ends. So the program is encoded once, not
as text within a text that is encoded again, which took a quarter more.

    python tools/bundle_node.py            write the bundle
    python tools/bundle_node.py --check    exit 1 when the bundle does not hold just these sources
"""

import ast
import base64
import hashlib
import io
import json
import lzma
import sys
import tarfile
import tokenize
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "cloud-init" / "node"
BUNDLE = ROOT / "cloud-init" / "bundle.json"
CARRIED_WHOLE = {".gpg"}
GROUP = 3
"""Bytes that base64 encodes at a time."""

type Place = tuple[int, int]
"""A line, from 1, and a column in bytes of UTF-8, from 0, as `ast` counts them."""

type Cut = tuple[Place, Place, str]
"""From where, to where, and what stands there instead."""


def without_words(source: str) -> str:
    """The Python source without anything that no running program looks at, line for line; what it does is unchanged.

    Annotations of fields stay, since dataclasses read them.
    """
    tree = ast.parse(source)
    cuts = [*_texts(tree), *_annotations(tree, source), *_imports_for_checkers(tree)]
    return _without_comments(_applied(source, cuts))


def _texts(tree: ast.Module) -> Iterator[Cut]:
    """Statements that are only a text: docstrings of modules, classes, functions and fields; a body is never left empty."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and isinstance(body, list):
            texts = [each for each in body if _is_text(each)]
            for each in texts:
                yield _cut(each, "..." if texts == body else "")


def _is_text(node: ast.stmt) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)


def _annotations(tree: ast.Module, source: str) -> Iterator[Cut]:
    """`: str` behind an argument, and `-> str` behind the arguments; nothing reads them."""
    lines = [line.encode() for line in source.splitlines()]
    for node in ast.walk(tree):
        if isinstance(node, ast.arg) and node.annotation:
            _, end, _ = _cut(node.annotation)
            yield (node.lineno, node.col_offset + len(node.arg.encode())), end, ""
        elif isinstance(node, ast.FunctionDef) and node.returns and node.returns.lineno == node.returns.end_lineno:
            # One over several lines stays: without its brackets the colon behind it would begin a line.
            start, end, _ = _cut(node.returns)
            before = lines[start[0] - 1][: start[1]]
            yield (start[0], len(before[: before.rindex(b"->")].rstrip())), end, ""


def _imports_for_checkers(tree: ast.Module) -> Iterator[Cut]:
    for node in tree.body:
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            yield _cut(node)


def _cut(node: ast.stmt | ast.expr, instead: str = "") -> Cut:
    return (
        (node.lineno, node.col_offset),
        (node.end_lineno or node.lineno, node.end_col_offset or node.col_offset),
        instead,
    )


def _applied(source: str, cuts: list[Cut]) -> str:
    """The source with the cuts made, from the last to the first; lines that vanish stay as empty ones."""
    lines = [line.encode() for line in source.splitlines()]
    for (first, start), (last, end), instead in sorted(cuts, reverse=True):
        rest = lines[last - 1][end:]
        lines[first - 1 : last] = [lines[first - 1][:start] + instead.encode(), *[b""] * (last - first)]
        lines[last - 1] += rest
    return b"".join(line.rstrip() + b"\n" for line in lines).decode()


def _without_comments(text: str) -> str:
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines) + "\n"


def carried() -> dict[str, bytes]:
    """Every file of the program as a machine gets it, by its path below cloud-init/node."""
    files: dict[str, bytes] = {}
    for path in sorted(SOURCE.rglob("*")):
        name = path.relative_to(SOURCE).as_posix()
        if path.suffix == ".py":
            files[name] = without_words(path.read_text(encoding="utf-8")).encode()
        elif path.suffix in CARRIED_WHOLE:
            files[name] = path.read_bytes()
    return files


def archive() -> bytes:
    """The tar archive of the program, uncompressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for name, content in carried().items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            packed.addfile(member, io.BytesIO(content))
    return out.getvalue()


def bundle() -> dict[str, str]:
    """What the templates read."""
    return bundled(lzma.compress(archive(), preset=9 | lzma.PRESET_EXTREME))


def bundled(program: bytes) -> dict[str, str]:
    """A program under xz as the templates take it: its digest, and base64 that more base64 may follow."""
    padded = program + b" " * (-len(program) % GROUP)
    return {"sha256": hashlib.sha256(program).hexdigest(), "program": base64.b64encode(padded).decode()}


def user_data(bundle: dict[str, str], told: dict[str, object]) -> str:
    """What the templates write as userData, base64 (bicep/modules/compute/userData.bicep)."""
    text = json.dumps({**told, "sha256": bundle["sha256"]}, separators=(",", ":"))
    return bundle["program"] + base64.b64encode(text.encode()).decode()


def taken_apart(user_data: str) -> tuple[bytes, bytes]:
    """The program under xz and the JSON that are in a machine's userData, as its loader takes them apart."""
    whole = base64.b64decode(user_data)
    reader = lzma.LZMADecompressor()
    reader.decompress(whole)
    return whole[: len(whole) - len(reader.unused_data)], reader.unused_data


def holds_the_sources(kept: dict[str, str]) -> bool:
    """Whether the kept bundle holds just these sources, whichever liblzma packed it, and names its own digest."""
    program, rest = taken_apart(kept["program"])
    proven = hashlib.sha256(program).hexdigest() == kept["sha256"]
    return proven and not rest.strip(b" ") and lzma.decompress(program) == archive()


def main() -> int:
    """Write the bundle, or check it."""
    if "--check" in sys.argv[1:]:
        if BUNDLE.exists() and holds_the_sources(json.loads(BUNDLE.read_text())):
            return 0
        print(f"{BUNDLE.relative_to(ROOT)} does not hold cloud-init/node as it is: run `python tools/bundle_node.py`")
        return 1
    made = bundle()
    BUNDLE.write_text(json.dumps(made, indent=2) + "\n")
    print(f"{BUNDLE.relative_to(ROOT)}: {len(made['program'])} characters, sha256 {made['sha256'][:12]}…")
    return 0


if __name__ == "__main__":
    sys.exit(main())
