"""The README tells the truth: its commands exist, its links lead somewhere, its output is what the programs print."""

import re
from pathlib import Path

from keeper.telemetry import Event
from lab.scenarios import day

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()


def test_every_make_command_of_the_docs_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    named = {
        (page.name, name)
        for page in pages
        for name in re.findall(r"(?<![\w-])make ([a-z][a-z-]+)(?=[`\s]|$)", code_of(page))
    }

    assert ("README.md", "demo") in named
    assert {(page, name) for page, name in named if name not in targets} == set()


def code_of(page: Path) -> str:
    """What stands in code spans and indented or fenced blocks."""
    text = page.read_text()
    return "\n".join(re.findall(r"^```.*?^```|^    [^\n]*$|`[^`\n]+`", text, re.MULTILINE | re.DOTALL))


def test_every_target_is_explained_by_help() -> None:
    targets = set(re.findall(r"^\.PHONY: ([a-z-]+)", MAKEFILE, re.MULTILINE))
    explained = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))

    assert targets == explained


def test_every_link_leads_to_a_file() -> None:
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
    links = [(page, target) for page in pages for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())]
    local = [(page, target) for page, target in links if not target.startswith("http")]

    assert len(local) > 8
    assert [f"{page.name}: {target}" for page, target in local if not (page.parent / target).exists()] == []


def test_the_output_shown_has_every_promise_of_the_demo() -> None:
    source = Path(day.__file__).read_text()
    promised = re.findall(r'_stage\.(?:at_most|equal)\(\s*"([^"]+)"', source)

    assert len(promised) > 8
    assert [name for name in promised if name not in README] == []


def test_the_map_names_folders_that_exist() -> None:
    shown = README.partition("## Map")[2]
    for name in ("functions", "keeper/core", "keeper/controllers", "bicep", "cloud-init", "lab", "tests", "docs"):
        assert name + "/" in shown
        assert (ROOT / name).is_dir()


def test_every_event_is_on_its_page() -> None:
    page = (ROOT / "docs/events.md").read_text()
    assert [event.label for event in Event if f"`{event.label}`" not in page] == []
