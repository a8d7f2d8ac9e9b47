"""Scan predicted resources with checkov, which reads neither modern Bicep nor its compiled form without losing everything.

The prediction is wrapped as a classic ARM template. Skips stand beside the resource that they are about, above its
declaration, and are taken over into the template:

    // checkov:skip=CKV_AZURE_95 where properties.orchestrationMode=Flexible: reason

A prediction does not say which declaration a resource came from, so without `where` every declaration of that type must
carry the skip. Configurations of a site are nested into it, as ARM may write them: checkov takes each one that stands alone
for the `web` configuration and misses in app settings what belongs there.
"""

import base64
import json
import re
import subprocess
import tempfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.infra_bicep import BICEP, ROOT
from tools.infra_prediction import Prediction, Resource, custom_data_text

CHECKOV = ROOT / ".tools" / "checkov" / "bin" / "checkov"
SITE_CONFIGURATION = "Microsoft.Web/sites/config"
_SKIP = re.compile(
    r"^\s*// checkov:skip=(?P<check>CKV2?_AZURE_\d+)(?: where (?P<path>[\w.]+)=(?P<value>\w+))?: (?P<reason>.+)$"
)
_DECLARATION = re.compile(r"^resource \w+ '(?P<type>[\w./]+)@[^']+' (?P<existing>existing )?=")


@dataclass(frozen=True, slots=True)
class Skip:
    """A check that is not applied to a type of resource, and why; `where` narrows it to one value of a property."""

    check: str
    type: str
    reason: str
    where: tuple[str, str] | None = None

    def applies(self, resource: Resource) -> bool:
        """Whether it is about this resource."""
        if self.type.lower() != resource["type"].lower():
            return False
        if self.where is None:
            return True
        found: Any = resource
        for part in self.where[0].split("."):
            found = found.get(part, {}) if isinstance(found, dict) else {}
        return found == self.where[1]


@dataclass(frozen=True, slots=True)
class Report:
    """What checkov said."""

    passed: int
    failed: list[str]
    skipped: list[str]
    parsing_errors: int


class Contradiction(ValueError):
    """A skip does not stand beside every declaration of its type."""


def skips(files: Iterable[Path]) -> list[Skip]:
    """Every skip in these Bicep files; Contradiction when one does not cover all declarations of its type."""
    given: list[Skip] = []
    declared: list[str] = []
    for file in files:
        pending: list[re.Match[str]] = []
        for line in file.read_text().splitlines():
            if found := _SKIP.match(line):
                pending.append(found)
            elif (made := _DECLARATION.match(line)) and not made["existing"]:
                declared.append(made["type"])
                given += [_skip(each, made["type"]) for each in pending]
                pending = []
    for skip in given:
        same = [other for other in given if (other.check, other.type) == (skip.check, skip.type)]
        if skip.where is None and len(same) != declared.count(skip.type):
            raise Contradiction(
                f"{skip.check} is skipped beside {len(same)} of {declared.count(skip.type)} {skip.type}"
            )
    return sorted(set(given), key=lambda skip: (skip.check, skip.type, skip.where or ()))


def _skip(found: re.Match[str], kind: str) -> Skip:
    where = (found["path"], found["value"]) if found["path"] else None
    return Skip(found["check"], kind, found["reason"], where)


def classic_template(world: Prediction, skipped: Iterable[Skip]) -> dict[str, Any]:
    """The prediction as an ARM template of the kind that checkov reads, with skips as metadata."""
    given = list(skipped)
    nested = [resource for resource in world.resources if resource["type"] == SITE_CONFIGURATION]
    alone = [resource for resource in world.resources if resource["type"] != SITE_CONFIGURATION]
    return {
        "$schema": "https://schema.management.azure.com/schemas/2019-04-01/deploymentTemplate.json#",
        "contentVersion": "1.0.0.0",
        "resources": [_with_skips(_with_children(_decoded(resource), nested), given) for resource in alone],
    }


def _with_children(resource: Resource, nested: list[Resource]) -> Resource:
    children = [child for child in nested if child["id"].startswith(f"{resource['id']}/config/")]
    if not children:
        return resource
    inner = [{**child, "type": "config", "name": child["name"].rsplit("/", 1)[-1]} for child in children]
    return {**resource, "resources": inner}


def scan(world: Prediction) -> Report:
    """Run checkov over the prediction; FileNotFoundError."""
    if not CHECKOV.exists():
        raise FileNotFoundError(f"{CHECKOV.relative_to(ROOT)} is missing; run `sh tools/scan-tools`")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{world.name}.json"
        file.write_text(json.dumps(classic_template(world, skips(sorted(BICEP.rglob("*.bicep"))))))
        command = ["env", "BC_API_KEY=", "LOG_LEVEL=ERROR", str(CHECKOV), "--framework", "arm", "--file", str(file)]
        # Nothing leaves the machine: no policies are fetched, no results are sent.
        done = subprocess.run(
            [*command, "--output", "json", "--skip-download", "--soft-fail"],
            capture_output=True,
            text=True,
            check=False,
            cwd=folder,
        )
    return _report(done.stdout)


def _report(text: str) -> Report:
    given = json.loads(text)
    report = given[0] if isinstance(given, list) else given
    results = report["results"]
    return Report(
        passed=report["summary"]["passed"],
        failed=[
            f"{check['check_id']} {check['resource']}: {check['check_name']}" for check in results["failed_checks"]
        ],
        skipped=[f"{check['check_id']} {check['resource']}" for check in results.get("skipped_checks", [])],
        parsing_errors=report["summary"]["parsing_errors"],
    )


def _decoded(resource: Resource) -> Resource:
    """The resource with customData in clear: in base64 its search for secrets finds nothing, and takes minutes for that."""
    encoded = custom_data_text(resource)
    if encoded is None:
        return resource
    clear = base64.b64decode(encoded).decode()
    return json.loads(json.dumps(resource).replace(json.dumps(encoded), json.dumps(clear)))


def _with_skips(resource: Resource, skipped: list[Skip]) -> Resource:
    applying = [skip for skip in skipped if skip.applies(resource)]
    if not applying:
        return resource
    return {**resource, "metadata": {"checkov": [{"id": skip.check, "comment": skip.reason} for skip in applying]}}
