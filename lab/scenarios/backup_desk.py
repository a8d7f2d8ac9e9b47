"""What a person does at a keeper's desk: asks for operations, runs the command line, reads verdicts."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

from lab.deployment import ROOT
from lab.scenarios.backup_set import keystore_config, storage
from lab.scenarios.stage import MissedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from lab.deployment import Deployment
    from lab.scenarios.stage import Stage

ENDED = {"Succeeded", "Failed", "Canceled"}
COMMAND_SECONDS = 150


class Desk:
    """One deployment's keeper, and the person in front of it."""

    def __init__(self, lab: Deployment, stage: Stage) -> None:
        self._lab, self._stage = lab, stage

    def operate(self, body: Mapping[str, object], expect: str = "Succeeded") -> dict[str, Any]:
        """Ask for an operation and wait for its end; raises `MissedError` when it ends otherwise."""
        answer = self._lab.api("POST", "operations", dict(body))
        if answer.status_code != 202:
            raise MissedError(f"the operation was answered {answer.status_code}: {answer.text}")
        ident = answer.json()["id"]
        self._stage.until(
            f"the end of {body['operation']}", lambda: self._operation(ident)["status"] in ENDED, seconds=60
        )
        ended = self._operation(ident)
        if ended["status"] != expect:
            raise MissedError(f"{body['operation']} {ended['status']}: {ended['outcome']}")
        return ended

    def dry_run(self, snapshot: str) -> dict[str, Any]:
        """What restoring that snapshot would do."""
        return self.operate({"operation": "restore", "snapshot": snapshot, "dry_run": True})["plan"]

    def restore(self, snapshot: str) -> None:
        """Restore with the one command; its progress is told as it comes."""
        phrase = str(self.dry_run(snapshot)["confirm"])
        self._stage.say("load", f"python -m keeper.cli restore {snapshot} --confirm '{phrase}'")
        code, out = self._command("restore", snapshot, "--confirm", phrase, "--wait", "120")
        self._stage.say("keeper", out.strip().partition(" ")[2])
        if code != 0:
            raise MissedError(f"the restore ended with exit code {code}: {out}")

    def verdict(self, snapshot: str) -> dict[str, Any] | None:
        """What the rehearsal of that snapshot came to, as its record says; None when there is none yet."""
        from azure.core.exceptions import ResourceNotFoundError  # noqa: PLC0415 -- only a running lab needs it

        with storage(self._lab) as blobs:
            blob = blobs.get_blob_client("keeper", f"snapshots/rehearsals/{snapshot}.json")
            try:
                return json.loads(blob.download_blob().readall())
            except ResourceNotFoundError:
                return None

    def status(self) -> dict[str, Any]:
        """The keeper's status."""
        return self._lab.api("GET", "status").json()

    def keep_keystore(self, server: str, folder: Path) -> None:
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

    def _operation(self, ident: str) -> dict[str, Any]:
        return self._lab.api("GET", f"operations/{ident}").json()

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
            return process.wait(COMMAND_SECONDS), out
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
