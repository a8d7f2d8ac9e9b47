"""Reconciling one group of a service or batch job."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.nomad.model.later import with_state
from lab.nomad.model.names import NameIndex, index_of
from lab.nomad.model.results import LOST, MIGRATING, NOT_NEEDED, RESCHEDULED, Place, Stop
from lab.nomad.model.tainted import ByFailure, split_by_failure
from lab.nomad.model.updating import Update, update_of
from lab.nomad.model.usage import terminal
from lab.nomad.model.words import SERVER_TERMINAL, Client, Desired

if TYPE_CHECKING:
    from lab.nomad.model.deploying import Deploying
    from lab.nomad.model.later import Later
    from lab.nomad.model.results import Counts, Results
    from lab.nomad.model.store import Record
    from lab.nomad.model.tainted import Allocs, ByNode, Looking


@dataclass(frozen=True, slots=True)
class Canaries:
    """The living canaries of the current deployment."""

    allocs: Allocs


@dataclass(slots=True)
class GroupWork:
    """One group being reconciled; `compute` fills the results."""

    job: Record
    group: Record
    results: Results
    counts: Counts
    deploying: Deploying
    later: Later
    looking: Looking
    every: Allocs

    def compute(self, node: ByNode, failure: ByFailure, canaries: Canaries) -> bool:
        """Fill the results; answer whether the group has nothing left to do for its deployment."""
        state, existing = self.deploying.group_state(self.group)
        untainted, now, delayed = failure.untainted, failure.now, failure.later
        self._settle_reconnecting(node, untainted)
        self._settle_disconnecting(node, failure)
        self.later.reschedule(self.results, delayed)
        names = NameIndex(
            self.job["ID"],
            self.group["Name"],
            self.group["Count"],
            {**untainted, **node.migrate, **now, **node.lost}.values(),
        )
        self.results.names[self.group["Name"]] = names
        canarying = bool(state["DesiredCanaries"]) and not state["Promoted"]
        self._stop_surplus(names, untainted, node, canaries if canarying else Canaries({}), canaries)
        destructive, in_place = self._updates(untainted)
        if not existing:
            state["DesiredTotal"] += len(destructive) + in_place
        if canarying:
            untainted = {i: a for i, a in untainted.items() if i not in canaries.allocs}
        requires = self._requires_canaries(state, destructive, canaries)
        if requires:
            self._place_canaries(state, names, destructive, canaries)
            canarying = True
        place = self._placements(names, untainted, node, now, canarying=canarying)
        if not existing:
            state["DesiredTotal"] += len(place)
        self._replace(place, now, node, canarying=canarying)
        self._destroy(destructive, len(place), untainted, node, canarying=canarying)
        self._migrate(node.migrate, canarying=canarying)
        self._create_deployment(state, destructive, existing=existing)
        idle = not (destructive or in_place or place or node.migrate or now or delayed or requires)
        return idle and (self.deploying.current is None or self.deploying.group_complete(self.group["Name"]))

    def _settle_reconnecting(self, node: ByNode, untainted: Allocs) -> None:
        if not node.reconnecting:
            return
        stopped, back = self._reconnect(node.reconnecting)
        for group in (untainted, node.migrate, node.lost, node.disconnecting, node.ignore):
            for alloc_id in stopped:
                group.pop(alloc_id, None)
        untainted |= back

    def _settle_disconnecting(self, node: ByNode, failure: ByFailure) -> None:
        if not node.disconnecting:
            return
        self.later.disconnect(self.results, list(node.disconnecting.values()))
        more = split_by_failure(node.disconnecting, self.looking, disconnecting=True)
        failure.now |= more.now
        failure.untainted |= more.untainted
        failure.later += more.later

    def _ready(self, *, canarying: bool) -> bool:
        return not self.deploying.paused and not self.deploying.failed and not canarying

    def _stop_surplus(
        self, names: NameIndex, untainted: Allocs, node: ByNode, held: Canaries, canaries: Canaries
    ) -> None:
        stopped = [Stop(alloc, LOST, Client.LOST) for alloc in node.lost.values()]
        self.counts.stop += len(stopped)
        known = [a for i, a in untainted.items() if i not in held.allocs and a["ClientStatus"] != Client.UNKNOWN]
        surplus = len(known) + len(node.migrate) - self.group["Count"]
        if surplus > 0:
            candidates = [a for i, a in untainted.items() if i not in held.allocs and not terminal(a)]
            for alloc in self._surplus(names, candidates, node.migrate, canaries, surplus):
                stopped.append(Stop(alloc, NOT_NEEDED))
                self.counts.stop += 1
                untainted.pop(alloc["ID"], None)
                node.migrate.pop(alloc["ID"], None)
        self.results.stop += stopped

    def _surplus(
        self, names: NameIndex, candidates: list[Record], migrate: Allocs, canaries: Canaries, surplus: int
    ) -> list[Record]:
        replaced = {a["Name"] for a in canaries.allocs.values()}
        first = [a for a in candidates if a["Name"] in replaced and a["ID"] not in canaries.allocs][:surplus]
        moving = NameIndex(self.job["ID"], self.group["Name"], self.group["Count"], migrate.values())
        highest = moving.highest(surplus - len(first))
        second = [a for a in migrate.values() if a["Name"] in highest][: surplus - len(first)]
        for alloc in second:
            names.unset(alloc["Name"])
        left = surplus - len(first) - len(second)
        highest = names.highest(left)
        chosen = {a["ID"] for a in (*first, *second)}
        third = [a for a in candidates if a["Name"] in highest and a["ID"] not in chosen][:left]
        chosen |= {a["ID"] for a in third}
        fourth = [a for a in candidates if a["ID"] not in chosen][: left - len(third)]
        return [*first, *second, *third, *fourth]

    def _updates(self, untainted: Allocs) -> tuple[list[Record], int]:
        destructive: list[Record] = []
        in_place = 0
        for alloc in untainted.values():
            kind = Update.IGNORE if terminal(alloc) else update_of(alloc, self.job, self.group)
            if kind is Update.IGNORE:
                self.counts.ignore += 1
            elif kind is Update.DESTRUCTIVE:
                destructive.append(alloc)
            else:
                in_place += 1
                self.results.in_place.append(alloc)
        self.counts.in_place += in_place
        return destructive, in_place

    def _requires_canaries(self, state: Record, destructive: list[Record], canaries: Canaries) -> bool:
        wanted = (self.group["Update"] or {}).get("Canary") or 0
        return bool(destructive) and len(canaries.allocs) < wanted and not state["Promoted"]

    def _place_canaries(self, state: Record, names: NameIndex, destructive: list[Record], canaries: Canaries) -> None:
        wanted = self.group["Update"]["Canary"]
        state["DesiredCanaries"] = wanted
        if self.deploying.paused or self.deploying.failed:
            return
        missing = wanted - len(canaries.allocs)
        self.counts.canary += missing
        for name in names.next_canaries(missing, canaries.allocs.values(), destructive):
            self.results.place.append(Place(name, self.group, canary=True))

    def _placements(
        self, names: NameIndex, untainted: Allocs, node: ByNode, now: Allocs, *, canarying: bool
    ) -> list[Place]:
        place = [
            Place(a["Name"], self.group, a, reschedule=True, canary=_is_canary(a), downgrade=canarying)
            for a in now.values()
        ]
        have = len(untainted) + len(node.migrate) + len(now)
        room = max(0, self.group["Count"] - have)
        place += [
            Place(alloc["Name"], self.group, alloc, lost=True, canary=_is_canary(alloc))
            for alloc in list(node.lost.values())[:room]
        ]
        missing = room - min(room, len(node.lost))
        return place + [Place(name, self.group, downgrade=canarying) for name in names.next(missing)]

    def _room(self, untainted: Allocs, destructive: list[Record], node: ByNode, *, canarying: bool) -> int:
        update = self.group["Update"]
        if not update or not update["MaxParallel"] or (not destructive and not node.migrate):
            return self.group["Count"]
        if self.deploying.current is None:
            return update["MaxParallel"]
        if not self._ready(canarying=canarying):
            return 0
        room = update["MaxParallel"]
        for alloc in untainted.values():
            if alloc.get("DeploymentID") == self.deploying.current["ID"]:
                healthy = (alloc.get("DeploymentStatus") or {}).get("Healthy")
                if healthy is False:
                    return 0
                room -= healthy is None
        return max(0, room)

    def _replace(self, place: list[Place], now: Allocs, node: ByNode, *, canarying: bool) -> None:
        failed = [a for i, a in now.items() if i not in self.results.disconnect and a["ClientStatus"] != Client.UNKNOWN]
        if self._ready(canarying=canarying):
            self.counts.place += len(place)
            self.results.place += place
            self.results.stop += [Stop(alloc, RESCHEDULED) for alloc in failed]
            self.counts.stop += len(failed)
            return
        allowed = place[: min(len(node.lost), len(place))] if node.lost else []
        self.results.place += allowed
        self.counts.place += len(allowed)
        for one in place:
            if one.reschedule and one.previous is not None and not self._of_failed(one.previous):
                self.results.place.append(one)
                self.counts.place += 1
                if one.previous["ID"] not in self.results.disconnect:
                    self.results.stop.append(Stop(one.previous, RESCHEDULED))
                    self.counts.stop += 1

    def _of_failed(self, alloc: Record) -> bool:
        current = self.deploying.current
        return self.deploying.failed and current is not None and current["ID"] == alloc.get("DeploymentID")

    def _destroy(
        self, destructive: list[Record], placed: int, untainted: Allocs, node: ByNode, *, canarying: bool
    ) -> None:
        if not self._ready(canarying=canarying):
            self.counts.ignore += len(destructive)
            return
        room = self._room(untainted, destructive, node, canarying=canarying)
        room -= min(placed, room)
        chosen = sorted(destructive, key=lambda a: index_of(a["Name"]))[:room]
        self.counts.destructive += len(chosen)
        self.counts.ignore += len(destructive) - len(chosen)
        self.results.destructive += [Place(a["Name"], self.group, a, replaces=a) for a in chosen]

    def _migrate(self, migrate: Allocs, *, canarying: bool) -> None:
        self.counts.migrate += len(migrate)
        for alloc in sorted(migrate.values(), key=lambda a: index_of(a["Name"])):
            self.results.stop.append(Stop(alloc, MIGRATING))
            place = Place(alloc["Name"], self.group, alloc, canary=_is_canary(alloc), downgrade=canarying)
            self.results.place.append(place)

    def _create_deployment(self, state: Record, destructive: list[Record], *, existing: bool) -> None:
        update = self.group["Update"]
        if existing or not update or not update["MaxParallel"] or not state["DesiredTotal"]:
            return
        updating = bool(destructive) or bool(self.results.in_place)
        ran = any(_of_this_version(alloc, self.job) for alloc in self.every.values())
        if ran and not updating:
            return
        self.deploying.create(self.results, self.group["Name"], state)

    def _reconnect(self, reconnecting: Allocs) -> tuple[Allocs, Allocs]:
        stopped: Allocs = {}
        back: Allocs = {}
        for alloc_id, alloc in reconnecting.items():
            why = self._not_back(alloc)
            replacement = self.every.get(alloc.get("NextAllocation") or "")
            if why is None and replacement is not None and replacement["DesiredStatus"] not in SERVER_TERMINAL:
                if _prefer(alloc, replacement) is replacement:
                    why = Stop(alloc, NOT_NEEDED)
                elif replacement["ClientStatus"] != Client.FAILED:
                    stopped[replacement["ID"]] = replacement
                    self.results.stop.append(Stop(replacement, NOT_NEEDED))
            if why is not None:
                stopped[alloc_id] = alloc
                self.results.stop.append(why)
                continue
            back[alloc_id] = alloc
            if alloc["ClientStatus"] == Client.RUNNING:
                self.results.reconnect[alloc_id] = with_state(alloc, alloc["ClientStatus"], self.looking.now)
        self.counts.stop += len(stopped)
        return stopped, back

    def _not_back(self, alloc: Record) -> Stop | None:
        if alloc["DesiredStatus"] not in SERVER_TERMINAL and alloc["ClientStatus"] == Client.FAILED:
            return Stop(alloc, RESCHEDULED, Client.FAILED)
        transition = alloc.get("DesiredTransition") or {}
        old = alloc["Job"]["Version"] < self.job["Version"] or alloc["Job"]["CreateIndex"] < self.job["CreateIndex"]
        if alloc["DesiredStatus"] != Desired.RUN or any(transition.values()) or old:
            return Stop(alloc, NOT_NEEDED)
        return None


def _prefer(original: Record, replacement: Record) -> Record:
    if replacement["Job"]["Version"] > original["Job"]["Version"]:
        return replacement
    better = _score(replacement) > _score(original)
    may = replacement["ClientStatus"] == Client.RUNNING or original["ClientStatus"] != Client.RUNNING
    return replacement if better and may else original


def _score(alloc: Record) -> float:
    scores = alloc["Metrics"]["ScoreMetaData"] or ()
    return max((score["NormScore"] for score in scores), default=float("-inf"))


def _is_canary(alloc: Record) -> bool:
    return bool((alloc.get("DeploymentStatus") or {}).get("Canary"))


def _of_this_version(alloc: Record, job: Record) -> bool:
    return alloc["Job"]["Version"] == job["Version"] and alloc["Job"]["CreateIndex"] == job["CreateIndex"]
