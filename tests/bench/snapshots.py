"""What is promised of snapshots: no damaged one is kept, memory stays flat, it is fast enough, and death anywhere leaves nothing half done.

`python -m tests.bench.snapshots` prints the figures; `… damaged|stream|killed` only some of them.
"""

import hashlib
import json
import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from time import perf_counter, process_time, sleep
from typing import Any, cast

from azure.core.pipeline.transport import RequestsTransport

from keeper.azure.leases import BlobLeases
from keeper.azure.snapshots import BlobSnapshots
from keeper.azure.storage import Container
from keeper.controllers import snapshot
from keeper.controllers.taking import Asked, load_manifest, take
from keeper.core.archive import ArchiveCheck, Limits
from keeper.core.messages import Controller, Kind, Message
from keeper.core.retention import Listing, RetentionRules
from keeper.core.rules import AutoscaleRules
from keeper.core.snapshots import BadSnapshot, Part, Tier
from keeper.errors import LostLease
from keeper.nomad.session import NomadSession
from keeper.nomad.snapshots import NomadSnapshots
from keeper.ports import World
from keeper.settings import AzureSettings, DoorSettings, NomadSettings, Settings, SnapshotSettings
from keeper.snapshot_ports import Snapshots, SnapshotSource
from lab.archives import HeldKeys, StaticSource, archive_of
from lab.azure.model.cloud import LAB_TENANT
from lab.azure.tokens import Principal, Tenant
from lab.backups import TenantIdentity, WallClock
from lab.clock import wall_clock
from lab.damage import damaged
from lab.host.model import time_span
from lab.storage.memory import MemoryCorridor, MemoryRecords
from tests.bench.rows import Row, memory
from tests.bench.snapshot_servers import Streamed

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "tests" / "recordings" / "nomad-1.6.5"
TIME_LIMIT = time_span(json.loads((ROOT / "host.json").read_text())["functionTimeout"]).total_seconds()
"""Seconds that the host gives one function."""
HOW = "python -m tests.bench.snapshots"
NOBODY = "aaaaaaaa-0000-4000-8000-000000000001"
UNITS = 256
"""Of 8 MiB: 2 GiB of state."""
LEASE = timedelta(seconds=15)
KILLED = 200
WAITED = 3
WAITED_AT = 9
"""In this many killed runs, at such numbers, the lease is waited out; in the others it is broken to save time."""


class Held:
    """A lease that nobody disputes."""

    def confirm(self) -> None:
        """See the port."""


def row(name: str, value: float, unit: str, bar: float, *, least: bool = False) -> Row:
    """A figure that must not be beyond its bar: at most, or `least`."""
    ok = value >= bar if least else value <= bar
    return Row(name=name, value=round(value, 3), unit=unit, bar=bar, ok=ok, how=HOW)


