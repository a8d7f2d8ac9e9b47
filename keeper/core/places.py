"""Where work may run, as far as anything but room decides: pool, datacenter, class, drivers, volumes, constraints.

Nodes that look alike share one `Place`, so that a question about a thousand nodes is asked once.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from keeper.core.constraints import Known, Verdict, is_uncertain, is_unique, judge, value_at
from keeper.core.model import (
    Constraint,
    Device,
    DeviceAsk,
    JobSpec,
    MHz,
    Node,
    Operand,
    Pool,
    Resources,
    TaskGroup,
    Template,
    TemplateSource,
)

ANY_NODE_POOL = "all"
"""A job of this node pool runs in every one (https://developer.hashicorp.com/nomad/docs/concepts/node-pools)."""

ZONES = frozenset({"attr.platform.azure.zone", "meta.zone"})
"""Where a node tells its zone: by Nomad's fingerprint of Azure, and by the metadata that its first boot writes."""


class Needs(NamedTuple):
    """What a task group asks of a place. Equal needs get equal answers."""

    node_pool: str
    datacenters: tuple[str, ...]
    constraints: tuple[Constraint, ...]
    drivers: frozenset[str]
    host_volumes: frozenset[str]
    written_volumes: frozenset[str]
    volumes_of_one: frozenset[str]
    networks: frozenset[str]
    devices: tuple[DeviceAsk, ...]


class Answer(NamedTuple):
    """A verdict and, unless it holds, why in a few words."""

    verdict: Verdict
    why: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Place:
    """Nodes that look alike. Compared by identity, for it is made once per tick and kind."""

    name: str
    node_class: str
    node_pool: str
    datacenter: str
    total: Resources
    known: Known
    drivers: frozenset[str] | None
    host_volumes: frozenset[str]
    read_only_volumes: frozenset[str]
    networks: frozenset[str] | None
    core_mhz: MHz
    """What a reserved core takes of the CPU."""
    devices: tuple[Device, ...]
    answers: dict[Needs, Answer] = field(default_factory=dict[Needs, Answer])
    """What was asked before."""

    def answer(self, needs: Needs) -> Answer:
        """Whether work with these needs may run here, room aside."""
        found = self.answers.get(needs)
        if found is None:
            found = self.answers[needs] = _worst(_judgements(self, needs))
        return found


def needs_of(spec: JobSpec, group: TaskGroup) -> Needs:
    """What that group of that job asks of a place."""
    return Needs(
        spec.node_pool,
        spec.datacenters,
        group.constraints,
        group.drivers,
        group.host_volumes,
        group.written_volumes,
        group.volumes_of_one,
        group.networks,
        group.devices,
    )


def about_one_node(needs: Needs) -> bool:
    """Whether some constraint can only be answered node by node."""
    return any(
        is_unique(constraint.left) or is_unique(constraint.right)
        for constraint in needs.constraints
        if constraint.operand is not Operand.DISTINCT_PROPERTY
    )


def property_at(place: Place, node: Node | None, target: str) -> str:
    """The value that `distinct_property` tells nodes apart by. A value nobody knows counts as one shared by all."""
    if is_unique(target) and node is not None:
        return str(node.id)
    return value_at(target, place.known) or ""


def place_of_template(pool: Pool, template: Template) -> Place:
    """What a further instance of the pool will be."""
    seen = template.source is TemplateSource.SEEN
    return Place(
        name=pool.name,
        node_class=template.node_class,
        node_pool=template.node_pool,
        datacenter=template.datacenter,
        total=template.resources,
        known=Known(
            _values(template, template.attributes), seen, _zone_differs(pool), unseen=True, unique=template.unique
        ),
        drivers=template.drivers,
        host_volumes=template.host_volumes,
        read_only_volumes=template.read_only_volumes,
        networks=template.networks,
        core_mhz=_core_mhz(template),
        devices=template.devices,
    )


def place_of_node(node: Node, pool: Pool | None, template: Template | None) -> Place:
    """What the node is. Its attributes are those of its pool's template, for nodes of a pool are alike."""
    learnt = template is not None and template.source is TemplateSource.SEEN
    attributes: Mapping[str, str] = template.attributes if template is not None and learnt else {}
    unique = template.unique if template is not None else None
    return Place(
        name=pool.name if pool else node.name,
        node_class=node.node_class,
        node_pool=node.node_pool,
        datacenter=node.datacenter,
        total=node.resources,
        known=Known(_values(node, attributes), learnt, _zone_differs(pool) if pool else frozenset(), unique=unique),
        drivers=node.drivers,
        host_volumes=node.host_volumes,
        read_only_volumes=node.read_only_volumes,
        networks=node.networks,
        core_mhz=_core_mhz(node),
        devices=node.devices,
    )


def holds_on(place: Place, node: Node, needs: Needs) -> bool:
    """Whether the constraints about that very node hold too; asked only when `about_one_node`."""
    values = {**place.known.values, "node.unique.id": node.id, "node.unique.name": node.name}
    known = Known(values, place.known.complete, place.known.uncertain, unique=place.known.unique)
    return all(judge(constraint, known) is Verdict.HOLDS for constraint in needs.constraints)


def _values(source: Node | Template, attributes: Mapping[str, str]) -> dict[str, str]:
    return {
        **attributes,
        "node.class": source.node_class,
        "node.pool": source.node_pool,
        "node.datacenter": source.datacenter,
    }


def _core_mhz(source: Node | Template) -> MHz:
    """What the node tells, else an equal share of what work may use."""
    return source.core_mhz or (source.resources.cpu // source.resources.cores if source.resources.cores else 0)


def _zone_differs(pool: Pool) -> frozenset[str]:
    return ZONES if len(pool.zones) != 1 else frozenset()


def _worst(answers: Iterable[Answer]) -> Answer:
    """A failure beats doubt, doubt beats consent."""
    doubt = Answer(Verdict.HOLDS)
    for answer in answers:
        if answer.verdict is Verdict.FAILS:
            return answer
        if answer.verdict is Verdict.UNKNOWN and doubt.verdict is Verdict.HOLDS:
            doubt = answer
    return doubt


def _judgements(place: Place, needs: Needs) -> Iterable[Answer]:
    in_pool = needs.node_pool in {ANY_NODE_POOL, place.node_pool}
    yield Answer(Verdict.of(in_pool), f"node pool is {place.node_pool}, not {needs.node_pool}")
    in_datacenter = any(_globs(glob, place.datacenter) for glob in needs.datacenters)
    yield Answer(Verdict.of(in_datacenter), f"datacenter is {place.datacenter}, not {', '.join(needs.datacenters)}")
    yield _drivers(place, needs)
    yield _networks(place, needs)
    yield from _volumes(place, needs)
    yield _devices(place, needs.devices)
    for constraint in needs.constraints:
        text = f"{constraint.left} {constraint.operand} {constraint.right}".strip()
        yield Answer(_about_alike(constraint, place), f"constraint {text}")


def _globs(pattern: str, name: str) -> bool:
    """Nomad's globs know the star alone: other letters mean themselves."""
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), name) is not None


