"""Rehearses a restore: fetch, open, restore into a throw-away server that can reach nobody, say what is there.

Runs as the Nomad batch job `restore-drill.nomad.hcl`, on Python 3.10 and the node program's modules alone. It decides nothing: the
verdict says what was found (`keeper/core/rehearsals.py` describes it and judges it). Two processes: the outer one has the machine's
identity and the network, and fetches; the inner one has neither, and restores.

    drill.py                 as the job; NOMAD_META_snapshot, _tier, _verdict and DRILL_* say what and where
    drill.py inside FOLDER   in a network namespace of its own; reads FOLDER/plan.json, writes FOLDER/found.json
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from consuls import ConsulServer
from nomads import NomadServer
from throwaway import NotRestored, ThrowAwayServer

if TYPE_CHECKING:
    from collections.abc import Mapping

SET_FLAGS, UP, NAME_BYTES = 0x8914, 0x1, 16
"""SIOCSIFFLAGS and IFF_UP (`man netdevice`)."""
LIMIT_SECONDS = 3000


def rehearse(environment: Mapping[str, str]) -> int:
    """Fetch, have it restored, leave the verdict; 0 when something was restored."""
    from fetching import Source  # noqa: PLC0415 - the inner process needs neither identity nor network

    stem, tier = environment["NOMAD_META_snapshot"], environment["NOMAD_META_tier"]
    source = Source.from_environment(environment)
    folder = Path(tempfile.mkdtemp(prefix="drill-", dir=environment.get("NOMAD_TASK_DIR")))
    began = time.monotonic()
    said: dict[str, Any] = {"verdict": 1, "snapshot": stem, "restored": False, "isolated": False, "interfaces": []}
    try:
        manifest = source.manifest(tier, stem)
        secret = source.data_key(manifest)
        source.archive(tier, stem, secret, manifest, folder / "archive.snap")
        product = stem.split("/")[1]
        plan = {
            "product": product,
            "binary": environment.get(f"DRILL_{product.upper()}") or f"/usr/local/bin/{product}",
            "region": manifest["region"],
            "keystore": source.keystore(tier, stem, secret, manifest),
        }
        fetched = time.monotonic() - began
        said |= _in_isolation(folder, plan)
        said["seconds"] = {"fetch": round(fetched, 2), **said.get("seconds", {})}
    except Exception as exc:  # noqa: BLE001 - whatever it is, the verdict says so
        said["problem"] = f"{type(exc).__name__}: {exc}"[:500]
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    verdict = json.dumps(said, separators=(",", ":"))
    print(verdict, flush=True)
    source.leave(environment["NOMAD_META_verdict"], verdict.encode())
    return 0 if said["restored"] else 1


def _in_isolation(folder: Path, plan: Mapping[str, object]) -> dict[str, Any]:
    """Run the inner half in a network namespace that has nothing but its own loopback, and with an empty environment."""
    (folder / "plan.json").write_text(json.dumps(plan), encoding="utf-8")
    (folder / "plan.json").chmod(0o600)
    ended = subprocess.run(  # noqa: S603 - this program
        ["/usr/bin/unshare", "--net", "--", sys.executable, os.path.abspath(__file__), "inside", str(folder)],  # noqa: PTH100 - as it was started
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        timeout=LIMIT_SECONDS,
        check=False,
    )
    found = folder / "found.json"
    if not found.exists():
        words = ended.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise NotRestored(f"the inner process ended with {ended.returncode}: {' '.join(words)}")
    return json.loads(found.read_text(encoding="utf-8"))


def inside(folder: Path) -> None:
    """Restore and look; never starts a server while any other interface than `lo` is there."""
    said: dict[str, Any] = {"restored": False}
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    interfaces = sorted(name for _, name in socket.if_nameindex())
    said |= {"interfaces": interfaces, "isolated": interfaces == ["lo"]}
    try:
        _refuse_way_out(interfaces)
        _loopback_up()
        began = time.monotonic()
        with _server(plan, folder) as server:
            started = time.monotonic()
            server.restore(folder / "archive.snap")
            restored = time.monotonic()
            said |= server.found()
            said["seconds"] = {
                "start": round(started - began, 2),
                "restore": round(restored - started, 2),
                "look": round(time.monotonic() - restored, 2),
            }
        said["restored"] = True
    except (NotRestored, OSError, ValueError) as exc:
        said["problem"] = f"{type(exc).__name__}: {exc}"[:500]
    (folder / "found.json").write_text(json.dumps(said), encoding="utf-8")


def _server(plan: Mapping[str, Any], folder: Path) -> ThrowAwayServer:
    if plan["product"] == "consul":
        return ConsulServer(plan["binary"], folder, plan["region"])
    return NomadServer(plan["binary"], folder, plan["region"], plan["keystore"])


def _refuse_way_out(interfaces: list[str]) -> None:
    if interfaces != ["lo"]:
        raise NotRestored(f"there is a way out: {', '.join(interfaces)}")


def _loopback_up() -> None:
    """A new namespace has its loopback down."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack(f"{NAME_BYTES}sh", b"lo", UP))


if __name__ == "__main__":
    if sys.argv[1:2] == ["inside"]:
        inside(Path(sys.argv[2]))
    else:
        sys.exit(rehearse(os.environ))
