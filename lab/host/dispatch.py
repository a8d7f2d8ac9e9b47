"""Runs functions in the worker: keeps one worker alive, applies timeout and retries, writes outputs, notes it all."""

from __future__ import annotations

import random
import threading
import time
import uuid
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from lab.host.journal import Invocation
from lab.host.model import Function, HostError, HostOptions, Outcome, Result, Trigger
from lab.host.process import WorkerLost, WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from concurrent.futures import Future
    from datetime import datetime
    from pathlib import Path

    from lab.host.journal import Journal

RESTART_PAUSES = (0.0, 0.0, 1.0, 5.0, 15.0)
"""Seconds before a lost worker is started again, by how many were lost without one finished invocation between them."""
READY_SECONDS = 150
RETRIED = {Trigger.TIMER}
"""Retry policies serve timers; queues and Event Grid retry by themselves, HTTP never does.

https://learn.microsoft.com/azure/azure-functions/functions-bindings-error-pages
"""


@dataclass(frozen=True, slots=True)
class Call:
    """What an invocation is given: input values and trigger metadata as `{kind: content}`, and a trace parent."""

    inputs: Mapping[str, Any]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    traceparent: str = ""


class Dispatcher:
    """One app's worker and everything that is run in it."""

    def __init__(
        self,
        app: Path,
        environment: Mapping[str, str],
        options: HostOptions,
        journal: Journal,
        *,
        now: Callable[[], datetime],
        publish: Callable[[Function, Result], None],
    ) -> None:
        self._app = app
        self._environment = environment
        self._options = options
        self._journal = journal
        self._now = now
        self._publish = publish
        self._worker: WorkerProcess | None = None
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._lifecycle = threading.Lock()
        self._losses = 0

    def start(self) -> list[dict[str, Any]]:
        """Start the worker and return the functions that it indexed; HostError when the app cannot be loaded."""
        began = time.perf_counter()
        worker = WorkerProcess(self._app, self._environment, on_log=self._log, on_exit=self._lost)
        self._worker = worker
        self._ready.set()
        self._journal.log("INFO", "host", f"worker {worker.pid} ready in {time.perf_counter() - began:.3f} s")
        return worker.functions

    def stop(self, grace: timedelta) -> None:
        """Let running invocations end within `grace`, then end the worker."""
        self._stopping.set()
        self._ready.set()  # so that whoever waits for a worker hears that none will come
        with self._lifecycle:
            if self._worker:
                self._worker.stop(grace.total_seconds())

    def kill_worker(self) -> int:
        """SIGKILL the worker and return the process id it had; what comes next waits for its successor."""
        worker = self.worker
        self._kill(worker)
        return worker.pid

    def _kill(self, worker: WorkerProcess) -> None:
        with self._lifecycle:
            if worker is self._worker:
                self._ready.clear()
        worker.kill()

    @property
    def worker(self) -> WorkerProcess:
        """The worker that runs now, waiting for one that is being started."""
        ready = self._ready.wait(READY_SECONDS)
        if not ready or not self._worker or self._stopping.is_set():
            raise WorkerLost("the host is stopping" if self._stopping.is_set() else "no worker is ready")
        return self._worker

    def run(self, function: Function, call: Call) -> Result:
        """Run a function to its end, retries included, and write its outputs; never raises for what the app did."""
        self._journal.began()
        try:
            return self._run_with_retries(function, call)
        finally:
            self._journal.ended()

    def _run_with_retries(self, function: Function, call: Call) -> Result:
        policy = function.retry if function.trigger in RETRIED else None
        retries = 0
        result = self._run_once(function, call, 0, None)
        while policy and not result.ok and retries != policy.limit:
            retries += 1
            if self._stopping.wait(policy.pause(retries).total_seconds() * random.uniform(0.8, 1.2)):
                break
            result = self._run_once(function, call, retries, result)
        return result

    def _run_once(self, function: Function, call: Call, attempt: int, failed: Result | None) -> Result:
        invocation = str(uuid.uuid4())
        exception = {"source": "", "message": failed.error, "stack_trace": failed.stack} if failed else None
        retry = {"count": attempt, "limit": function.retry.limit if function.retry else 0, "exception": exception}
        started, began = self._now(), time.perf_counter()
        result = self._submit(
            {
                "invocation": invocation,
                "function": function.id,
                "inputs": call.inputs,
                "metadata": call.metadata,
                "traceparent": call.traceparent,
                "retry": retry,
            }
        )
        if result.ok:
            result = self._with_outputs(function, result)
        duration = timedelta(seconds=time.perf_counter() - began)
        record = Invocation(
            invocation, function.name, function.trigger, started, duration, result.outcome, attempt, result.error
        )
        self._journal.add(record)
        if not result.ok:
            self._journal.log("ERROR", "host", f"{function.name} {result.outcome.value}: {result.error}", invocation)
        return result

    def _submit(self, frame: Mapping[str, Any]) -> Result:
        limit = self._options.function_timeout
        try:
            worker = self.worker
            return self._await(worker, worker.submit(frame), limit)
        except WorkerLost as exc:
            return Result(Outcome.LOST, error=str(exc))

    def _await(self, worker: WorkerProcess, reply: Future[dict[str, Any]], limit: timedelta | None) -> Result:
        try:
            result = _result(reply.result(limit.total_seconds() if limit else None))
        except TimeoutError:
            # The real host cannot stop one function in another process either: it ends the worker with all it runs.
            self._kill(worker)
            return Result(Outcome.TIMED_OUT, error=f"ran longer than the functionTimeout of {limit}")
        self._losses = 0
        return result

    def _with_outputs(self, function: Function, result: Result) -> Result:
        """Write the outputs; what cannot be written fails the invocation, as in Azure."""
        try:
            self._publish(function, result)
        except Exception as exc:  # noqa: BLE001 - any error of storage is this invocation's failure
            return Result(Outcome.FAILED, error=f"output: {type(exc).__name__}: {exc}")
        return result

    def _lost(self) -> None:
        self._ready.clear()
        self._journal.log("ERROR", "host", "the worker process went away, starting another")
        # Not in this thread: it belongs to the worker that ended, and stopping waits for such threads.
        threading.Thread(target=self._restart, daemon=True).start()

    def _restart(self) -> None:
        """Start another worker after one that went away; later each time, until one loads."""
        while not self._stopping.wait(RESTART_PAUSES[min(self._losses, len(RESTART_PAUSES) - 1)]):
            self._losses += 1
            with self._lifecycle:
                if self._stopping.is_set():
                    return
                try:
                    self.start()
                except HostError as exc:
                    self._journal.log("ERROR", "host", str(exc))
                else:
                    return

    def _log(self, line: Mapping[str, Any]) -> None:
        self._journal.log(line["level"], line["logger"], line["message"], line["invocation"])


def _result(reply: Mapping[str, Any]) -> Result:
    if error := reply["error"]:
        return Result(Outcome.FAILED, error=error["message"], stack=error["stack"])
    return Result(Outcome.SUCCEEDED, reply["returned"], reply["outputs"])
