"""Measure everything and write build/bench.json.

    python -m tests.bench [--report] [planner|app|reaction|snapshots]...

The exit code is 1 when a figure passed its bar; with `--report` it is 0, since a shared machine proves nothing by its noise.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import app, planner, reaction, snapshots
from tests.bench.rows import Row

BENCHES: dict[str, Callable[[], list[Row]]] = {
    "planner": planner.results,
    "app": app.measure,
    "reaction": reaction.measure,
    "snapshots": snapshots.measure,
}
OUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def main() -> int:
    """Run the named benches, or all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench")
    parser.add_argument("names", nargs="*", choices=[*BENCHES, []], metavar="name", help=", ".join(BENCHES))
    parser.add_argument("--report", action="store_true", help="only report: exit 0 also when a bar was missed")
    chosen = parser.parse_args()
    console = Console()
    table = Table("what", "measured", "bar", "", box=None)
    rows: list[Row] = []
    for name in chosen.names or BENCHES:
        console.print(f"measuring {name} …")
        rows += BENCHES[name]()
    for each in rows:
        mark = "[green]ok[/]" if each["ok"] else "[red]MISSED[/]"
        table.add_row(each["name"], f"{each['value']:g} {each['unit']}", f"{each['bar']:g} {each['unit']}", mark)
    console.print(table)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1))
    kept = bool(rows) and all(each["ok"] for each in rows)
    return 0 if kept or chosen.report else 1


if __name__ == "__main__":
    sys.exit(main())
