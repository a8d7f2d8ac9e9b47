"""`python -m lab demo` plays a day, `demo-backup` a disaster; `python -m lab up` leaves the lab running and prints its addresses."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from lab.deployment import Deployment
from lab.scenarios import backup, day

BUILD = Path(__file__).resolve().parent.parent / "build"


def up() -> int:
    """Start the lab, print what a person needs to try it, and wait for Ctrl-C."""
    stop = threading.Event()
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, lambda *_: stop.set())
    with Deployment([day.GENERAL, day.SPOT], day.QUICKLY) as lab:
        print(
            f"""
The lab is up ({lab.nomad.kind} Nomad). Ctrl-C ends it.

  export NOMAD_ADDR={lab.nomad.url} NOMAD_CACERT={lab.nomad.authority} NOMAD_TOKEN={lab.nomad.management_token}
  export KEEPER_URL={lab.host.url} KEEPER_KEY={lab.host.key}

  nomad node status                      the Nomad CLI
  curl -H "x-functions-key: $KEEPER_KEY" $KEEPER_URL/api/status
  python -m keeper.cli explain           the keeper's command line
  Azure Resource Manager  {lab.azure.url}  (subscription {lab.cloud.subscription}, group rg-lab)
  managed identity        {lab.azure.identity_environment["IDENTITY_ENDPOINT"]}  (X-IDENTITY-HEADER: {lab.azure.identity_environment["IDENTITY_HEADER"]})
  Key Vault               {lab.vault.url}
  storage                 {lab.storage.blob_url}  {lab.storage.queue_url}
  CA bundle               {lab.authority.certificate}
""",
            flush=True,
        )
        stop.wait()
    return 0


def main() -> int:
    """Run the command."""
    parser = argparse.ArgumentParser(prog="python -m lab", description=__doc__)
    parser.add_argument("command", choices=["demo", "demo-backup", "up"])
    command = parser.parse_args().command
    if command == "up":
        return up()
    return backup.play(BUILD / "demo-backup.json") if command == "demo-backup" else day.play(BUILD / "demo.json")


if __name__ == "__main__":
    sys.exit(main())