@contextmanager
def servers(*how: str) -> Generator[tuple[dict[str, Any], Callable[[], dict[str, Any]]]]:
    """The far sides, and a way to ask them what they saw."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.bench.snapshot_servers", *how],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    stdin, stdout = process.stdin, process.stdout

    def ask() -> dict[str, Any]:
        stdin.write("?\n")
        stdin.flush()
        return json.loads(stdout.readline())

    try:
        yield json.loads(stdout.readline()), ask
    finally:
        stdin.close()
        stdout.close()
        process.wait(60)


class Stepping(RequestsTransport):
    """Calls `step` before and after each request."""

    def __init__(self, ca: str, step: Callable[[], None]) -> None:
        super().__init__(connection_verify=ca)
        self._step = step

    def send(self, *args: Any, **how: Any) -> Any:
        """Send one request."""
        self._step()
        answer = super().send(*args, **how)
        self._step()
        return answer


def store(url: str, ca: str, step: Callable[[], None] = lambda: None) -> BlobSnapshots:
    """The shipped adapter in front of an account of the lab."""
    return BlobSnapshots(url, credential=identity(), transport=Stepping(ca, step))


def identity() -> Any:
    """Azurite reads tokens and checks no signature, so a tenant of our own will do."""
    return TenantIdentity(Tenant(LAB_TENANT, wall_clock), Principal(NOBODY, NOBODY))


def measure_damaged() -> list[Row]:
    """At least a thousand damaged archives, each through the whole way into storage."""
    bases = [(RECORDED / name).read_bytes() for name in ("snapshot.snap", "snapshot-200-jobs.snap")]
    bases.append(archive_of(b"a small state" * 999))
    sent, passed = 0, []
    with servers("accounts") as (where, ask):
        backups = Snapshots(sources=(), store=store(where["account"], where["ca"]), copies=None, keys=HeldKeys())
        asked = Asked(SnapshotSettings(cluster="damaged"))
        for seed, base in enumerate(bases):
            for each in damaged(base, 300, seed):
                source = StaticSource(lambda body=each.body: body, index=100, digest=each.digest)
                sent += 1
                try:
                    take(backups, source, Listing((), wall_clock()), Held(), asked)
                except BadSnapshot:
                    continue
                passed.append(each.how)
        commits = ask()["commits"]
    return [
        row("snapshots.damaged_archives_sent", sent, "archives", 1000, least=True),
        row("snapshots.damaged_archives_committed", len(commits) + len(passed), "archives", 0),
    ]


def measure_stream() -> list[Row]:
    """2 GiB of state: the checks and the seal on one core; then everything over https in a process of its own."""
    archive = Streamed(UNITS)
    seal, digest, check = HeldKeys().new().seal("bench"), hashlib.sha256(), ArchiveCheck(Limits(1 << 33))
    start = process_time()
    for piece in archive.pieces():
        check.push(piece)
        digest.update(seal.push(piece))
    digest.update(seal.end())
    check.end(archive.sha256.digest())
    rate = archive.size / (process_time() - start) / 1e6
    with servers("stream", str(UNITS)) as (where, _):
        child = [sys.executable, "-m", "tests.bench.snapshots", "child", json.dumps(where)]
        whole = json.loads(subprocess.run(child, check=True, capture_output=True, text=True).stdout)
    return [
        row("snapshots.2GiB_verify_and_seal_one_core", rate, "MB/s packed", 60, least=True),
        row("snapshots.2GiB_peak_above_idle", whole["peak"], "MiB", 128),
        row("snapshots.2GiB_whole_run_over_https", whole["seconds"], "s", TIME_LIMIT),
    ]


def child(where: dict[str, Any]) -> dict[str, float]:
    """The keeper's part of one run, alone in its process: everything is loaded and connected before the measurement starts."""
    nomad = NomadSettings(address=where["nomad"], timeout=timedelta(seconds=30))
    session = NomadSession(nomad, token=lambda: "token", ca=Path(where["ca"]).read_text)
    source = NomadSnapshots(session, session, saver_secret="none")
    backups = Snapshots(sources=(source,), store=store(where["storage"], where["ca"]), copies=None, keys=HeldKeys())
    small = StaticSource(lambda: archive_of(bytes(2 * 1024 * 1024)))
    asked = Asked(SnapshotSettings(cluster="bench"))
    take(backups, small, Listing((), wall_clock()), Held(), asked)
    source.observe()
    idle = memory("VmRSS")
    start = perf_counter()
    manifest = take(backups, source, Listing((), wall_clock()), Held(), asked)
    assert manifest.state_bytes == where["state_bytes"]
    return {"peak": memory("VmHWM") - idle, "seconds": perf_counter() - start}


class Doomed:
    """Ends the process, as kill -9 does, at one of its steps; 0 for never. `steps` counts them."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.steps = 0

    def __call__(self) -> None:
        self.steps += 1
        if self.steps == self.at:
            os.kill(os.getpid(), signal.SIGKILL)


def world_of(where: dict[str, Any], number: int, step: Callable[[], None]) -> World:
    """Everything a tick needs, made anew; the leases are Azure's own, one per run."""
    nothing = cast("Any", None)
    clock = WallClock()
    azure = AzureSettings(
        subscription=NOBODY,
        client_id=NOBODY,
        vault="https://v.lab",
        blobs=where["account"],
        queues="https://q.lab",
        container=Tier.HOURLY.container,
    )
    leases = Container(azure, credential=identity(), transport=Stepping(where["ca"], step))
    body = archive_of(os.urandom(9_000_000 if number % 10 == 0 else 5_000))
    source: SnapshotSource = StaticSource(lambda: body)
    return World(
        nomad=nothing,
        scale_sets=nothing,
        utilisation=nothing,
        records=MemoryRecords(),
        leases=_Named(BlobLeases(leases, duration=LEASE), f"run-{number}"),
        corridor=MemoryCorridor(clock.now),
        clock=clock,
        settings=Settings(
            nomad=NomadSettings(address="https://n.lab"),
            azure=azure,
            doors=DoorSettings(),
            autoscale=AutoscaleRules(),
            snapshots=SnapshotSettings(cluster=f"run-{number}"),
            retention=RetentionRules(),
        ),
        snapshots=Snapshots(
            sources=(source,),
            store=store(where["account"], where["ca"], step),
            copies=store(where["second"], where["ca"], step),
            keys=HeldKeys(),
        ),
    )


class _Named:
    """Leases of one run, so that runs need not wait for each other."""

    def __init__(self, leases: BlobLeases, prefix: str) -> None:
        self._leases = leases
        self._prefix = prefix

    def hold(self, name: str) -> Any:
        """See the port."""
        return self._leases.hold(f"{self._prefix}-{name}")


