"""One simulated cluster: the lab's models, the keeper's adapters in process, and a clock that jumps from one event to the next."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from keeper.azure.metrics import MonitorUtilisation
from keeper.azure.scale_sets import ScaleSetsArm
from keeper.controllers import inbox
from keeper.core.messages import Controller, Kind, Message
from keeper.errors import KeeperError
from keeper.nomad.cluster import NomadHttp
from keeper.ports import World
from keeper.settings import load
from lab.azure.arm import Arm
from lab.azure.inprocess import InProcessTransport, StaticCredential
from lab.azure.model.cloud import Cloud
from lab.azure.model.pace import FixedBoot, Pace
from lab.clock import FakeClock
from lab.membership import Membership
from lab.nomad.http.inprocess import InProcess
from lab.nomad.server import LAB_TOKEN, NomadLab
from lab.nomad.sides import ModelNomad
from lab.pools import make_pools, settings_of
from lab.storage.memory import MemoryCorridor, MemoryLeases, MemoryRecords

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from lab.pools import LabPool

DELIVERIES = 5
PACE = Pace(boot=FixedBoot(timedelta(seconds=60)), retry_after=None)


@dataclass(frozen=True, slots=True)
class SimClock:
    """The keeper's clock over the simulation's."""

    clock: FakeClock

    def now(self) -> datetime:
        """The simulated time."""
        return self.clock()


class Crash(BaseException):
    """The worker dies here: nothing catches it, no lease is given back."""


@dataclass(slots=True)
class Bomb:
    """Kills the worker after so many further side effects; None never does."""

    left: int | None = None

    def tick(self) -> None:
        """Count one side effect."""
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                self.left = None
                raise Crash


class Fragile:
    """A port of which every listed method is a side effect, after which the worker may die."""

    def __init__(self, port: object, effects: frozenset[str], bomb: Bomb) -> None:
        self._port, self._effects, self._bomb = port, effects, bomb

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- whatever the port has
        found = getattr(self._port, name)
        if name not in self._effects:
            return found

        def then_maybe_die(*args: object, **more: object) -> object:
            result = found(*args, **more)
            self._bomb.tick()
            return result

        return then_maybe_die


@dataclass(slots=True)
class Simulation:
    """Make one, then `run` it for a while, submit work, inject faults, and look at the models."""

    pools: Sequence[LabPool]
    settings: Mapping[str, str] = field(default_factory=dict)
    seed: int = 1
    timer: timedelta = timedelta(seconds=30)
    nudges: bool = True
    pace: Pace = PACE
    clock: FakeClock = field(default_factory=FakeClock)
    cloud: Cloud = field(init=False)
    arm: Arm = field(init=False)
    nomad: NomadLab = field(init=False)
    bomb: Bomb = field(default_factory=Bomb)
    records: MemoryRecords = field(default_factory=MemoryRecords)
    corridor: MemoryCorridor = field(init=False)
    world: World = field(init=False)
    crashes: int = 0
    _deliveries: Counter[str] = field(default_factory=Counter)
    _in_process: InProcess = field(init=False)
    _next_timer: datetime = field(init=False)
    _seen_blocked: int = 0

    def __post_init__(self) -> None:
        """Build everything; the pools' minimum instances are up and joined."""
        self.cloud = Cloud(self.clock, seed=self.seed, pace=self.pace)
        self.arm = Arm(self.cloud)
        self.nomad = NomadLab(self.clock, seed=self.seed)
        side = ModelNomad(self.nomad)
        self.cloud.subscribe(Membership(side, {pool.scale_set: pool.shape for pool in self.pools}).observe)
        self.corridor = MemoryCorridor(self.clock)
        self.world = self._world()
        make_pools(self.cloud, self.pools)
        self._next_timer = self.clock() + self.timer
        self.settle()

    def _world(self) -> World:
        settings = load(settings_of(self.pools, self.cloud.subscription, self.settings))
        clock = SimClock(self.clock)
        transport = InProcessTransport(self.arm.handle, self.clock)
        credential = StaticCredential()
        self._in_process = InProcess(self.nomad.router())
        nomad = NomadHttp(settings.nomad, token=lambda: LAB_TOKEN, ca=lambda: "", transport=self._in_process)
        arm = ScaleSetsArm(settings.azure, settings.pools, credential=credential, clock=clock, transport=transport)
        return World(
            nomad=Fragile(nomad, frozenset({"drain", "reclaim", "purge"}), self.bomb),
            scale_sets=Fragile(arm, frozenset({"grow", "delete"}), self.bomb),
            utilisation=MonitorUtilisation(settings.azure, credential=credential, transport=transport),
            records=Fragile(self.records, frozenset({"save", "append"}), self.bomb),
            leases=MemoryLeases(self.clock),
            corridor=Fragile(self.corridor, frozenset({"send"}), self.bomb),
            clock=clock,
            settings=settings,
        )

    def nomad_calls(self) -> int:
        """How many calls Nomad has answered."""
        return self._in_process.calls

    # Time -------------------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Let both models do what is due now, until neither has anything left to do at this instant."""
        self.cloud.advance()
        self.nomad.advance()

    def run(self, length: timedelta) -> None:
        """Let that much time pass: machines boot, work moves, timers and messages tick the keeper."""
        end = self.clock() + length
        while True:
            due = [self._next_timer, self.cloud.next_due(), self.nomad.cluster.next_due(), self.corridor.next_due()]
            moment = min((each for each in due if each is not None), default=end)
            if moment > end:
                break
            self.clock.move_to(moment)
            self.settle()
            self._work()
        self.clock.move_to(end)
        self.settle()

    def _work(self) -> None:
        if self.nudges:
            self._nudge()
        while (text := self.corridor.receive()) is not None:
            self._guarded(lambda t=text: inbox.handle(self.world, t), text)
        if self.clock() >= self._next_timer:
            self._next_timer = self.clock() + self.timer
            message = Message(Kind.TIMER, Controller.AUTOSCALE, "timer", self.clock(), "timer")
            self._guarded(lambda: inbox.tick(self.world, message), None)

    def _nudge(self) -> None:
        """What the watcher does: a message when an evaluation blocks or unblocks."""
        blocked = sum(e["Status"] == "blocked" for e in self.nomad.region.store.rows("evals"))
        if blocked > self._seen_blocked:
            nudge = Message(Kind.NUDGE, Controller.AUTOSCALE, "evaluation-blocked", self.clock(), "watcher/sim")
            self.corridor.send(nudge.to_json())
        self._seen_blocked = blocked

    def _guarded(self, work: Callable[[], None], text: str | None) -> None:
        """Run an invocation. A crash or a failure brings its message back after the visibility timeout, as the queue does."""
        try:
            work()
        except (Crash, KeeperError) as exc:
            self.crashes += isinstance(exc, Crash)
            if text is not None:
                self._redeliver(text)

    def _redeliver(self, text: str) -> None:
        self._deliveries[text] += 1
        if self._deliveries[text] < DELIVERIES:
            self.corridor.send(text, delay=timedelta(seconds=10))
        else:
            inbox.bury(self.records, text, self.clock())

    # Load -------------------------------------------------------------------------------------------------------------

    def submit(self, job: Mapping[str, Any]) -> None:
        """Register a job, given as the API takes it."""
        self.nomad.cluster.register_job(dict(job))
        self.settle()

    def tell(self, message: Message) -> None:
        """Put a message on the queue, as a door does."""
        self.corridor.send(message.to_json())
