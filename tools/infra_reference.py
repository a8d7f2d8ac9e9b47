"""Write docs/parameters.md from the compiled template: `python -m tools.infra_reference` (`--check` only compares)."""

import json
import subprocess
import sys
from functools import cache
from typing import Any

from tools.infra_bicep import MAIN, ROOT, compiler

PAGE = ROOT / "docs" / "parameters.md"
HEAD = """# Parameters

Generated from `bicep/main.bicep` by `python -m tools.infra_reference`. Parameter files are in `bicep/params/`.
A wrong value is refused before anything is created, by a sentence that names the parameter.
"""


@cache
def template() -> dict[str, Any]:
    """The compiled main.bicep."""
    done = subprocess.run([compiler(), "build", str(MAIN), "--stdout"], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def page() -> str:
    """The whole page."""
    parameters, definitions = template()["parameters"], template()["definitions"]
    lines = [HEAD, "| parameter | type | default | meaning |", "|---|---|---|---|"]
    lines += [_row(name, given) for name, given in parameters.items()]
    for name in used():
        lines += ["", f"## {_title(name)}", "", definitions[name]["metadata"].get("description", ""), ""]
        lines += ["| property | type | meaning |", "|---|---|---|"]
        lines += [
            f"| `{key}` | {_type(value)} | {_meaning(value)} |"
            for key, value in definitions[name].get("properties", {}).items()
        ]
    return "\n".join(lines) + "\n"


def used() -> list[str]:
    """Names of the types that the parameters, or other used types, refer to."""
    definitions, found, whence = template()["definitions"], list[str](), [template()["parameters"]]
    while whence:
        said = json.dumps(whence.pop(0))
        new = [name for name in definitions if f'"#/definitions/{name}"' in said and name not in found]
        found += new
        whence += [definitions[name] for name in new]
    return found


def _row(name: str, given: dict[str, Any]) -> str:
    return f"| `{name}` | {_type(given)} | {_default(given)} | {_meaning(given)} |"


def _meaning(given: dict[str, Any]) -> str:
    return " ".join(given.get("metadata", {}).get("description", "").split()).replace("|", "\\|")


def _default(given: dict[str, Any]) -> str:
    if "defaultValue" not in given:
        return "none" if given.get("nullable") else "**required**"
    value = given["defaultValue"]
    return f"`{value if isinstance(value, str) and value else json.dumps(value)}`".replace("|", "\\|")


def _type(given: dict[str, Any]) -> str:
    if reference := given.get("$ref"):
        title = _title(reference.rsplit("/", 1)[-1])
        return f"[{title}](#{title.lower()})"
    if allowed := given.get("allowedValues"):
        return ", ".join(f"`{value}`" for value in allowed)
    if given["type"] == "array":
        return f"list of {_type(given['items'])}" if "items" in given else "list"
    if given["type"] == "object" and given.get("properties"):
        return "object of " + ", ".join(f"`{key}` ({_type(value)})" for key, value in given["properties"].items())
    return {"string": "text", "int": "whole number", "bool": "true or false"}.get(given["type"], given["type"])


def _title(name: str) -> str:
    return name.rsplit(".", 1)[-1]


def main(arguments: list[str]) -> int:
    """Write the page, or only compare it."""
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
