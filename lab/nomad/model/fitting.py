"""Fitting one group onto one node: ports, devices, cores and room, with evictions where they are allowed."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab.nomad.model.devices import assign
from lab.nomad.model.ports import PortBook, PortsTaken, shared_network
from lab.nomad.model.preemption import preempt_for_port, preempt_for_room
from lab.nomad.model.resources import take_of

if TYPE_CHECKING:
    from lab.nomad.model.metrics import Metrics
    from lab.nomad.model.planning import Plan
    from lab.nomad.model.resources import Room, Take
    from lab.nomad.model.store import Record
    from lab.nomad.model.usage import NodeUse

MAX_FIT = 18.0


@dataclass(slots=True)
class Option:
    """A node that a group fits onto, with what it would be given and its scores by name."""

    node: Record
    allocated: Record
    scores: dict[str, float] = field(default_factory=dict)
    parts: list[float] = field(default_factory=list)
    evicted: list[Record] = field(default_factory=list)
    final: float = 0.0

    def score(self, name: str, value: float, *, counts: bool = True) -> None:
        """Note a score; one that does not count is shown and left out of the mean."""
        self.scores[name] = value
        if counts:
            self.parts.append(value)

    def normalize(self) -> None:
        """Set the final score to the mean of those that count."""
        self.final = sum(self.parts) / len(self.parts) if self.parts else 0.0


class Fitter:
    """How a group is fitted: the job it belongs to, whether it may evict, and how nodes are scored."""

    def __init__(self, job: Record, group: Record, *, evict: bool, spread: bool, oversubscribe: bool) -> None:
        self.job = job
        self.group = group
        self.evict = evict
        self.spread = spread
        self.oversubscribe = oversubscribe
        asked = [task["Resources"] for task in group["Tasks"]]
        same_everywhere = not group["Networks"] and not any(a["Networks"] or a["Devices"] or a["Cores"] for a in asked)
        self._fixed = self._same_everywhere() if same_everywhere else None

    def _same_everywhere(self) -> tuple[Record, Take]:
        tasks = {task["Name"]: self._task(task["Resources"], None, [], [], None) for task in self.group["Tasks"]}
        allocated = self._allocated(None, [], tasks)
        return allocated, take_of(allocated)

    def fit(self, node: Record, room: Room, plan: Plan, metrics: Metrics) -> Option | None:
        """Answer the option a node is, or None with the reason noted. Evictions are proposed, not made."""
        use = plan.use(node["ID"])
        evicted: list[Record] = []
        matched: float | None = None
        if self._fixed is not None:
            allocated, ask = self._fixed
        else:
            chosen = self._choose(node, room, use, metrics)
            if chosen is None:
                return None
            use, evicted, allocated, matched = chosen
            ask = take_of(allocated)
        lacking = _lacking(room, use, ask)
        if lacking is not None:
            found = preempt_for_room(self.job, room, use, ask, plan) if self.evict else []
            if not found:
                metrics.exhaust(node, lacking)
                return None
            evicted = [*evicted, *found]
        option = Option(node, allocated, evicted=evicted)
        option.score("binpack", _fitness(room, use, ask, spread=self.spread) / MAX_FIT)
        if matched is not None:
            option.score("devices", matched)
        return option

    def _choose(
        self, node: Record, room: Room, use: NodeUse, metrics: Metrics
    ) -> tuple[NodeUse, list[Record], Record, float | None] | None:
        given = self._ports(node, use, metrics)
        if given is None:
            return None
        use, evicted, ports = given
        tasks = self._tasks(node, room, use, ports, metrics)
        if tasks is None:
            return None
        return use, evicted, self._allocated(node, ports[1], tasks[0]), tasks[1]

    def _ports(
        self, node: Record, use: NodeUse, metrics: Metrics
    ) -> tuple[NodeUse, list[Record], tuple[PortBook, list[Record]]] | None:
        book = PortBook(node, use)
        networks = self.group["Networks"]
        if not networks:
            return use, [], (book, [])
        try:
            return use, [], (book, book.group_ports(networks[0]))
        except PortsTaken as taken:
            if not self.evict:
                metrics.exhaust(node, f"network: {taken}")
                return None
        wanted = {port["Value"] for port in networks[0]["ReservedPorts"] or ()}
        evicted = preempt_for_port(self.job, use, wanted)
        use = use.copy()
        for alloc in evicted:
            use.remove(alloc["ID"])
        book = PortBook(node, use)
        try:
            return use, evicted, (book, book.group_ports(networks[0]))
        except PortsTaken:
            return None

    def _tasks(
        self, node: Record, room: Room, use: NodeUse, ports: tuple[PortBook, list[Record]], metrics: Metrics
    ) -> tuple[dict[str, Record], float | None] | None:
        tasks: dict[str, Record] = {}
        devices: set[Any] = set()
        cores: set[int] = set()
        weight = matched = 0.0
        for task in self.group["Tasks"]:
            asked = task["Resources"]
            try:
                networks = [ports[0].task_network(asked["Networks"][0])] if asked["Networks"] else None
            except PortsTaken as taken:
                metrics.exhaust(node, f"network: {taken}")
                return None
            given = []
            for ask in asked["Devices"] or ():
                offer = assign(node, use, devices, ask)
                if offer is None:
                    metrics.exhaust(node, "devices: no devices match request")
                    return None
                given.append(offer[0])
                weight += sum(abs(a["Weight"]) for a in ask["Affinities"] or ())
                matched += offer[1]
            chosen = _cores(room, use, cores, asked["Cores"])
            if chosen is None:
                metrics.exhaust(node, "cores")
                return None
            cores.update(chosen)
            tasks[task["Name"]] = self._task(asked, room, chosen, given, networks)
        return tasks, (matched / weight if weight else None)

    def _task(
        self, asked: Record, room: Room | None, cores: list[int], devices: list[Record], networks: list[Record] | None
    ) -> Record:
        cpu = room.mhz_per_core * len(cores) if room is not None and cores else asked["CPU"]
        most = asked["MemoryMaxMB"] if self.oversubscribe else 0
        return {
            "Cpu": {"CpuShares": cpu, "ReservedCores": cores or None},
            "Devices": devices or None,
            "Memory": {"MemoryMB": asked["MemoryMB"], "MemoryMaxMB": most},
            "Networks": networks,
        }

    def _allocated(self, node: Record | None, ports: list[Record], tasks: dict[str, Record]) -> Record:
        networks = self.group["Networks"]
        shared = [shared_network(networks[0], ports, node)] if networks and node is not None else None
        return {
            "Shared": {
                "DiskMB": self.group["EphemeralDisk"]["SizeMB"],
                "Networks": shared,
                "Ports": ports or None,
            },
            "TaskLifecycles": {task["Name"]: task["Lifecycle"] for task in self.group["Tasks"]},
            "Tasks": tasks,
        }


def _cores(room: Room, use: NodeUse, mine: set[int], count: int) -> list[int] | None:
    if not count:
        return []
    free = [core for core in sorted(room.cores) if not use.cores.get(core) and core not in mine]
    return free[:count] if len(free) >= count else None


def _lacking(room: Room, use: NodeUse, ask: Take) -> str | None:
    if use.cpu + ask.cpu > room.cpu:
        return "cpu"
    if use.memory + ask.memory > room.memory:
        return "memory"
    return "disk" if use.disk + ask.disk > room.disk else None


def _fitness(room: Room, use: NodeUse, ask: Take, *, spread: bool) -> float:
    free_cpu = 1.0 - (use.cpu + ask.cpu) / room.cpu if room.cpu else 0.0
    free_memory = 1.0 - (use.memory + ask.memory) / room.memory if room.memory else 0.0
    total = 10.0**free_cpu + 10.0**free_memory
    return min(MAX_FIT, max(0.0, total - 2.0 if spread else 20.0 - total))
