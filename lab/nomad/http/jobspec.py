"""The kinds of all fields of a job as the API of Nomad 1.6.5 takes it.

`jobspec.json` has by struct and by Go type the names of the fields.
https://pkg.go.dev/github.com/hashicorp/nomad/api#Job
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from lab.nomad.http.decode import Kind, ListOf, MapOf, Struct

_SPEC: dict[str, dict[str, str]] = json.loads(Path(__file__).with_name("jobspec.json").read_text())


@cache
def struct(name: str) -> Struct:
    """Answer a struct of the API by its name."""
    fields = ((field, kind) for kind, names in _SPEC[name].items() for field in names.split())
    return Struct(name, {field: _kind(kind) for field, kind in fields})


def _kind(shown: str) -> Kind:
    if shown == "[]byte":
        return shown
    if shown.startswith("[]"):
        return ListOf(_kind(shown[2:].removeprefix("*")), pointers=shown.startswith("[]*"))
    if shown.startswith("map[string]"):
        item = shown.removeprefix("map[string]")
        return MapOf(_kind(item.removeprefix("*")), pointers=item.startswith("*"))
    return struct(shown) if shown in _SPEC else shown
