"""All servers of Nomad and Consul are lost, with all they had on disk; the newest snapshots bring everything back; the clock runs."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.deployment import Deployment
from lab.nomad.sides import RealNomad
from lab.scenarios.backup_consul import KEYS, consul_part
from lab.scenarios.backup_desk import Desk
from lab.scenarios.backup_set import CLUSTER, GENERAL, SETTINGS, drills, parameterized, prepare, service
from lab.scenarios.stage import MissedError, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.scenarios.backup_consul import ConsulPart

JOBS, VARIABLES, COUNT = 25, 12, 3
BUDGET = 120


class Disaster:
    """Plays the scenes on one deployment."""

    def __init__(self, lab: Deployment, consul: ConsulPart, stage: Stage) -> None:
        self._lab, self._consul, self._stage = lab, consul, stage
        self._desk = Desk(lab, stage)
        self._taken: dict[str, str] = {}
        self._before: dict[str, int] = {}
        self._lost = 0.0

    def play(self) -> None:
        """All scenes, in order; a scene that fails ends the play."""
        for scene in (
            self.a_cluster_works,
            self.snapshots_are_taken,
            self.their_restores_are_rehearsed,
            self.all_servers_are_lost,
            self.fresh_servers_come_up,
            self.what_must_not_be_restored,
            self.the_snapshots_are_restored,
            self.everything_is_there,
        ):
            scene()

    # Scenes ---------------------------------------------------------------------------------------------------------

    def a_cluster_works(self) -> None:
        """Jobs, variables, keys and tokens exist, and the keeper has laid its canaries."""
        self._stage.scene("1. A cluster at work")
        self._until("a ready client", lambda: self._ready() >= 1, 30)
        self._lab.nomad.request("PUT", "/v1/jobs", {"Job": service("web", COUNT)})
        for n in range(JOBS):
            self._lab.nomad.request("PUT", "/v1/jobs", {"Job": parameterized(f"report-{n}")})
        for n in range(VARIABLES):
            body = {"Namespace": "default", "Path": f"app/{n}", "Items": {"secret": f"value {n}"}}
            self._lab.nomad.request("PUT", f"/v1/var/app/{n}", body)
        self._consul.furnish()
        self._until("web running", lambda: self._running("web") == COUNT, 30)
        self._until("the canary variable", lambda: self._variable("keeper/canary") is not None, 30)
        self._until("the canary key", self._consul.has_canary, 30)
        self._stage.say(
            "load", f"{JOBS} parameterized jobs, web with {COUNT} allocations, {VARIABLES} variables, tokens"
        )
        self._stage.say("load", f"in Consul {KEYS} keys, a service's token, a lock")

    def snapshots_are_taken(self) -> None:
        """The servers deposit their root keys; then an operation takes a snapshot of each product."""
        self._stage.scene("2. Snapshots")
        for name, folder in self._lab.nomad.keystores().items():
            self._desk.keep_keystore(name, folder)
        self._stage.say("nomad", "each server's root keys are deposited, wrapped by Key Vault")
        began = time.monotonic()
        done = self._desk.operate({"operation": "snapshot", "reason": "before the disaster"})
        for said in str(done["outcome"]).split("; "):
            stem = said.removeprefix("took ").partition(" ")[0]
            self._taken[stem.split("/")[1]] = stem
            self._stage.say("keeper", said)
        self._stage.equal("products with a snapshot", len(self._taken), 2)
        self._stage.at_most("asked → verified snapshots in storage", time.monotonic() - began, 20)
        shown = self._desk.dry_run(self._taken["nomad"])
        self._stage.equal("snapshots with the root keys beside them", int(bool(shown["keystore"])), 1)
        self._before = self._counts()

    def their_restores_are_rehearsed(self) -> None:
        """The keeper dispatches the drills by itself; each verdict is in its snapshot's record."""
        self._stage.scene("3. Their restores are rehearsed, in servers that can reach nobody")
        began = time.monotonic()
        for product, stem in self._taken.items():
            self._until(f"a verdict on {stem}", lambda stem=stem: self._desk.verdict(stem), 60)
            verdict = self._desk.verdict(stem) or {}
            took = ", ".join(f"{step} {seconds} s" for step, seconds in verdict["seconds"].items())
            said = "; ".join(verdict["problems"]) or f"restored and whole: {took}"
            self._stage.say("keeper", f"{product}: {said}")
            self._stage.equal(f"rehearsals of {product} passed", int(verdict["passed"]), 1)
        self._stage.at_most("snapshots → their restores are rehearsed", time.monotonic() - began, 60)

    def all_servers_are_lost(self) -> None:
        """Every server process dies, and its disk with it."""
        self._stage.scene("4. Every server is gone, with its disk")
        self._lab.nomad.lose_servers()
        self._consul.server.lose()
        self._lost = time.monotonic()
        self._stage.say("fault", "all servers of Nomad and Consul are gone")

    def fresh_servers_come_up(self) -> None:
        """New machines: the node program puts the root keys back before Nomad starts."""
        self._stage.scene("5. Fresh servers")
        self._consul.server.start()
        for name, folder in self._lab.nomad.folders().items():
            self._desk.keep_keystore(name, folder)
        self._lab.nomad.start_servers()
        for name, folder in self._lab.nomad.folders().items():
            self._desk.keep_keystore(name, folder)
        self._until("a leader", lambda: self._lab.nomad.request("GET", "/v1/status/leader"), 30)
        found = self._counts()
        self._stage.say("nomad", f"{found['jobs']} jobs, {found['variables']} variables: empty, but healthy")
        self._stage.say("consul", f"{self._keys()} keys; a service's token: {self._consul.read(0)}")
        self._stage.at_most("servers lost → fresh ones have a leader", time.monotonic() - self._lost, 40)

    def what_must_not_be_restored(self) -> None:
        """A wrong phrase, a wrong cluster and a snapshot that does not exist are refused before anything happens."""
        self._stage.scene("6. What is refused")
        snapshot = self._taken["nomad"]
        wrong = {"operation": "restore", "snapshot": snapshot, "confirm": f"restore {CLUSTER}"}
        answer = self._lab.api("POST", "operations", wrong)
        self._stage.say("keeper", f"{answer.status_code}: {answer.json()['error']['message']}")
        self._stage.equal("a restore without the whole phrase is answered", answer.status_code, 400)
        missing = snapshot.rpartition("/")[0] + "/20200101T000000Z-000000000007"
        ended = self._desk.operate(
            {"operation": "restore", "snapshot": missing, "confirm": f"restore {CLUSTER} {missing}"}, expect="Failed"
        )
        self._stage.say("keeper", str(ended["outcome"]))
        self._stage.equal("jobs after what was refused", self._counts()["jobs"], 0)

    def the_snapshots_are_restored(self) -> None:
        """One command for each product; its progress is shown as it comes."""
        self._stage.scene("7. One command for each")
        for stem in self._taken.values():
            self._desk.restore(stem)
        self._stage.at_most("servers lost → restored and proven", time.monotonic() - self._lost, 60)

    def everything_is_there(self) -> None:
        """Counts, every variable's and key's content, the old tokens, and the work itself."""
        self._stage.scene("8. Everything is there")
        self._rejoin()
        after = self._counts()
        for kind in ("jobs", "variables", "acl_tokens", "acl_policies", "consul keys", "consul tokens"):
            self._stage.equal(f"{kind} after", after[kind], self._before[kind])
        read = sum((self._variable(f"app/{n}") or {}).get("secret") == f"value {n}" for n in range(VARIABLES))
        self._stage.equal("variables that open with their old content", read, VARIABLES)
        read = sum(self._consul.read(n) == f"value {n}" for n in range(KEYS))
        self._stage.equal("keys that the service reads with its old token", read, KEYS)
        self._until("the old keeper token to hold", lambda: self._desk.status()["paused"] is None, 20)
        if isinstance(
            self._lab.nomad, RealNomad
        ):  # the model's former nodes look alive until their heartbeats are missed
            self._lab.nomad.request("PUT", "/v1/jobs", {"Job": service("afterwards", 1)})
            self._until("new work", lambda: self._running("afterwards") == 1, 60)
        self._until("web running", lambda: self._running("web") == COUNT, 60)
        self._stage.at_most("servers lost → work runs as before (recovery time)", time.monotonic() - self._lost, 90)
        poisoned = self._lab.host.invocations("bury")
        self._stage.equal("messages in the poison queue", len(poisoned), 0)
        self._stage.at_most("the whole play", self._stage.elapsed, BUDGET)

    def _rejoin(self) -> None:
        """Restart the clients' agents: they wait for an index that the restored state has yet to reach. The model's went with it."""
        for instance in self._lab.cloud.scale_set_named(GENERAL.scale_set).instances.values():
            if isinstance(self._lab.nomad, RealNomad):
                self._lab.nomad.processes.restart(instance.name)
            else:
                self._lab.nomad.join(instance.name, GENERAL.shape, {"scale_set": GENERAL.scale_set})

    # Seeing ---------------------------------------------------------------------------------------------------------

    def _until(self, what: str, holds: Callable[[], object], seconds: float = 20) -> float:
        return self._stage.until(what, holds, seconds)

    def _counts(self) -> dict[str, int]:
        """What there is, less the keeper's own canaries, which come and go with it."""
        jobs = self._lab.nomad.request("GET", "/v1/jobs?namespace=*")
        variables = self._lab.nomad.request("GET", "/v1/vars?namespace=*")
        return {
            "jobs": sum(not job["ID"].startswith(("keeper-canary", "restore-drill")) for job in jobs),
            "variables": sum(each["Path"] != "keeper/canary" for each in variables),
            "acl_tokens": len(self._lab.nomad.request("GET", "/v1/acl/tokens")),
            "acl_policies": len(self._lab.nomad.request("GET", "/v1/acl/policies")),
            **{f"consul {kind}": count for kind, count in self._consul.counts().items()},
        }

    def _keys(self) -> int:
        return self._consul.counts()["keys"]

    def _variable(self, path: str) -> dict[str, str] | None:
        found = [each["Path"] for each in self._lab.nomad.request("GET", "/v1/vars?namespace=*")]
        return self._lab.nomad.request("GET", f"/v1/var/{path}")["Items"] if path in found else None

    def _ready(self) -> int:
        return sum(node["Status"] == "ready" for node in self._lab.nomad.request("GET", "/v1/nodes"))

    def _running(self, job: str) -> int:
        found = self._lab.nomad.request("GET", f"/v1/job/{job}/allocations")
        return sum(a["ClientStatus"] == "running" and a["DesiredStatus"] == "run" for a in found)


def play(path: Path) -> int:
    """Set up, play, and return the exit code: 0 when every promise held."""
    stage = Stage()
    stage.console.print("Setting up: storage account, Azure, Nomad, Consul, function app …")
    with (
        tempfile.TemporaryDirectory(prefix="keeper-consul-") as folder,
        consul_part(Path(folder)) as consul,
        Deployment([GENERAL], SETTINGS | consul.settings(), watch=False) as lab,
    ):
        prepare(lab)
        consul.prepare(lab)
        stage.console.print(
            f"Nomad is {lab.nomad.kind} at {lab.nomad.url}, Consul {consul.kind} at {consul.server.url}"
        )
        stage.console.print(f"The keeper answers at {lab.host.url}")
        stage.raise_curtain()
        failed = ""
        try:
            with drills(lab, consul.program(lab.directory)):
                Disaster(lab, consul, stage).play()
        except MissedError as missed:
            failed = str(missed)
            stage.console.print(f"[red]missed:[/] {failed}")
        kept = stage.close(path, nomad=lab.nomad.kind, consul=consul.kind, failed=failed)
    return 0 if kept and not failed else 1
