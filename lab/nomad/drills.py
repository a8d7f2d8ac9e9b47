"""Runs the restore drill: as a real batch job where clients are real, else the program itself for each dispatched child."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.nomad.sides import RealNomad, StandInNomad

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = ROOT / "nomad-jobs" / "drill" / "drill.py"
JOB = "restore-drill"
LIMIT_SECONDS = 120


def register(nomad: RealNomad, binary: Path, variables: Mapping[str, str], environment: Mapping[str, str]) -> None:
    """Register the shipped job file with the real command line."""
    given = {"python": sys.executable, "program": str(ROOT / "cloud-init" / "node"), "nomad": str(binary), **variables}
    flags = [f"-var={name}={value}" for name, value in given.items()]
    subprocess.run(
        [str(binary), "job", "run", *flags, f"-var=environment={json.dumps(dict(environment))}", f"{JOB}.nomad.hcl"],
        cwd=ROOT / "nomad-jobs",
        env={
            "PATH": "/usr/bin:/bin",
            "NOMAD_ADDR": nomad.url,
            "NOMAD_CACERT": str(nomad.authority),
            "NOMAD_TOKEN": nomad.management_token,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=30,
        check=True,
    )


class StandInDrills:
    """A context manager: the model's clients run nothing, so each dispatched child is run here, once, and is stopped at its end."""

    def __init__(self, nomad: StandInNomad, folder: Path, environment: Mapping[str, str]) -> None:
        self._nomad = nomad
        self._stop = threading.Event()
        self._seen: set[str] = set()
        agent = folder / "stand-in-nomad"
        agent.write_text(f'#!/bin/sh\ncd "{ROOT}" && exec "{sys.executable}" -m lab.nomad.agent "$@"\n')
        agent.chmod(0o755)
        path = f"{ROOT / 'cloud-init' / 'node'}"
        self._environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": path, "DRILL_NOMAD": str(agent), **environment}
        self._thread = threading.Thread(target=self._follow, name="drills", daemon=True)

    def __enter__(self) -> None:
        self._nomad.request("PUT", "/v1/jobs", {"Job": _job()})
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(timeout=LIMIT_SECONDS)

    def _follow(self) -> None:
        while not self._stop.wait(0.2):
            with contextlib.suppress(requests.RequestException):  # the servers are gone for a while
                for job in self._nomad.request("GET", f"/v1/jobs?prefix={JOB}/dispatch"):
                    if job["ID"] not in self._seen:
                        self._seen.add(job["ID"])
                        self._run(self._nomad.request("GET", f"/v1/job/{job['ID']}")["Meta"])
                        self._nomad.request("DELETE", f"/v1/job/{job['ID']}")

    def _run(self, meta: Mapping[str, str]) -> None:
        environment = {**self._environment, **{f"NOMAD_META_{name}": value for name, value in meta.items()}}
        subprocess.run(
            [sys.executable, str(PROGRAM)],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            timeout=LIMIT_SECONDS,
            check=False,
        )


def can_isolate() -> bool:
    """Whether network namespaces may be made here; without them a drill refuses to run."""
    if os.geteuid() != 0:
        return False
    done = subprocess.run(["unshare", "--net", "true"], capture_output=True, check=False)
    return done.returncode == 0


def _job() -> dict[str, Any]:
    """What the model needs of the job file: that it can be dispatched with its meta, and goes on until it is stopped."""
    task = {
        "Name": "rehearse",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/sleep", "args": [str(LIMIT_SECONDS)]},
    }
    return {
        "ID": JOB,
        "Name": JOB,
        "Type": "batch",
        "Datacenters": ["*"],
        "ParameterizedJob": {"Payload": "forbidden", "MetaRequired": ["snapshot", "tier", "verdict"]},
        "TaskGroups": [{"Name": "drill", "Count": 1, "Tasks": [task]}],
    }
