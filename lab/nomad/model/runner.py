"""One allocation on its client: tasks start, end, are restarted, are stopped; the health of the whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model import task_events as events
from lab.nomad.model.reschedule import group_of
from lab.nomad.model.times import MILLISECOND, rfc3339
from lab.nomad.model.words import Client
from lab.nomad.model.workload import Workload, workload_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.agenda import Agenda
    from lab.nomad.model.store import Record

_NO_GROUP: Record = {"Tasks": [], "Migrate": None, "Update": None}
RECEIVE_TIME = 100 * MILLISECOND
START_TIME = 400 * MILLISECOND
_TEXT = {
    Client.PENDING: "No tasks have started",
    Client.RUNNING: "Tasks are running",
    Client.COMPLETE: "All tasks have completed",
    Client.FAILED: "Failed tasks",
}


class Runner:
    """Runs one allocation. Changes are told by `report(alloc_id, changes)`; time comes from the agenda."""

    def __init__(
        self, alloc: Record, agenda: Agenda, now: Callable[[], int], report: Callable[[str, Record], None]
    ) -> None:
        self.alloc_id: str = alloc["ID"]
        self._agenda = agenda
        self._now = now
        self._report = report
        group = group_of(alloc) or _NO_GROUP
        self._group_delay: int = group.get("ShutdownDelay") or 0
        self._batch = alloc["Job"]["Type"] in {"batch", "sysbatch"}
        self._tasks: dict[str, Record] = {task["Name"]: task for task in group["Tasks"]}
        self._workloads: dict[str, Workload] = {name: workload_of(task) for name, task in self._tasks.items()}
        self._states: dict[str, Record] = dict.fromkeys(self._tasks, events.PENDING_STATE)
        self._restarts: dict[str, list[int]] = {}
        self.healthy: bool | None = None
        self.stopping = False
        self._learn(alloc, group)

    def begin(self) -> None:
        """Start the allocation: tasks before the main ones first."""
        if self._watched and self._rules["HealthyDeadline"]:
            self._at(self._rules["HealthyDeadline"], "deadline", self._too_late)
        self._at(RECEIVE_TIME, "received", self._received)
        first = [n for n, t in self._tasks.items() if _is_before(t)] or self._main()
        for name in first:
            self._start_later(name, START_TIME)

    def judge_again(self, alloc: Record) -> None:
        """Judge the health anew: the allocation was updated in place and belongs to another deployment now."""
        self.healthy = None
        self._learn(alloc, group_of(alloc) or _NO_GROUP)
        if self._watched and self._rules["HealthyDeadline"]:
            self._at(self._rules["HealthyDeadline"], "deadline", self._too_late)
        if self._watched and all(self._states[task]["State"] == "running" for task in self._main()):
            self._at(self._rules["MinHealthyTime"], "healthy", self._well)

    def _learn(self, alloc: Record, group: Record) -> None:
        self._rules = group["Update"] if alloc.get("DeploymentID") else group["Migrate"]
        self._watched = alloc["Job"]["Type"] == "service" and bool(self._rules)
        self._canary = bool((alloc.get("DeploymentStatus") or {}).get("Canary"))

    def stop(self, *, in_a_hurry: bool = True) -> None:
        """Send all tasks their stop signal, once; unless in a hurry after their shutdown delay."""
        if self.stopping:
            return
        self.stopping = True
        self._cancel("healthy", "deadline", "received")
        for name, state in self._states.items():
            self._cancel(("start", name), ("end", name))
            if state["State"] == "running":
                self._stop_task(name, in_a_hurry=in_a_hurry)
            elif state["State"] == "pending":
                self._states[name] = events.dead(state, self._now(), failed=False)
        self._tell()

    def _stop_task(self, name: str, *, in_a_hurry: bool) -> None:
        own = self._tasks[name]["ShutdownDelay"]
        if own:
            self._states[name] = events.shutdown_delay(self._states[name], self._now(), own, skipped=in_a_hurry)
        delay = 0 if in_a_hurry else self._group_delay + own
        if delay:
            self._at(delay, ("kill", name), lambda: self._kill(name))
        else:
            self._kill(name)

    def _kill(self, name: str) -> None:
        self._states[name] = events.killing(self._states[name], self._now(), self._tasks[name]["KillTimeout"])
        self._at(self._workloads[name].stops_in, ("killed", name), lambda: self._killed(name))
        self._tell()

    def abandon(self) -> None:
        """Forget everything that was to happen: the client is gone."""
        self._cancel("healthy", "deadline", "received")
        for name in self._tasks:
            self._cancel(("start", name), ("end", name), ("kill", name), ("killed", name))

    def tell_again(self) -> None:
        """Report as after a restart of the client's process; the tasks went on meanwhile."""
        self._tell()

    @property
    def status(self) -> Client:
        """What the client says of the allocation."""
        states = [self._states[name] for name in self._tasks]
        if any(state["State"] == "running" for state in states):
            return Client.RUNNING
        if any(state["State"] == "pending" for state in states):
            return Client.PENDING if not any(s["StartedAt"] for s in states) else Client.RUNNING
        return Client.FAILED if any(state["Failed"] for state in states) else Client.COMPLETE

    def _received(self) -> None:
        self._states = {name: events.received(state, self._now()) for name, state in self._states.items()}
        self._tell()

    def _main(self) -> list[str]:
        return [name for name, task in self._tasks.items() if not _is_before(task) and not _is_after(task)]

    def _start_later(self, name: str, delay: int) -> None:
        delay += self._workloads[name].starts_after
        self._at(delay, ("start", name), lambda: self._start(name))

    def _start(self, name: str) -> None:
        workload = self._workloads[name]
        if workload.start_error:
            self._states[name] = events.driver_failure(self._states[name], self._now(), workload.start_error)
            self._ended_badly(name)
            return
        self._states[name] = events.started(self._states[name], self._now())
        if workload.runs_for is not None:
            self._at(workload.runs_for, ("end", name), lambda: self._end(name))
        everything = self._main()
        if self._watched and all(self._states[task]["State"] == "running" for task in everything):
            self._at(self._rules["MinHealthyTime"], "healthy", self._well)
        self._tell()

    def _end(self, name: str) -> None:
        code = self._workloads[name].exit_code
        self._states[name] = events.terminated(self._states[name], self._now(), code)
        if not code and (self._batch or _is_before(self._tasks[name])):
            self._done(name)
        else:
            self._ended_badly(name)

    def _done(self, name: str) -> None:
        self._states[name] = events.dead(self._states[name], self._now(), failed=False)
        before = [n for n, task in self._tasks.items() if _is_before(task)]
        if name in before and all(self._states[n]["State"] == "dead" for n in before):
            for other in self._main():
                self._start_later(other, 0)
        if self._tasks[name]["Leader"]:
            self._follow_leader()
        self._tell()

    def _follow_leader(self) -> None:
        now = self._now()
        for name, state in list(self._states.items()):
            if state["State"] == "running":
                self._states[name] = events.leader_dead(state, now)
            elif state["State"] == "dead":
                self._states[name] = events.killing(state, now, self._tasks[name]["KillTimeout"])
        self.stop()

    def _ended_badly(self, name: str) -> None:
        policy, now = self._tasks[name]["RestartPolicy"], self._now()
        self._cancel("healthy")
        recent = [at for at in self._restarts.get(name, ()) if now - at < policy["Interval"]]
        if len(recent) < policy["Attempts"] or policy["Mode"] == "delay":
            self._restarts[name] = [*recent, now]
            delay = policy["Delay"]
            if len(recent) >= policy["Attempts"] and recent:
                delay = recent[0] + policy["Interval"] - now
            self._states[name] = events.restarting(self._states[name], now, delay)
            self._at(delay, ("start", name), lambda: self._start(name))
        else:
            self._states[name] = events.not_restarting(self._states[name], now, policy["Attempts"], policy["Interval"])
            self._fail_others(name)
        self._tell()

    def _fail_others(self, name: str) -> None:
        if self._watched and self.healthy is None:
            self.healthy = False
        for other, state in list(self._states.items()):
            if other != name and state["State"] == "pending":
                self._cancel(("start", other))
                self._states[other] = events.dead(state, self._now(), failed=False)
        self.stop()

    def _killed(self, name: str) -> None:
        self._states[name] = events.killed(self._states[name], self._now())
        self._tell()

    def _well(self) -> None:
        self._cancel("deadline")
        if self.healthy is None:
            self.healthy = True
            self._tell()

    def _too_late(self) -> None:
        self._cancel("healthy")
        if self.healthy is None:
            self.healthy = False
            self._tell()

    def _tell(self) -> None:
        status = self.status
        changes: Record = {
            "ClientStatus": status,
            "ClientDescription": _TEXT[status],
            "TaskStates": dict(self._states),
        }
        if status != Client.PENDING:
            changes["NetworkStatus"] = {"Address": "", "DNS": None, "InterfaceName": ""}
        if self.healthy is not None:
            changes["DeploymentStatus"] = {
                "Canary": self._canary,
                "Healthy": self.healthy,
                "ModifyIndex": 0,
                "Timestamp": rfc3339(self._now()),
            }
        self._report(self.alloc_id, changes)

    def _at(self, delay: int, name: object, call: Callable[[], None]) -> None:
        self._agenda.at(self._now() + delay, ("alloc", self.alloc_id, name), call)

    def _cancel(self, *names: object) -> None:
        for name in names:
            self._agenda.cancel(("alloc", self.alloc_id, name))


def _is_before(task: Record) -> bool:
    lifecycle = task["Lifecycle"]
    return lifecycle is not None and lifecycle["Hook"] == "prestart" and not lifecycle["Sidecar"]


def _is_after(task: Record) -> bool:
    lifecycle = task["Lifecycle"]
    return lifecycle is not None and lifecycle["Hook"] == "poststop"
