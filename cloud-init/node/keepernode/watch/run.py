"""The watcher at work: one thread reads, one speaks, and nothing is lost between them."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keepernode.clock import ticking, utc_now
from keepernode.identity import Identity, IdentityEndpoint
from keepernode.journal import tell
from keepernode.problems import NodeError, Unreachable
from keepernode.watch.events import Tracker
from keepernode.watch.nomad import SILENCE_LIMIT, NomadAgent
from keepernode.watch.pace import Backoff, Nudge, Pace
from keepernode.watch.queue import NudgeQueue, message
from keepernode.wire import Line, Trust

if TYPE_CHECKING:
    from collections.abc import Callable

    from keepernode.watch.config import WatchConfig
    from keepernode.watch.events import Sighting

ASK_LIMIT = 5.0
"""Seconds that a single question to Nomad or to the queue may take."""

LEADER_CHECK = 1.0
"""Seconds between two looks at who leads, while a follower holds something back."""

WARM_EVERY = 60.0
"""Seconds between two looks at the token while there is nothing to tell."""


@dataclass(slots=True)
class Watcher:
    """Runs until `stop`; `failure` holds what a thread died of, which is a bug and ends the program."""

    config: WatchConfig
    endpoint: IdentityEndpoint
    failure: BaseException | None = None
    _pace: Pace = field(init=False)
    _reader: NomadAgent = field(init=False)
    _news: threading.Condition = field(default_factory=threading.Condition)
    _over: threading.Event = field(default_factory=threading.Event)
    _leading: bool | None = None

    def __post_init__(self) -> None:
        self._pace = Pace(self.config.interval_seconds)
        self._reader = NomadAgent.of(self.config, timeout=SILENCE_LIMIT)

    def run(self) -> None:
        """Watch until stopped; raise what a thread died of."""
        tell(
            "watcher.started", node=self.config.node_name, nomad=self.config.nomad_address, queue=self.config.queue_url
        )
        threads = [
            threading.Thread(target=self._guarded, args=(work,), name=name, daemon=True)
            for name, work in (("reader", self._read), ("speaker", self._speak))
        ]
        for thread in threads:
            thread.start()
        self._over.wait()
        self._reader.line.interrupt()
        for thread in threads:
            thread.join(ASK_LIMIT)
        tell("watcher.stopped", node=self.config.node_name)
        if self.failure is not None:
            raise self.failure

    def stop(self) -> None:
        """End the run soon; may be called from any thread or a signal handler's thread."""
        self._over.set()
        with self._news:
            self._news.notify_all()

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except BaseException as exc:  # noqa: BLE001 - a thread must not die unseen: the program ends and systemd restarts it
            self.failure = exc
        self.stop()

    # The reader

    def _read(self) -> None:
        tracker, backoff = Tracker(), Backoff(self.config.backoff_limit_seconds)
        while not self._over.is_set():
            why = self._follow_until_it_breaks(tracker, backoff)
            if not self._over.is_set():
                pause = backoff.next_pause()
                tell("watcher.disconnected", why=why, retry_seconds=pause)
                self._over.wait(pause)

    def _follow_until_it_breaks(self, tracker: Tracker, backoff: Backoff) -> str:
        try:
            self._follow(tracker, backoff)
        except NodeError as problem:
            return str(problem)
        return "told to stop"

    def _follow(self, tracker: Tracker, backoff: Backoff) -> None:
        self._saw(tracker.catch_up(self._reader.overview()))
        index = tracker.resume_index()
        for number, line in enumerate(self._reader.lines(index)):
            if number == 0:
                backoff.worked()
                tell("watcher.following", index=index)
            self._saw(tracker.read(line))
            if self._over.is_set():
                return

    def _saw(self, sightings: list[Sighting]) -> None:
        if not sightings:
            return
        with self._news:
            for sighting in sightings:
                self._pace.saw(sighting, utc_now(), ticking())
            self._news.notify_all()

    # The speaker

    def _speak(self) -> None:
        agent = NomadAgent.of(self.config, timeout=ASK_LIMIT)
        identity = Identity(self.endpoint, utc_now)
        queue_line = Line(self.config.queue_url, Trust(self.config.queue_ca_file), ASK_LIMIT)
        queue = NudgeQueue(self.config.queue_url, queue_line, identity)
        backoff = Backoff(self.config.backoff_limit_seconds)
        self._warm(queue)
        while not self._over.is_set():
            nudge = self._next(queue)
            if nudge is not None:
                self._tell_if_leading(nudge, agent, queue, backoff)
        agent.line.close()
        queue_line.close()

    def _next(self, queue: NudgeQueue) -> Nudge | None:
        """Wait until something is due, and return it; None when it is time to look around again."""
        with self._news:
            due = self._pace.due_in(ticking())
            if due == 0.0:
                return self._pace.waiting()
            notified = self._news.wait(WARM_EVERY if due is None else due)
        if not notified and due is None:
            self._warm(queue)
        return None

    def _warm(self, queue: NudgeQueue) -> None:
        try:
            queue.warm()
        except NodeError as problem:
            tell("watcher.token_missing", why=str(problem))

    def _tell_if_leading(self, nudge: Nudge, agent: NomadAgent, queue: NudgeQueue, backoff: Backoff) -> None:
        try:
            if not self._leads(agent):
                self._hold_back()
                return
            queue.put(message(nudge, self.config.node_name))
        except NodeError as problem:
            pause = backoff.next_pause()
            with self._news:
                self._pace.hold(pause, ticking())
            status = problem.status if isinstance(problem, Unreachable) else None
            tell("watcher.nudge_delayed", why=str(problem), status=status, retry_seconds=pause)
            return
        backoff.worked()
        with self._news:
            self._pace.told(nudge, ticking())
        tell("watcher.nudged", cause=nudge.sighting.cause.value, sightings=nudge.sightings, ids=nudge.sighting.ids)

    def _leads(self, agent: NomadAgent) -> bool:
        leads = agent.leads()
        if leads != self._leading:
            self._leading = leads
            tell("watcher.leading" if leads else "watcher.silent", node=self.config.node_name)
        return leads

    def _hold_back(self) -> None:
        with self._news:
            if not self._pace.drop_older_than(self.config.takeover_seconds, ticking()):
                self._pace.hold(LEADER_CHECK, ticking())
