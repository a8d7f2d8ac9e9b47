"""Measure everything and write build/bench.json; the exit code is 1 when a figure passed its bar."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.bench import app, planner, reaction
from tests.bench.rows import Row

BENCHES: dict[str, Callable[[], list[Row]]] = {
    "planner": planner.results,
    "app": app.measure,
    "reaction": reaction.measure,
}
OUT = Path(__file__).resolve().parents[2] / "build" / "bench.json"


def main(names: list[str]) -> int:
    """Run the named benches, or all of them."""
    console = Console()
    table = Table("what", "measured", "bar", "", box=None)
    rows: list[Row] = []
    for name in names or BENCHES:
        console.print(f"measuring {name} …")
        rows += BENCHES[name]()
    for each in rows:
        mark = "[green]ok[/]" if each["ok"] else "[red]MISSED[/]"
        table.add_row(each["name"], f"{each['value']:g} {each['unit']}", f"{each['bar']:g} {each['unit']}", mark)
    console.print(table)
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps(rows, indent=1))
    return 0 if rows and all(each["ok"] for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