def _about_alike(constraint: Constraint, place: Place) -> Verdict:
    """Constraints on unique values are asked of each existing node by itself, and here only of what may be bought.

    How far apart work must be is a matter of room, see `fit`; but not where nobody knows what a new machine's value will be.
    """
    if constraint.operand is Operand.DISTINCT_PROPERTY:
        uncertain = place.known.unseen and is_uncertain(constraint.left, place.known)
        return Verdict.UNKNOWN if uncertain else judge(constraint, place.known)
    about_one = is_unique(constraint.left) or is_unique(constraint.right)
    return Verdict.HOLDS if about_one and not place.known.unseen else judge(constraint, place.known)


def _drivers(place: Place, needs: Needs) -> Answer:
    if place.drivers is None:
        return Answer(Verdict.UNKNOWN if needs.drivers else Verdict.HOLDS, "drivers are not known")
    lacking = needs.drivers - place.drivers
    return Answer(Verdict.of(not lacking), f"no driver {_list(lacking)}")


def _networks(place: Place, needs: Needs) -> Answer:
    """The network's mode, and the host networks of its ports, whose names may be interpolated."""
    if place.networks is None:
        return Answer(Verdict.UNKNOWN if needs.networks else Verdict.HOLDS, "networks are not known")
    lacking = {need for need in needs.networks if _network(need, place) not in place.networks}
    return Answer(Verdict.of(not lacking), f"no network: {_list(lacking)}")


def _network(need: str, place: Place) -> str:
    words, interpolated, name = need.partition("${")
    return words + (value_at("${" + name, place.known) or "") if interpolated else need


def _volumes(place: Place, needs: Needs) -> Iterable[Answer]:
    absent = place.known.complete or not place.known.unseen
    lacking = needs.host_volumes - place.host_volumes
    yield Answer(Verdict.of(None if lacking and not absent else not lacking), f"no volume {_list(lacking)}")
    kept = needs.written_volumes & place.read_only_volumes
    yield Answer(Verdict.of(not kept), f"volume {_list(kept)} is read-only")
    for name in needs.volumes_of_one:
        has = any(each.startswith(f"{name}[") for each in place.host_volumes)
        yield Answer(Verdict.of(None if has or not absent else False), f"a volume {name} for each allocation")


def _devices(place: Place, asks: tuple[DeviceAsk, ...]) -> Answer:
    names = ", ".join(f"{ask.count} devices {ask.name}" for ask in asks)
    if take_devices(Counter({device: device.count for device in place.devices}), asks) is None:
        absent = place.known.complete or not place.known.unseen
        return Answer(Verdict.of(False if absent else None), f"no {names}")
    conditional = any(ask.constraints for ask in asks)
    return Answer(Verdict.UNKNOWN if conditional else Verdict.HOLDS, f"constraints on {names}")


def take_devices(free: Counter[Device], asks: Iterable[DeviceAsk]) -> Counter[Device] | None:
    """What is left of `free` once one allocation has its devices, or None when they are too few.

    Each ask is met from one group of equal devices, the fullest that will do.
    """
    left = Counter(free)
    for ask in asks:
        able = [device for device in left if device_suits(device, ask.name) and left[device] >= ask.count]
        if not able:
            return None
        left[min(able, key=lambda device: (left[device], device.name))] -= ask.count
    return left


def device_suits(device: Device, name: str) -> bool:
    """Whether a job's name for a device (`type`, `vendor/type` or `vendor/type/name`) means that one."""
    parts = name.split("/", 2)
    wanted = {1: parts, 2: parts, 3: parts}[len(parts)]
    actual = {1: [device.type], 2: [device.vendor, device.type], 3: [device.vendor, device.type, device.name]}
    return wanted == actual[len(parts)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
