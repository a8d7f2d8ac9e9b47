"""Write docs/settings.md and docs/events.md from the code: `python tools/docs.py` (`--check` only compares)."""

import ast
import dataclasses
import inspect
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import get_args, get_type_hints

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from keeper import pools, settings  # noqa: E402 -- after the path is known
from keeper.core.retention import RetentionRules  # noqa: E402 -- the same
from keeper.core.rules import AutoscaleRules  # noqa: E402 -- the same
from keeper.settings_certificates import CertificateSettings  # noqa: E402 -- the same
from keeper.telemetry import Event  # noqa: E402 -- the same

TITLES = {
    settings.NomadSettings: "Nomad",
    settings.AzureSettings: "Azure",
    settings.DoorSettings: "Doors",
    AutoscaleRules: "Autoscale and limits",
    settings.SnapshotSettings: "Snapshots",
    RetentionRules: "How long snapshots are kept",
    settings.RestoreSettings: "Restores and rehearsals",
    CertificateSettings: "Certificates and secrets",
}


def meanings(section: type) -> dict[str, str]:
    """The docstring below each field of a dataclass."""
    body = ast.parse(inspect.cleandoc(inspect.getsource(section))).body[0]
    if not isinstance(body, ast.ClassDef):
        raise TypeError(section)
    pairs = zip(body.body, body.body[1:], strict=False)
    return {
        field.target.id: " ".join(text.value.value.split())
        for field, text in pairs
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


def rows(section: type) -> Iterator[str]:
    """One table row per setting."""
    hints, said = get_type_hints(section, include_extras=True), meanings(section)
    for field in dataclasses.fields(section):
        if not hasattr(hints[field.name], "__metadata__"):
            continue
        kind, setting = get_args(hints[field.name])
        name = (
            "seconds"
            if kind is timedelta
            else {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}[kind.__name__]
        )
        bounds = [
            f"at least {setting.at_least:g}" if setting.at_least is not None else "",
            f"at most {setting.at_most:g}" if setting.at_most is not None else "",
        ]
        pattern = f"like `{setting.pattern}`".replace("|", "\\|") if setting.pattern else ""
        expected = ", ".join(part for part in (name, *bounds, pattern) if part)
        yield f"| `{setting.env}` | {expected} | {shown(field.default)} | {said[field.name]} |"


def shown(default: object) -> str:
    """A default as it is written in the environment."""
    if default is dataclasses.MISSING:
        return "**required**"
    if isinstance(default, timedelta):
        return f"`{default.total_seconds():.15g}`"
    return f"`{str(default).lower() if isinstance(default, bool) else default}`"


def settings_page() -> str:
    """docs/settings.md."""
    lines = [
        "# Settings",
        "",
        "Generated from `keeper/settings.py` by `make docs`. Set them as app settings of the function app.",
        "Everything wrong is reported at once when the app starts, each problem by the setting's name.",
        "",
    ]
    for section, title in TITLES.items():
        lines += [f"## {title}", "", "| name | expected | default | meaning |", "|---|---|---|---|", *rows(section), ""]
    lines += [
        "## Pools",
        "",
        "`POOLS` (**required**) is a JSON list with one object per scale set:",
        "",
        "| key | expected | meaning |",
        "|---|---|---|",
    ]
    lines += [
        f"| `{name}`{' (**required**)' if key.required else ''} | {key.expected} | {key.meaning} |"
        for name, key in pools.KEYS.items()
    ]
    return "\n".join(lines) + "\n"


def events_page() -> str:
    """docs/events.md."""
    levels = {20: "info", 30: "warning", 40: "error"}
    lines = [
        "# Events",
        "",
        "Generated from `keeper/telemetry.py` by `make docs`. Each is one line of JSON in the log message, with `event` and its facts.",
        "Info: a state changed. Warning: the keeper fell back. Error: a goal was missed.",
        "",
        "| event | level | meaning |",
        "|---|---|---|",
    ]
    lines += [f"| `{event.label}` | {levels[event.level]} | {event.meaning} |" for event in Event]
    return "\n".join(lines) + "\n"


PAGES = {"docs/settings.md": settings_page, "docs/events.md": events_page}


def main() -> int:
    """Write the pages, or with --check say which differ."""
    stale = [name for name, page in PAGES.items() if not (ROOT / name).exists() or (ROOT / name).read_text() != page()]
    if "--check" in sys.argv:
        print("\n".join(f"{name} differs from the code: run `make docs`" for name in stale))
        return 1 if stale else 0
    for name in stale:
        (ROOT / name).write_text(PAGES[name]())
    return 0


if __name__ == "__main__":
    sys.exit(main())
