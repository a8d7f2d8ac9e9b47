"""Whether a node could ever take a group: drivers, constraints, devices, networks, volumes, distinctness."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.constraints import meets, resolve, sentence
from lab.nomad.model.devices import could_serve
from lab.nomad.model.properties import PropertySet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from lab.nomad.model.eligibility import ClassEligibility
    from lab.nomad.model.metrics import Metrics
    from lab.nomad.model.planning import Plan
    from lab.nomad.model.store import Record

CLASS_INELIGIBLE = "computed class ineligible"


class GroupChecks:
    """The checks of one group of one job during one evaluation."""

    def __init__(self, job: Record, group: Record, node_of: Callable[[str], Record | None]) -> None:
        self._job = job
        self._group = group
        self._drivers = sorted({task["Driver"] for task in group["Tasks"]})
        own = [*(group["Constraints"] or ()), *(c for task in group["Tasks"] for c in task["Constraints"] or ())]
        self._constraints = own
        self._devices = any(task["Resources"]["Devices"] for task in group["Tasks"])
        self._volumes = [v for v in (group["Volumes"] or {}).values() if v["Type"] == "host"]
        self._other_volumes = [v for v in (group["Volumes"] or {}).values() if v["Type"] not in {"host", ""}]
        self._network = next(iter(group["Networks"] or ()), None)
        self._distinct_job = _distinct_hosts(job["Constraints"])
        self._distinct_group = _distinct_hosts(group["Constraints"])
        self._properties = [
            *((c, PropertySet(c["LTarget"], None, node_of)) for c in _distinct_properties(job["Constraints"])),
            *((c, PropertySet(c["LTarget"], group["Name"], node_of)) for c in _distinct_properties(own)),
        ]

    def count_existing(self, allocs: Iterable[Record]) -> None:
        """Learn what the job has running, for distinct_property."""
        if self._properties:
            known = list(allocs)
            for _, counts in self._properties:
                counts.count_existing(known)

    def feasible(self, node: Record, classes: ClassEligibility, metrics: Metrics, plan: Plan) -> bool:
        """Answer whether the node could take the group; note the reason when it could not."""
        return (
            self._job_feasible(node, classes, metrics)
            and self._group_feasible(node, classes, metrics)
            and self._distinct(node, metrics, plan)
        )

    def _job_feasible(self, node: Record, classes: ClassEligibility, metrics: Metrics) -> bool:
        known = None if classes.job_escapes else classes.job.get(node["ComputedClass"])
        if known is None:
            why = _first_unmet(self._job["Constraints"], node)
            if not classes.job_escapes:
                classes.job[node["ComputedClass"]] = why is None
            if why is not None:
                metrics.filter(node, why)
                return False
            return True
        if not known:
            metrics.filter(node, CLASS_INELIGIBLE)
        return known

    def _group_feasible(self, node: Record, classes: ClassEligibility, metrics: Metrics) -> bool:
        name = self._group["Name"]
        learned = classes.groups.setdefault(name, {})
        escaped = classes.group_escapes(name)
        known = None if escaped else learned.get(node["ComputedClass"])
        why = self._unmet(node) if known is None else (None if known else CLASS_INELIGIBLE)
        if known is None and not escaped:
            learned[node["ComputedClass"]] = why is None
        why = why or self._unavailable(node)
        if why is not None:
            metrics.filter(node, why)
        return why is None

    def _unmet(self, node: Record) -> str | None:
        if not all(_has_driver(node, driver) for driver in self._drivers):
            return "missing drivers"
        why = _first_unmet(self._constraints, node)
        if why is not None:
            return why
        if self._devices and not could_serve(node, self._group):
            return "missing devices"
        return _network_problem(node, self._network)

    def _unavailable(self, node: Record) -> str | None:
        if self._other_volumes:
            return "missing CSI Volume " + self._other_volumes[0]["Source"]
        for volume in self._volumes:
            held = (node["HostVolumes"] or {}).get(volume["Source"])
            if held is None or (held["ReadOnly"] and not volume["ReadOnly"]):
                return "missing compatible host volumes"
        return None

    def _distinct(self, node: Record, metrics: Metrics, plan: Plan) -> bool:
        if (self._distinct_job or self._distinct_group) and self._collides(node, plan):
            metrics.filter(node, "distinct_hosts")
            return False
        for constraint, counts in self._properties:
            why = _property_taken(constraint, resolve(constraint["LTarget"], node), counts.used(plan))
            if why is not None:
                metrics.filter(node, why)
                return False
        return True

    def _collides(self, node: Record, plan: Plan) -> bool:
        namespace, job, group = self._job["Namespace"], self._job["ID"], self._group["Name"]
        groups = plan.use(node["ID"]).groups
        if self._distinct_job:
            return any(n and key[0] == namespace and key[1] == job for key, n in groups.items())
        return groups.get((namespace, job, group), 0) > 0


def _first_unmet(constraints: list[Record] | None, node: Record) -> str | None:
    return next((sentence(c) for c in constraints or () if not meets(c, node)), None)


def _has_driver(node: Record, driver: str) -> bool:
    info = node["Drivers"].get(driver)
    if info is not None:
        return info["Detected"] and info["Healthy"]
    return node["Attributes"].get(f"driver.{driver}", "").lower() in {"1", "t", "true"}


def _network_problem(node: Record, network: Record | None) -> str | None:
    """Only the first network of a group counts: its mode, then the host networks of its ports."""
    if network is None or network["Mode"] == "none":
        return None
    if (network["Mode"] or "host") not in {n["Mode"] or "host" for n in node["NodeResources"]["Networks"] or ()}:
        return "missing network"
    known = {a["Alias"] for n in node["NodeResources"]["NodeNetworks"] or () for a in n["Addresses"] or ()}
    for port in (*(network["DynamicPorts"] or ()), *(network["ReservedPorts"] or ())):
        wanted = resolve(port["HostNetwork"], node)
        if wanted is None:
            return f'invalid host network "{port["HostNetwork"]}" template for port "{port["Label"]}"'
        if wanted and wanted not in known:
            return f'missing host network "{wanted}" for port "{port["Label"]}"'
    return None


_FALSE = frozenset({"0", "f", "F", "false", "FALSE", "False"})
"""As Go reads it; any other word keeps the constraint."""


def _distinct_hosts(constraints: list[Record] | None) -> bool:
    """Of several constraints the first decides."""
    asked = (each["RTarget"] for each in constraints or () if each["Operand"] == "distinct_hosts")
    return next(asked, "false") not in _FALSE


def _distinct_properties(constraints: list[Record] | None) -> list[Record]:
    return [c for c in constraints or () if c["Operand"] == "distinct_property"]


def _property_taken(constraint: Record, value: str | None, used: dict[str, int]) -> str | None:
    if value is None:
        return f'missing property "{constraint["LTarget"]}"'
    allowed = int(constraint["RTarget"]) if constraint["RTarget"].isdigit() else 1
    count = used.get(value, 0)
    if count < allowed:
        return None
    return f"distinct_property: {constraint['LTarget']}={value} used by {count} allocs"
