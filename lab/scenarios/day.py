"""A day of a small cluster: work arrives and finds no room, an alert fires, a quota bites, load leaves and returns, a crash."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.azure.model.failures import Failure
from lab.azure.model.faults import Fault, FaultKind
from lab.deployment import Deployment
from lab.membership import NodeShape
from lab.pools import LabPool
from lab.scenarios.load import cpu_alert, service_job
from lab.scenarios.stage import MissedError, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

GENERAL = LabPool("general", minimum=1, maximum=4, order=10, price=0.2)
SPOT = LabPool(
    "spot", minimum=0, maximum=3, order=20, price=0.05, spot=True, sku="Standard_F4s_v2", shape=NodeShape(memory=6144)
)
QUICKLY = {
    "AUTOSCALE_SCHEDULE": "*/3 * * * * *",
    "AUTOSCALE_UNNEEDED_SECONDS": "3",
    "AUTOSCALE_SETTLE_SECONDS": "2",
    "AUTOSCALE_DRAIN_DEADLINE_SECONDS": "60",
    "AUTOSCALE_MAX_DRAINING": "2",
    "AUTOSCALE_JOIN_TIMEOUT_SECONDS": "30",
    "AUTOSCALE_BELIEVE_NOMAD_SECONDS": "8",
    "AUTOSCALE_PRESSURE_COOLDOWN_SECONDS": "5",
    "AUTOSCALE_SET_ASIDE_FIRST_SECONDS": "15",
}
"""Minutes become seconds; nothing else differs from production."""

BUDGET = 90


class Day:
    """Plays the scenes on one deployment."""

    def __init__(self, lab: Deployment, stage: Stage) -> None:
        self._lab, self._stage = lab, stage
        self._told = 0
        self._stop = threading.Event()
        self._reporter = threading.Thread(target=self._report, name="reporter", daemon=True)
        self._reporter.start()

    def play(self) -> None:
        """All scenes, in order; a scene that fails ends the day."""
        for scene in (
            self.work_waits,
            self.an_alert_fires,
            self.a_quota_bites,
            self.load_leaves,
            self.load_returns,
            self.a_crash,
        ):
            scene()

    def close(self) -> None:
        """Stop reporting."""
        self._stop.set()
        self._reporter.join(timeout=5)

    # Scenes ---------------------------------------------------------------------------------------------------------

    def work_waits(self) -> None:
        """A job too large for the cluster → blocked → grown → placed."""
        self._stage.scene("1. Work arrives that has no room")
        self._until("the first node", lambda: self._ready("general") == 1)
        grown = self._growths()
        asked = self._job("web", 6)
        self._until("a growth", lambda: self._growths() > grown, 10)
        ordered = time.monotonic() - asked
        self._until("web running", lambda: self._running("web") == 6)
        self._stage.at_most("queued work → machine ordered", ordered, 5)
        self._stage.at_most("queued work → running (machines boot in 2 s)", time.monotonic() - asked, 10)

    def an_alert_fires(self) -> None:
        """A CPU alert posted to the webhook → grown, without any waiting work."""
        self._stage.scene("2. An alert fires")
        grown, before = self._growths(), self._capacity("general")
        began = time.monotonic()
        self._alert("Fired")
        self._until("a growth by pressure", lambda: self._growths() > grown, 10)
        self._stage.at_most("alert posted → machine ordered", time.monotonic() - began, 5)
        self._alert("Resolved")
        self._until("the node", lambda: self._ready("general") == before + 1)
        self._stage.equal("instances added by one fired and resolved alert", self._capacity("general") - before, 1)

    def a_quota_bites(self) -> None:
        """A quota error → the other pool."""
        self._stage.scene("3. A quota refuses the first pool")
        self._lab.cloud.inject(
            Fault(FaultKind.FAIL, scale_set=GENERAL.scale_set, action="*/write", failure=Failure.QUOTA_FAMILY)
        )
        self._stage.say("fault", "general: the SKU family's quota is used up")
        self._job("burst", 9)
        self._until("a refusal", lambda: self._refusals() > 0, 10)
        refused = time.monotonic()
        self._until("the spot pool's growth", lambda: self._capacity("spot") > 0, 10)
        self._stage.at_most("refused by quota → next pool ordered", time.monotonic() - refused, 5)
        self._until("burst running", lambda: self._running("burst") == 9)
        self._lab.cloud.faults.clear()

    def load_leaves(self) -> None:
        """The load leaves → drained → deleted, down to the floor."""
        self._stage.scene("4. The load leaves")
        began = time.monotonic()
        self._stop_job("burst")
        self._job("web", 1)
        self._until("the floor", lambda: self._capacity("spot") == 0 and self._capacity("general") == 1, 40)
        self._stage.at_most("load gone → only the floor is left", time.monotonic() - began, 30)

    def load_returns(self) -> None:
        """A drain is cancelled by returning load, and nothing is bought."""
        self._stage.scene("5. Load returns while a node drains")
        self._job("filler", 3)
        self._until("filler running", lambda: self._running("filler") == 3)
        self._job("api", 2, healthy=4)
        self._until("api running", lambda: self._running("api") == 2)
        self._stop_job("filler")
        self._until("a drain", lambda: self._draining() > 0)
        grown = self._growths()
        self._job("filler", 3)
        self._until("filler running again", lambda: self._running("filler") == 3 and self._draining() == 0)
        self._stage.equal("machines bought while draining ones could be kept", self._growths() - grown, 0)

    def a_crash(self) -> None:
        """The worker dies in the middle of a scale-in → finished all the same, once the lease that it may hold has run out (30 s)."""
        self._stage.scene("6. The worker is killed in the middle of a scale-in")
        self._stop_job("filler")
        self._until("a drain", lambda: self._draining() > 0)
        pid = self._lab.host.kill_worker()
        self._stage.say("fault", f"worker {pid} killed")
        crashed = time.monotonic()
        self._until("the scale-in's end", lambda: self._total() == 1 and len(self._nodes("")) == 1, 50)
        self._stage.at_most("worker killed → scale-in finished", time.monotonic() - crashed, 45)
        self._stage.equal("api allocations that run on", self._running("api"), 2)

    def reckon(self) -> None:
        """What must hold over the whole day."""
        lost = sum(a["ClientStatus"] == "lost" for a in self._lab.nomad.request("GET", "/v1/allocations?namespace=*"))
        self._stage.equal("allocations lost", lost, 0)
        self._stage.equal("capacity requests below what was there", self._downward(), 0)
        self._stage.equal(
            "nodes left drained or ineligible",
            sum(n["SchedulingEligibility"] != "eligible" for n in self._nodes("")),
            0,
        )
        poisoned = self._lab.host.invocations("bury")
        self._stage.equal("messages in the poison queue", len(poisoned), 0)
        self._stage.at_most("the whole day", self._stage.elapsed, BUDGET)

    # Doing ----------------------------------------------------------------------------------------------------------

    def _job(self, name: str, count: int, *, healthy: float = 0.5) -> float:
        """Register a service of `count` equal allocations; returns when that was."""
        job = service_job(name, count, healthy)
        self._lab.nomad.request("PUT", "/v1/jobs", {"Job": job})
        self._stage.say("load", f"job {name} wants {count} times 1000 MHz")
        return time.monotonic()

    def _stop_job(self, name: str) -> None:
        self._lab.nomad.request("DELETE", f"/v1/job/{name}")
        self._stage.say("load", f"job {name} stopped")

    def _alert(self, condition: str) -> None:
        body = cpu_alert(self._lab.cloud.subscription, GENERAL.scale_set, condition)
        answer = self._lab.api("POST", "alerts", body)
        if answer.status_code != 202:
            raise MissedError(f"the webhook answered {answer.status_code}: {answer.text}")
        self._stage.say("load", f"alert 'CPU high' {condition.lower()} for {GENERAL.scale_set}")

    def _until(self, what: str, holds: Callable[[], object], seconds: float = 20) -> float:
        return self._stage.until(what, holds, seconds)

    # Seeing ---------------------------------------------------------------------------------------------------------

    def _capacity(self, pool: str) -> int:
        return self._lab.cloud.scale_set_named(f"vmss-{pool}").capacity

    def _total(self) -> int:
        return sum(self._capacity(pool.name) for pool in self._lab.pools)

    def _growths(self) -> int:
        return sum(200 <= e.status < 300 for e in self._lab.arm.journal.matching("*/virtualMachineScaleSets/write"))

    def _refusals(self) -> int:
        return sum(e.status >= 400 for e in self._lab.arm.journal.matching("*/virtualMachineScaleSets/write"))

    def _downward(self) -> int:
        """How many accepted capacity requests asked for less than there was, by the order of all requests."""
        below = 0
        there = {pool.scale_set: pool.minimum for pool in self._lab.pools}
        for entry in self._lab.arm.journal.matching("*/virtualMachineScaleSets/*"):
            name = entry.path.partition("/virtualMachineScaleSets/")[2].partition("/")[0]
            body = json.loads(entry.body) if entry.body and entry.status < 300 else {}
            if "sku" in body:
                below += body["sku"]["capacity"] < there[name]
                there[name] = body["sku"]["capacity"]
            there[name] = there.get(name, 0) - len(body.get("instanceIds", ()))
        return below

    def _nodes(self, pool: str) -> list[dict[str, Any]]:
        nodes = self._lab.nomad.request("GET", "/v1/nodes")
        return [n for n in nodes if n["Name"].startswith(f"vmss-{pool}") and n["Status"] == "ready"]

    def _ready(self, pool: str) -> int:
        return sum(n["SchedulingEligibility"] == "eligible" for n in self._nodes(pool))

    def _draining(self) -> int:
        return sum(bool(n["Drain"]) for n in self._nodes(""))

    def _running(self, job: str) -> int:
        found = self._lab.nomad.request("GET", f"/v1/job/{job}/allocations")
        return sum(a["ClientStatus"] == "running" and a["DesiredStatus"] == "run" for a in found)

    def _report(self) -> None:
        """Tell the keeper's decisions and the cloud's doings as they come."""
        changes = 0
        while not self._stop.wait(0.2):
            for change in self._lab.membership.changes[changes:]:
                changes += 1
                self._stage.say("azure", f"{change.name} {change.what}")
            self._tell_decisions()

    def _tell_decisions(self) -> None:
        answer = self._lab.api("GET", "decisions?most=50")
        if answer.status_code != 200:
            return
        for record in answer.json()["decisions"]:
            if record["at"] > (self._last or "") and record["reason"] != "steady":
                self._stage.say("keeper", f"{record['sentence']}  ({record['cause']})")
            self._last = max(self._last or "", record["at"])

    _last: str | None = None


def play(path: Path) -> int:
    """Set up, play the day, and return the exit code: 0 when every promise held."""
    stage = Stage()
    stage.console.print("Setting up: storage account, Azure, Nomad, watcher, function app …")
    with Deployment([GENERAL, SPOT], QUICKLY) as lab:
        stage.console.print(f"Nomad is {lab.nomad.kind} at {lab.nomad.url}, the keeper answers at {lab.host.url}")
        stage.raise_curtain()
        day = Day(lab, stage)
        failed = ""
        try:
            day.play()
            day.reckon()
        except MissedError as missed:
            failed = str(missed)
            stage.console.print(f"[red]missed:[/] {failed}")
        finally:
            day.close()
        kept = stage.close(path, nomad=lab.nomad.kind, failed=failed)
    return 0 if kept and not failed else 1
