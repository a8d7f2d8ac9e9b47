#!/usr/bin/env python3
"""Pack cloud-init/node into cloud-init/bundle.json: `{"sha256": hex, "program": base85 of a tar archive under xz}`.

The same sources give the same archive: names sorted, no times, no owners. userData may hold 64 KB, so comments and
docstrings stay behind; every line keeps its number, so that a traceback on a machine points into these sources. The
templates put both fields into userData; the loader on the machine verifies the one by the other.

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


def without_words(source: str) -> str:
    """The Python source without comments and docstrings, line for line; what it does is unchanged."""
    lines = source.splitlines()
    for statement in _docstrings(ast.parse(source)):
        first, last = statement.lineno - 1, (statement.end_lineno or statement.lineno) - 1
        lines[first : last + 1] = [" " * statement.col_offset + '""'] + [""] * (last - first)
    text = "\n".join(lines) + "\n"
    lines = text.splitlines()
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            row, column = token.start
            lines[row - 1] = lines[row - 1][:column].rstrip()
    return "\n".join(lines) + "\n"


def _docstrings(tree: ast.Module) -> Iterator[ast.Expr]:
    """Every statement that is only a text: docstrings of modules, classes, functions and fields."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node


def archive() -> bytes:
    """The tar archive of the program, uncompressed."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as packed:
        for path in sorted(SOURCE.rglob("*")):
            if path.suffix == ".py":
                carried = without_words(path.read_text(encoding="utf-8")).encode()
            elif path.suffix in CARRIED_WHOLE:
                carried = path.read_bytes()
            else:
                continue
            member = tarfile.TarInfo(path.relative_to(SOURCE).as_posix())
            member.size, member.mode = len(carried), 0o644
            packed.addfile(member, io.BytesIO(carried))
    return out.getvalue()


def bundle() -> dict[str, str]:
    """What the templates read."""
    program = lzma.compress(archive(), preset=9 | lzma.PRESET_EXTREME)
    return {"sha256": hashlib.sha256(program).hexdigest(), "program": base64.b85encode(program).decode()}


def holds_the_sources(kept: dict[str, str]) -> bool:
    """Whether the kept bundle holds just these sources, whichever liblzma packed it, and names its own digest."""
    program = base64.b85decode(kept["program"])
    return lzma.decompress(program) == archive() and hashlib.sha256(program).hexdigest() == kept["sha256"]


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
