"""Golden files of predicted resources: one per parameter file, made to be read and compared in a review.

    python -m tools.infra_golden          show what changed, exit 1 when anything did
    python -m tools.infra_golden --write  accept it

customData and the node program are shown by name only (they have tests of their own); userData is shown decoded.
"""

import difflib
import json
import sys
from pathlib import Path
from typing import Any

from tools.infra_bicep import ROOT, parameter_files
from tools.infra_prediction import Prediction, Resource, custom_data_text, prediction, told, user_data_text

GOLDEN = ROOT / "tests" / "infra" / "golden"


def readable(world: Prediction) -> str:
    """The prediction as text: a line with type and name for each resource, its body below, sorted."""
    shown = sorted(world.resources, key=lambda r: (r["type"].lower(), r["name"].lower(), r["id"].lower()))
    blocks = [f"## {r['type']} {_short(r)}\n{json.dumps(_body(r), indent=1, sort_keys=True)}\n" for r in shown]
    return f"# {len(shown)} resources\n\n" + "\n".join(blocks)


def changes(world: Prediction) -> str:
    """A unified diff from the golden file to what would be created now; empty when equal."""
    file = GOLDEN / f"{world.name}.txt"
    before = file.read_text().splitlines() if file.exists() else []
    diff = difflib.unified_diff(before, readable(world).splitlines(), file.name, "now", lineterm="", n=4)
    return "\n".join(diff)


def _short(resource: Resource) -> str:
    """The id without subscription, for resources that stand on others."""
    return resource["id"].split("/resourceGroups/", 1)[-1]


def _body(resource: Resource) -> dict[str, Any]:
    body = {key: value for key, value in resource.items() if key not in {"id", "type", "name"}}
    text = json.dumps(body)
    if user_data := user_data_text(resource):
        given = told(resource)
        text = text.replace(json.dumps(user_data), json.dumps({"role": given["role"], "knobs": given["knobs"]}))
    if custom_data := custom_data_text(resource):
        text = text.replace(json.dumps(custom_data), '"cloud-init/loader.yaml"')
    return json.loads(text)


def main(arguments: list[str]) -> int:
    """Compare or write every golden file; the number of files that differ."""
    differing = 0
    for file in parameter_files():
        world = prediction(file)
        if "--write" in arguments:
            GOLDEN.mkdir(parents=True, exist_ok=True)
            (GOLDEN / f"{world.name}.txt").write_text(readable(world))
        elif diff := changes(world):
            differing += 1
            print(diff)
    return differing


def golden_names() -> list[str]:
    """Names of the golden files that exist."""
    return sorted(Path(file).stem for file in GOLDEN.glob("*.txt"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
