"""What to do when Azure announces that it will take this machine away, pause it or restart it. Pure, and the hands for it.

Scheduled events (tests/recordings/azure/identity): a document with an incarnation and events; `NotBefore` is an RFC 1123
date, empty once started; an event that is called off just vanishes. A client hands its work over by stopping its agent,
which drains itself (`drain_on_shutdown`) and needs no token; only then is the event acknowledged, so that Azure need not
wait and the work is not cut. Servers have nothing to hand over and never leave: their event takes its time.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Final

from keepernode.identity import IMDS
from keepernode.journal import tell
from keepernode.knobs import Role
from keepernode.machine import must
from keepernode.places import STATUS
from keepernode.problems import NodeError, Unreachable
from keepernode.shapes import as_list, as_object, objects_of, text_or
from keepernode.status import Phase, Status, parse_status, write_status

if TYPE_CHECKING:
    from keepernode.machine import Machine

QUESTION: Final = f"{IMDS}/metadata/scheduledevents?api-version=2020-07-01"
EVERY = 2.0
"""Seconds between two looks: a Spot machine has 30 s from its notice to its end."""
OK: Final = 200
UNIT: Final = "nomad.service"


class Kind(str, Enum):
    """Announcements after which nothing that runs here will run on."""

    PREEMPT = "Preempt"
    TERMINATE = "Terminate"
    REBOOT = "Reboot"
    REDEPLOY = "Redeploy"


@dataclass(frozen=True, slots=True)
class Notice:
    """One announcement that concerns this machine."""

    event: str
    kind: Kind
    started: bool


class Step(str, Enum):
    """What to do next."""

    NOTHING = "nothing"
    HAND_OVER = "hand-over"
    ACKNOWLEDGE = "acknowledge"
    COME_BACK = "come-back"


def notices_for(document: object, name: str) -> list[Notice]:
    """Return the announcements for the machine `name`; a Freeze of some seconds and unknown kinds are none."""
    kinds = {kind.value for kind in Kind}
    return [
        Notice(text_or(event, "EventId"), Kind(text_or(event, "EventType")), text_or(event, "EventStatus") == "Started")
        for event in objects_of(as_object(document, "scheduled events").get("Events"))
        if text_or(event, "EventType") in kinds
        and name.lower() in {str(each).lower() for each in as_list(event.get("Resources"))}
    ]


def next_step(notices: list[Notice], *, handed_over_for: str | None, runs: bool) -> Step:
    """Decide. `handed_over_for` is the event that the agent was stopped for, `runs` whether the agent still runs. Pure."""
    if not notices:
        return Step.COME_BACK if handed_over_for is not None else Step.NOTHING
    if handed_over_for is None:
        return Step.HAND_OVER if runs else Step.ACKNOWLEDGE
    if runs or all(notice.started for notice in notices):
        return Step.NOTHING
    return Step.ACKNOWLEDGE


def still_runs(machine: Machine) -> bool:
    """Tell whether the agent has not ended: while it drains, its unit is `deactivating`, which `is-active` denies."""
    done = machine.run(["systemctl", "show", "--property=ActiveState", "--value", UNIT])
    return done.out.strip() not in {"inactive", "failed"}


@dataclass(slots=True)
class Leaver:
    """Looks, decides, acts; keeps only which event it stopped the agent for and which it has acknowledged."""

    machine: Machine
    role: Role
    name: str
    handed_over_for: str | None = None
    acknowledged: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Take up what an earlier run began: the status file outlives this program, though not a reboot."""
        if parse_status(self.machine.read(STATUS)).phase is Phase.LEAVING:
            self.handed_over_for = self.handed_over_for or "an earlier run's"

    def look(self) -> Step:
        """Look once and do what is due; return what was done. Unreachable when the metadata service does not answer."""
        notices = notices_for(self._ask(), self.name)
        if self.role is not Role.CLIENT:
            self._mention(notices)
            return Step.NOTHING
        step = next_step(notices, handed_over_for=self.handed_over_for, runs=still_runs(self.machine))
        if step is Step.HAND_OVER:
            self._hand_over(notices[0])
        elif step is Step.ACKNOWLEDGE:
            self._acknowledge([each for each in notices if not each.started and each.event not in self.acknowledged])
        elif step is Step.COME_BACK:
            self._come_back()
        return step

    def _ask(self) -> object:
        # The first question of a machine's life switches the service on, which takes up to two minutes.
        answer = self.machine.ask("GET", QUESTION, headers={"Metadata": "true"}, timeout=130.0)
        if answer.status != OK:
            raise Unreachable(f"scheduled events answer HTTP {answer.status}; asking again", status=answer.status)
        return answer.json()

    def _hand_over(self, notice: Notice) -> None:
        """Begin; the drain goes on while this returns."""
        what = f"Azure announced {notice.kind.value} ({notice.event}): work is handed over"
        write_status(self.machine, Status(Phase.LEAVING, what))
        must(self.machine, ["systemctl", "stop", "--no-block", UNIT], f"look at `journalctl -u {UNIT}`")
        self.handed_over_for = notice.event
        tell("node.leaving", notice=notice.kind.value, id=notice.event)

    def _acknowledge(self, notices: list[Notice]) -> None:
        if not notices:
            return
        body = json.dumps({"StartRequests": [{"EventId": notice.event} for notice in notices]}).encode()
        answer = self.machine.ask("POST", QUESTION, headers={"Metadata": "true"}, body=body)
        if answer.status != OK:
            raise Unreachable(
                f"the acknowledgement was answered HTTP {answer.status}; trying again", status=answer.status
            )
        self.acknowledged |= {notice.event for notice in notices}
        self.handed_over_for = self.handed_over_for or notices[0].event
        tell("node.acknowledged", ids=[notice.event for notice in notices])

    def _come_back(self) -> None:
        """The event is over or called off, and this machine still runs: take work again."""
        must(self.machine, ["systemctl", "start", UNIT], f"look at `journalctl -u {UNIT}`")
        tell("node.stayed", id=self.handed_over_for)
        write_status(self.machine, Status(Phase.READY))
        self.handed_over_for, self.acknowledged = None, frozenset()

    def _mention(self, notices: list[Notice]) -> None:
        fresh = {notice.event for notice in notices} - self.acknowledged
        if fresh:
            tell("node.announced", ids=sorted(fresh), kinds=[notice.kind.value for notice in notices])
        self.acknowledged = frozenset(notice.event for notice in notices)


def follow_events(leaver: Leaver) -> None:
    """Look for ever; a failed look is told once and tried again."""
    told: str | None = None
    while True:
        why = _look(leaver)
        if why is not None and why != told:
            tell("node.events_unseen", why=why)
        told = why
        leaver.machine.pause(EVERY)


def _look(leaver: Leaver) -> str | None:
    try:
        leaver.look()
    except NodeError as problem:
        return str(problem)
    return None
