"""Servers over https, everything else in memory: what a restore needs, and a person who asks for one."""

import time
from itertools import count

from keeper.azure.sealing import OpenKey, fresh
from keeper.clock import SystemClock
from keeper.controllers import restore, snapshot
from keeper.controllers.ledger import Ledger
from keeper.core import operations
from keeper.core.canaries import Canary
from keeper.core.messages import Controller, Kind, Message
from keeper.core.operations import Operation, State
from keeper.core.restoring import phrase
from keeper.core.retention import RetentionRules
from keeper.core.snapshots import Tier, WrappedKey
from keeper.errors import Transient
from keeper.nomad.restoring import NomadCanaries, NomadRestore, root_keys
from keeper.nomad.session import Former, NomadSession
from keeper.ports import World
from keeper.restore_ports import Restores
from keeper.settings import load
from keeper.snapshot_ports import Snapshots
from lab.clock import wall_clock
from lab.pools import LabPool, settings_of
from lab.storage.memory import MemoryCorridor, MemoryLeases, MemoryRecords
from lab.storage.write_once import MemorySnapshots

SUBSCRIPTION = "11111111-2222-3333-4444-555555555555"
CLUSTER = "prod"
SECRET = "nomad-management-token"


class Killed(BaseException):
    """The process dies here."""


class LocalKeys:
    """Data keys whose wrapping never leaves the test."""

    def __init__(self):
        self._kept = {}
        self._numbers = count(1)

    def new(self):
        secret, wrapped = fresh(), WrappedKey("https://kv/keys/k", "v1", "RSA-OAEP-256", b"%d" % next(self._numbers))
        self._kept[wrapped] = secret
        return OpenKey(wrapped, secret)

    def unwrap(self, wrapped):
        return OpenKey(wrapped, self._kept[wrapped])


class Keystores:
    """Deposits in memory; servers say that they hold whatever is deposited, unless told otherwise."""

    def __init__(self, needed):
        self.kept = {}
        self.silent = False
        self.needed = needed

    def deposits(self, _cluster):
        return dict(self.kept)

    def deposit(self, _cluster, key, body):
        self.kept.setdefault(key, body)

    def held(self, _cluster):
        return {} if self.silent else {f"server-{n}": frozenset(self.kept) for n in range(3)}


