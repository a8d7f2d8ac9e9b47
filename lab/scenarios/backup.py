"""All servers are lost, with all they had on disk; the newest snapshot brings everything back, and the clock runs."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.deployment import ROOT, Deployment
from lab.nomad.sides import RealNomad
from lab.scenarios.backup_set import (
    CLUSTER,
    GENERAL,
    SETTINGS,
    drills,
    keystore_config,
    parameterized,
    prepare,
    service,
    storage,
)
from lab.scenarios.stage import MissedError, Stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

JOBS, VARIABLES, COUNT = 25, 12, 3
BUDGET = 120
ENDED = {"Succeeded", "Failed", "Canceled"}


class Disaster:
    """Plays the scenes on one deployment."""

    def __init__(self, lab: Deployment, stage: Stage) -> None:
        self._lab, self._stage = lab, stage
        self._snapshot = ""
        self._before: dict[str, int] = {}
        self._lost = 0.0

    def play(self) -> None:
        """All scenes, in order; a scene that fails ends the play."""
        for scene in (
            self.a_cluster_works,
            self.a_snapshot_is_taken,
            self.its_restore_is_rehearsed,
            self.all_servers_are_lost,
            self.fresh_servers_come_up,
            self.what_must_not_be_restored,
            self.the_snapshot_is_restored,
            self.everything_is_there,
        ):
            scene()

    # Scenes ---------------------------------------------------------------------------------------------------------

    def a_cluster_works(self) -> None:
        """Jobs, variables and tokens exist, and the keeper has laid its canaries."""
        self._stage.scene("1. A cluster at work")
        self._until("a ready client", lambda: self._ready() >= 1, 30)
        self._lab.nomad.request("PUT", "/v1/jobs", {"Job": service("web", COUNT)})
        for n in range(JOBS):
            self._lab.nomad.request("PUT", "/v1/jobs", {"Job": parameterized(f"report-{n}")})
        for n in range(VARIABLES):
            body = {"Namespace": "default", "Path": f"app/{n}", "Items": {"secret": f"value {n}"}}
            self._lab.nomad.request("PUT", f"/v1/var/app/{n}", body)
        self._until("web running", lambda: self._running("web") == COUNT, 30)
        self._until("the canary variable", lambda: self._variable("keeper/canary") is not None, 30)
        self._stage.say(
            "load", f"{JOBS} parameterized jobs, web with {COUNT} allocations, {VARIABLES} variables, tokens"
        )

    def a_snapshot_is_taken(self) -> None:
        """The servers deposit their root keys; then an operation takes a snapshot."""
        self._stage.scene("2. A snapshot")
        for name, folder in self._lab.nomad.keystores().items():
            self._keep_keystore(name, folder)
        self._stage.say("nomad", "each server's root keys are deposited, wrapped by Key Vault")
        began = time.monotonic()
        done = self._operate({"operation": "snapshot", "reason": "before the disaster"})
        self._snapshot = str(done["outcome"]).removeprefix("took ").partition(" ")[0]
        self._stage.say("keeper", str(done["outcome"]))
        self._stage.at_most("asked → verified snapshot in storage", time.monotonic() - began, 20)
        shown = self._dry_run(self._snapshot)
        self._stage.equal("snapshots with the root keys beside them", int(bool(shown["keystore"])), 1)
        self._before = self._counts()

    def its_restore_is_rehearsed(self) -> None:
        """The keeper dispatches the drill by itself; its verdict is in the snapshot's record."""
        self._stage.scene("3. Its restore is rehearsed, in a server that can reach nobody")
        began = time.monotonic()
        self._until("a verdict", lambda: self._verdict() is not None, 60)
        verdict = self._verdict() or {}
        took = ", ".join(f"{step} {seconds} s" for step, seconds in verdict["seconds"].items())
        self._stage.say("keeper", "; ".join(verdict["problems"]) or f"restored and whole: {took}")
        self._stage.equal("rehearsals passed", int(verdict["passed"]), 1)
        self._stage.at_most("snapshot → its restore is rehearsed", time.monotonic() - began, 40)

    def all_servers_are_lost(self) -> None:
        """Every server process dies, and its disk with it."""
        self._stage.scene("4. Every server is gone, with its disk")
        self._lab.nomad.lose_servers()
        self._lost = time.monotonic()
        self._stage.say("fault", "all servers are gone")

    def fresh_servers_come_up(self) -> None:
        """New machines: the node program puts the root keys back before Nomad starts."""
        self._stage.scene("5. Fresh servers")
        for name, folder in self._lab.nomad.folders().items():
            self._keep_keystore(name, folder)
        self._lab.nomad.start_servers()
        for name, folder in self._lab.nomad.folders().items():
            self._keep_keystore(name, folder)
        self._until("a leader", lambda: self._lab.nomad.request("GET", "/v1/status/leader"), 30)
        found = self._counts()
        self._stage.say("nomad", f"{found['jobs']} jobs, {found['variables']} variables: empty, but healthy")
        self._stage.at_most("servers lost → fresh ones have a leader", time.monotonic() - self._lost, 40)

    def what_must_not_be_restored(self) -> None:
        """A wrong phrase, a wrong cluster and a snapshot that does not exist are refused before anything happens."""
        self._stage.scene("6. What is refused")
        wrong = {"operation": "restore", "snapshot": self._snapshot, "confirm": f"restore {CLUSTER}"}
        answer = self._lab.api("POST", "operations", wrong)
        self._stage.say("keeper", f"{answer.status_code}: {answer.json()['error']['message']}")
        self._stage.equal("a restore without the whole phrase is answered", answer.status_code, 400)
        missing = self._snapshot.rpartition("/")[0] + "/20200101T000000Z-000000000007"
        ended = self._operate(
            {"operation": "restore", "snapshot": missing, "confirm": f"restore {CLUSTER} {missing}"}, expect="Failed"
        )
        self._stage.say("keeper", str(ended["outcome"]))
        self._stage.equal("jobs after what was refused", self._counts()["jobs"], 0)

    def the_snapshot_is_restored(self) -> None:
        """One command; its progress is shown as it comes."""
        self._stage.scene("7. One command")
        phrase = str(self._dry_run(self._snapshot)["confirm"])
        self._stage.say("load", f"python -m keeper.cli restore {self._snapshot} --confirm '{phrase}'")
        code, out = self._command("restore", self._snapshot, "--confirm", phrase, "--wait", "120")
        self._stage.say("keeper", out.strip().partition(" ")[2])
        if code != 0:
            raise MissedError(f"the restore ended with exit code {code}: {out}")
        self._stage.at_most("servers lost → restored and proven", time.monotonic() - self._lost, 60)

    def everything_is_there(self) -> None:
        """Counts, every variable's content, the old tokens, and the work itself."""
        self._stage.scene("8. Everything is there")
        self._rejoin()
        after = self._counts()
        for kind in ("jobs", "variables", "acl_tokens", "acl_policies"):
            self._stage.equal(f"{kind} after", after[kind], self._before[kind])
        read = sum((self._variable(f"app/{n}") or {}).get("secret") == f"value {n}" for n in range(VARIABLES))
        self._stage.equal("variables that open with their old content", read, VARIABLES)
        self._until("the old keeper token to hold", lambda: self._status()["paused"] is None, 20)
        self._lab.nomad.request("PUT", "/v1/jobs", {"Job": service("afterwards", 1)})
        self._until("new work", lambda: self._running("afterwards") == 1, 60)
        self._until("web running", lambda: self._running("web") == COUNT, 60)
        self._stage.at_most("servers lost → work runs as before (recovery time)", time.monotonic() - self._lost, 90)
        poisoned = self._lab.host.invocations("bury")
        self._stage.equal("messages in the poison queue", len(poisoned), 0)
        self._stage.at_most("the whole play", self._stage.elapsed, BUDGET)

    # Doing ----------------------------------------------------------------------------------------------------------

    def _keep_keystore(self, server: str, folder: Path) -> None:
        """Run the node program's command as the server's timer does."""
        config = self._lab.directory / f"keystore-{server}.json"
        config.write_text(json.dumps(keystore_config(self._lab, server, folder)))
        program = ROOT / "cloud-init" / "node" / "keeper_node.py"
        done = subprocess.run(
            [sys.executable, str(program), "keystore", "--config", str(config)],
            env={"PATH": "/usr/bin:/bin", **self._lab.azure.identity_environment},
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        if done.returncode:
            raise MissedError(f"keeper-node keystore on {server}: {done.stdout}{done.stderr}")

    def _command(self, *arguments: str) -> tuple[int, str]:
        """Run the keeper's command line, tell its progress as it comes, and return its exit code and output."""
        process = subprocess.Popen(
            [sys.executable, "-m", "keeper.cli", *arguments],
            cwd=ROOT,
            env={"PATH": "/usr/bin:/bin", "KEEPER_URL": self._lab.host.url, "KEEPER_KEY": self._lab.host.key},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        teller = threading.Thread(target=self._tell, args=(process,), daemon=True)
        teller.start()
        try:
            out = process.stdout.read() if process.stdout else ""
            return process.wait(150), out
        except BaseException:
            process.kill()
            raise
        finally:
            teller.join(5)
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

    def _tell(self, process: subprocess.Popen[str]) -> None:
        for line in process.stderr or ():
            self._stage.say("keeper", line.strip())

    def _dry_run(self, snapshot: str) -> dict[str, Any]:
        done = self._operate({"operation": "restore", "snapshot": snapshot, "dry_run": True})
        return done["plan"]

    def _operate(self, body: Mapping[str, object], expect: str = "Succeeded") -> dict[str, Any]:
        answer = self._lab.api("POST", "operations", dict(body))
        if answer.status_code != 202:
            raise MissedError(f"the operation was answered {answer.status_code}: {answer.text}")
        ident = answer.json()["id"]
        self._until(f"the end of {body['operation']}", lambda: self._operation(ident)["status"] in ENDED, 60)
        ended = self._operation(ident)
        if ended["status"] != expect:
            raise MissedError(f"{body['operation']} {ended['status']}: {ended['outcome']}")
        return ended

    def _rejoin(self) -> None:
        """Restart the clients' agents: they wait for an index that the restored state has yet to reach."""
        for instance in self._lab.cloud.scale_set_named(GENERAL.scale_set).instances.values():
            if isinstance(self._lab.nomad, RealNomad):
                self._lab.nomad.processes.restart(instance.name)
            else:
                self._lab.nomad.join(instance.name, GENERAL.shape, {"scale_set": GENERAL.scale_set})

    def _until(self, what: str, holds: Callable[[], object], seconds: float = 20) -> float:
        return self._stage.until(what, holds, seconds)

    # Seeing ---------------------------------------------------------------------------------------------------------

    def _operation(self, ident: str) -> dict[str, Any]:
        return self._lab.api("GET", f"operations/{ident}").json()

    def _verdict(self) -> dict[str, Any] | None:
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 -- only a running lab needs it

        with storage(self._lab) as blobs:
            blob = blobs.get_blob_client("keeper", f"snapshots/rehearsals/{self._snapshot}.json")
            try:
                return json.loads(blob.download_blob().readall())
            except ResourceNotFoundError:
                return None

    def _status(self) -> dict[str, Any]:
        return self._lab.api("GET", "status").json()

    def _counts(self) -> dict[str, int]:
        """What there is, less the keeper's own canaries, which come and go with it."""
        jobs = self._lab.nomad.request("GET", "/v1/jobs?namespace=*")
        variables = self._lab.nomad.request("GET", "/v1/vars?namespace=*")
        return {
            "jobs": sum(not job["ID"].startswith(("keeper-canary", "restore-drill")) for job in jobs),
            "variables": sum(each["Path"] != "keeper/canary" for each in variables),
            "acl_tokens": len(self._lab.nomad.request("GET", "/v1/acl/tokens")),
            "acl_policies": len(self._lab.nomad.request("GET", "/v1/acl/policies")),
        }

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
    stage.console.print("Setting up: storage account, Azure, Nomad, function app …")
    with Deployment([GENERAL], SETTINGS, watch=False) as lab:
        prepare(lab)
        stage.console.print(f"Nomad is {lab.nomad.kind} at {lab.nomad.url}, the keeper answers at {lab.host.url}")
        stage.raise_curtain()
        failed = ""
        try:
            with drills(lab):
                Disaster(lab, stage).play()
        except MissedError as missed:
            failed = str(missed)
            stage.console.print(f"[red]missed:[/] {failed}")
        kept = stage.close(path, nomad=lab.nomad.kind, failed=failed)
    return 0 if kept and not failed else 1