def tick(where: dict[str, Any], number: int, at: int) -> int:
    """One tick; how many steps it had."""
    doomed = Doomed(at)
    snapshot.run(
        world_of(where, number, doomed), Message(Kind.NUDGE, Controller.SNAPSHOT, "bench", wall_clock(), "bench")
    )
    return doomed.steps


def killed(where: dict[str, Any], number: int, at: int) -> bool:
    """A tick in a process of its own that dies at that step; whether it did."""
    pid = os.fork()
    if pid == 0:
        try:
            tick(where, number, at)
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(pid, 0)[1])


def measure_killed() -> list[Row]:
    """Kill a tick before and after each of its calls, look at what is visible, and let the next one finish."""
    logging.disable(logging.CRITICAL)
    partial = failed = died = 0
    slowest = 0.0
    with servers("accounts") as (where, ask):
        steps = tick(where, 1, 0)
        number = 1
        while died < KILLED:
            number += 1
            died += killed(where, number, (number - 2) % steps + 1)
            partial += visible_wrongly(where, number)
            slowest = max(slowest, next_tick(where, number, wait=number % (KILLED // WAITED) == WAITED_AT))
            failed += not complete(where, number)
        forbidden = ask()["forbidden"]
    logging.disable(logging.NOTSET)
    return [
        row("snapshots.killed_runs", died, "runs", KILLED, least=True),
        row("snapshots.killed_partly_visible", partial, "runs", 0),
        row("snapshots.killed_next_run_incomplete", failed, "runs", 0),
        row("snapshots.killed_next_run_ends_within_lease_and_5s", slowest, "s", LEASE.total_seconds() + 5),
        row("snapshots.killed_forbidden_calls", forbidden, "calls", 0),
    ]


def next_tick(where: dict[str, Any], number: int, *, wait: bool) -> float:
    """The next tick, as soon as the lease lets it; how long that took. Without `wait` the lease is broken first."""
    start = perf_counter()
    if not wait:
        world = world_of(where, number, lambda: None)
        free(world, number)
    while True:
        try:
            tick(where, number, 0)
        except LostLease:
            sleep(0.5)
            continue
        return perf_counter() - start


def free(world: World, number: int) -> None:
    """Break the lease of a run that was killed, if it holds one."""
    from azure.core.exceptions import AzureError  # noqa: PLC0415 -- loaded when first used
    from azure.storage.blob import BlobLeaseClient  # noqa: PLC0415 -- the same

    backups = cast("Snapshots", world.snapshots)
    blob = cast("BlobSnapshots", backups.store).client.get_blob_client(
        Tier.HOURLY.container, f"leases/run-{number}-snapshot"
    )
    try:
        BlobLeaseClient(blob).break_lease(0)
    except AzureError:
        return


def visible_wrongly(where: dict[str, Any], number: int) -> bool:
    """Whether anything that counts as a snapshot does not open whole, or an archive is visible that is not whole."""
    for url in (where["account"], where["second"]):
        held = store(url, where["ca"])
        for each in held.listing(f"run-{number}").held:
            if each.verified and not opens(held, each):
                return True
            if Part.MANIFEST in each.parts and Part.ARCHIVE not in each.parts:
                return True
    return False


def opens(held: BlobSnapshots, each: Any) -> bool:
    """Whether a snapshot opens and is what its manifest says."""
    manifest = load_manifest(held, each)
    name = each.name.blob(Part.ARCHIVE)
    digest = hashlib.sha256()
    for piece in HeldKeys().unwrap(manifest.key).open(name, held.read(each.tier, name)):
        digest.update(piece)
    return digest.hexdigest() == manifest.archive_sha256


def complete(where: dict[str, Any], number: int) -> bool:
    """Whether both accounts hold the same snapshots, at least one, each whole, and nothing else."""
    both = [store(where[name], where["ca"]) for name in ("account", "second")]
    listings = [each.listing(f"run-{number}") for each in both]
    names = [{held.name for held in listing.held if held.verified} for listing in listings]
    whole = all(opens(at, held) for at, listing in zip(both, listings, strict=True) for held in listing.held)
    return bool(names[0]) and names[0] == names[1] and whole


def measure() -> list[Row]:
    """All figures."""
    return [*measure_damaged(), *measure_stream(), *measure_killed()]


MEASURES = {"damaged": measure_damaged, "stream": measure_stream, "killed": measure_killed}


def main(arguments: list[str]) -> int:
    """Print the named figures, or all."""
    if arguments[:1] == ["child"]:
        print(json.dumps(child(json.loads(arguments[1]))))  # noqa: T201 -- to the process that started this one
        return 0
    rows = [each for name in arguments or MEASURES for each in MEASURES[name]()]
    print(json.dumps(rows, indent=1))  # noqa: T201 -- a benchmark speaks to a person
    return 0 if all(each["ok"] for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