class Theatre:
    """The keeper's world around one Nomad."""

    def __init__(self, side):
        self.side = side
        changes = {"NOMAD_ADDRESS": side.url, "SNAPSHOT_CLUSTER": CLUSTER}
        self.settings = load(settings_of([LabPool("general", 1, 2)], SUBSCRIPTION, changes))
        session = self.become(side.management_token)
        self.canaries = NomadCanaries(session)
        self.keystores = Keystores(lambda: root_keys(session))
        self.store = MemorySnapshots(wall_clock, dict(_kept()))
        self.copies = None
        self.records = MemoryRecords()
        self.leases = MemoryLeases(wall_clock)
        self.corridor = MemoryCorridor(wall_clock)
        self.keys = LocalKeys()
        self._numbers = count(1)
        self.sent = 0

    @property
    def world(self):
        return World(
            nomad=None,
            scale_sets=None,
            utilisation=None,
            records=self.records,
            leases=self.leases,
            corridor=self.corridor,
            clock=SystemClock(),
            settings=self.settings,
            snapshots=Snapshots(
                sources=(self.target.source,),
                store=self.store,
                copies=self.copies,
                keys=self.keys,
                keystores=self.keystores,
            ),
            restores=Restores(targets=(self,), canaries=(self.canaries,), keystores=self.keystores, drills=None),
        )

    # The target, as a test may bend it.

    product = NomadRestore.product

    @property
    def source(self):
        return self.target.source

    def observe(self):
        return self.target.observe()

    def servers(self):
        return self.target.servers()

    def found(self):
        return self.target.found()

    def restore(self, archive, size):
        self.sent += 1
        self.target.restore(archive, size)

    # A person.

    def become(self, token):
        """Have the secret hold that token alone, and a new process read it."""
        self.secret = [token]
        session = NomadSession(
            self.settings.nomad,
            token=lambda: self.secret[-1],
            ca=self.side.authority.read_text,
            former=Former(SECRET, lambda: reversed(self.secret[:-1])),
        )
        self.target = NomadRestore(session, secret=SECRET)
        return session

    def rotate(self):
        """A new management token takes the place of the one in the secret, which Nomad forgets."""
        made = self.side.request("PUT", "/v1/acl/token", {"Name": "rotated", "Type": "management"})
        old = self.side.request("GET", "/v1/acl/token/self")["AccessorID"]
        self.side.management_token = made["SecretID"]
        self.side.request("DELETE", f"/v1/acl/token/{old}")
        self.secret.append(made["SecretID"])

    def furnish(self, jobs=3):
        """Jobs, a variable, the canaries, and the root keys deposited."""
        for n in range(jobs):
            self.side.request("PUT", "/v1/jobs", {"Job": job(f"job-{n}")})
        self.side.request("PUT", "/v1/var/app/1", {"Path": "app/1", "Items": {"k": "v"}})
        self.canaries.write(Canary(CLUSTER, wall_clock().replace(microsecond=0)))
        self.keystores.kept = dict.fromkeys(self.keystores.needed(), b'{"keystore":1}')

    def take(self):
        """Take a snapshot; its stem."""
        message = Message(Kind.NUDGE, Controller.SNAPSHOT, "test", wall_clock(), "test", {"take": True})
        outcome = snapshot.run(self.world, message)
        assert not outcome.problems, outcome.problems
        return outcome.taken[0].name.stem

    def another_account(self):
        return MemorySnapshots(wall_clock, dict(_kept()))

    def ask(self, stem, *force, dry_run=False, copy=False):
        """Ask for a restore, as the door does; its message."""
        body = {"operation": "restore", "snapshot": stem, "force": list(force), "dry_run": dry_run, "copy": copy}
        body |= {} if dry_run else {"confirm": phrase(CLUSTER, stem)}
        request = operations.parse_request(body, self.settings.pools, CLUSTER)
        now = wall_clock()
        made = Operation(f"op{next(self._numbers)}", request, "ann", now, State.NOT_STARTED, now)
        Ledger(self.records).save_operation(made, None)
        return Message(Kind.OPERATION, Controller.RESTORE, "restore", now, "http", {"id": made.id, "cancel": False})

    def run(self, message, ticks=60):
        """Deliver the message until the operation has ended; the operation."""
        for _ in range(ticks):
            try:
                restore.run(self.world, message)
            except Transient:
                time.sleep(0.1)
            if self.operation(message).state.ended:
                break
        return self.operation(message)

    def restored(self, stem, *force, **more):
        return self.run(self.ask(stem, *force, **more))

    def operation(self, message):
        found = Ledger(self.records).operation(message.detail["id"])
        return found[0]

    def paused(self):
        return Ledger(self.records).remember()[0].paused

    def jobs(self):
        return {each["ID"] for each in self.side.request("GET", "/v1/jobs")} - {"keeper-canary"}

    def running(self, name):
        """How many allocations of a job run."""
        found = self.side.request("GET", f"/v1/job/{name}/allocations")
        return sum((each["DesiredStatus"], each["ClientStatus"]) == ("run", "running") for each in found)

    def until(self, holds, seconds=60):
        """Wait for something that takes its time."""
        for _ in range(seconds * 5):
            if holds():
                return
            time.sleep(0.2)
        raise AssertionError("it did not come about in time")

    def come_back(self, name, shape):
        """A client's agent is restarted with the data that it has."""
        if self.side.kind == "real":
            self.side.processes.restart(name)
        else:
            self.side.join(name, shape, {})

    def lose_everything(self):
        """The servers are replaced by fresh ones."""
        folders = self.side.keystores()
        kept = {name: {path.name: path.read_text() for path in folder.iterdir()} for name, folder in folders.items()}
        self.side.lose_servers()
        return kept

    def start_fresh(self, kept=None):
        """Fresh servers, with root keys in place when `kept` is given."""
        for name, folder in self.side.folders().items():
            folder.mkdir(parents=True, exist_ok=True)
            for file, text in (kept or {}).get(name, {}).items():
                (folder / file).write_text(text)
        self.side.start_servers()


def _kept():
    rules = RetentionRules()
    return [(tier, rules.of(tier)) for tier in Tier]


def job(name):
    task = {"Name": "t", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}
    group = {"Name": "g", "Count": 1, "Tasks": [task]}
    return {
        "ID": name,
        "Name": name,
        "Type": "batch",
        "Datacenters": ["*"],
        "ParameterizedJob": {"Payload": "optional"},
        "TaskGroups": [group],
    }
