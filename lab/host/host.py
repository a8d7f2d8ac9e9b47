"""A Functions host for one app: the real app in the real runtime, with the host's own part played here.

What the host owns in Azure is rebuilt as far as the app can notice it: routes and keys, timers, queue polling, the Event
Grid webhook, retries, timeouts, the worker's restart. Scaling over several machines is not.
"""

from __future__ import annotations

import json
import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.clock import wall_clock
from lab.host.dispatch import Dispatcher
from lab.host.eventgrid import event_call
from lab.host.front import Front, http_call
from lab.host.journal import Invocation, Journal, LogLine
from lab.host.keys import EasyAuth, Keys
from lab.host.model import Function, HostOptions, Result, Trigger, read_function, read_host_json
from lab.host.queues import QueueListener, QueueOutputs, text_call
from lab.host.timers import TimerListener, timer_call
from lab.http import Request, Response, Server, Tls, serve
from lab.lifetime import Lifetime

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from datetime import datetime

SEARCH_PATH = "/usr/local/bin:/usr/bin:/bin"
IDLE_POLL = timedelta(milliseconds=50)


class FunctionsHost(Lifetime):
    """Hosts the app in a folder; a context manager that starts and stops it.

    `settings` are the app settings: they fill `%NAME%` in bindings, name the storage connections and are, beside what
    the platform sets, the whole environment of the worker. `state` remembers timers across hosts; without it each host
    begins anew. HostError from `start` says why an app cannot be hosted.
    """

    def __init__(
        self,
        app: Path,
        settings: Mapping[str, str],
        *,
        port: int = 0,
        keys: Keys | None = None,
        easy_auth: EasyAuth | None = None,
        tls: Tls | None = None,
        state: Path | None = None,
        now: Callable[[], datetime] = wall_clock,
    ) -> None:
        self.app = Path(app).resolve()
        self.settings = dict(settings)
        self.keys = keys or Keys()
        self.journal = Journal(now)
        self.functions: dict[str, Function] = {}
        self._easy_auth = easy_auth or EasyAuth()
        self._tls = tls
        self._port = port
        self._now = now
        self._own_state = state is None
        self._state = state or Path(tempfile.mkdtemp(prefix="functions-host-"))
        self._server: Server | None = None
        self._front: Front | None = None
        self._listeners: list[TimerListener | QueueListener] = []

    def start(self) -> None:
        """Start the worker, then the front, then the timers and queues; returns when all are up."""
        options = read_host_json(self.app)
        self._state.mkdir(parents=True, exist_ok=True)
        self._outputs = QueueOutputs(options.queues, self.settings)
        self._began = time.perf_counter()
        self._server = serve(self._answer, port=self._port, tls=self._tls)
        self._port = self._server.port
        self._dispatcher = Dispatcher(
            self.app,
            self._environment(),
            options,
            self.journal,
            now=self._now,
            publish=self._outputs.publish,
        )
        try:
            found = [read_function(function, self.settings) for function in self._dispatcher.start()]
            self.functions = {function.name: function for function in found}
            self._front = Front(
                self.functions,
                prefix=options.route_prefix,
                keys=self.keys,
                easy_auth=self._easy_auth,
                settings=self.settings,
                run=self._dispatcher.run,
                trigger=self._trigger,
                status=self._status,
            )
            self._listeners = self._make_listeners(options)
        except BaseException:
            self.stop()
            raise
        for listener in self._listeners:
            listener.start()

    def stop(self, grace: timedelta = timedelta(seconds=5)) -> None:
        """Take nothing new, let what runs end within `grace`, end the worker. The port is kept. Safe to call twice."""
        for listener in self._listeners:
            listener.stop()
        if self._server:
            self._front = None  # from here on, requests are answered 503
            self.journal.wait_for(lambda: self.journal.running == 0, grace)
            self._server.stop()
            self._server = None
            self._dispatcher.stop(grace)
            for listener in self._listeners:
                listener.join()
            self._outputs.close()
        self._listeners = []

    def close(self) -> None:
        """Stop, and forget the timers unless their folder was given."""
        self.stop()
        if self._own_state:
            shutil.rmtree(self._state, ignore_errors=True)

    def restart(self, settings: Mapping[str, str] | None = None) -> None:
        """Stop and start again on the same port, with other app settings when given."""
        self.stop()
        self.settings = dict(settings) if settings is not None else self.settings
        self.start()

    def kill_worker(self) -> int:
        """SIGKILL the worker process and return the id that it had; the host starts another by itself."""
        return self._dispatcher.kill_worker()

    @property
    def worker_pid(self) -> int:
        """The process id of the worker, waiting for one that is being started."""
        return self._dispatcher.worker.pid

    @property
    def url(self) -> str:
        """Where the host listens, without a slash at the end."""
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self._port}"

    @property
    def key(self) -> str:
        """The host key, which opens every function."""
        return self.keys.host

    def event_grid_url(self, function: str) -> str:
        """Return the webhook address that an event subscription of this function has."""
        return f"{self.url}/runtime/webhooks/eventgrid?functionName={function}&code={self.keys.event_grid}"

    def invoke(self, name: str, text: str = "") -> Result:
        """Run a function now, as `POST /admin/functions/{name}` does, and wait for its result.

        `text` is the queue message, the event as JSON, or the body of an HTTP request; timers ignore it.
        """
        return self._trigger(self.functions[name], text)

    def wait_idle(self, timeout: timedelta = timedelta(seconds=30)) -> bool:
        """Wait until nothing runs and the queues of all triggers are empty, hidden messages included."""
        deadline = time.perf_counter() + timeout.total_seconds()
        queues = [listener for listener in self._listeners if isinstance(listener, QueueListener)]
        while (left := timedelta(seconds=deadline - time.perf_counter())) > timedelta():
            if not self.journal.wait_for(lambda: self.journal.running == 0, left):
                return False
            if not any(queue.waiting() for queue in queues) and self.journal.running == 0:
                return True
            self.journal.wait_for(lambda: self.journal.running > 0, min(left, IDLE_POLL))
        return False

    def wait_for(self, holds: Callable[[], bool], timeout: timedelta = timedelta(seconds=30)) -> bool:
        """Wait until `holds` is true, looking whenever anything is noted and ten times a second."""
        return self.journal.wait_for(holds, timeout)

    def invocations(self, function: str | None = None) -> list[Invocation]:
        """Return the finished runs, oldest first."""
        return self.journal.invocations(function)

    def logs(self, invocation: str | None = None) -> list[LogLine]:
        """Return what the app and the host logged, oldest first."""
        return self.journal.lines(invocation)

    def _answer(self, request: Request) -> Response:
        front = self._front
        if front is None:
            return Response(503)
        try:
            return front(request)
        except Exception as exc:  # noqa: BLE001 - whatever went wrong in here, the caller gets the 500 that Azure gives
            self.journal.log("ERROR", "host", f"{request.method} {request.path}: {type(exc).__name__}: {exc}")
            return Response(500)

    def _make_listeners(self, options: HostOptions) -> list[TimerListener | QueueListener]:
        listeners: list[TimerListener | QueueListener] = []
        for function in self.functions.values():
            if function.trigger is Trigger.TIMER:
                listeners.append(TimerListener(function, self._dispatcher, self._state, now=self._now))
            elif function.trigger is Trigger.QUEUE:
                queue = QueueListener(function, self._dispatcher, options.queues, self.settings, self.journal)
                self._outputs.listeners.append(queue)
                listeners.append(queue)
        return listeners

    def _trigger(self, function: Function, text: str) -> Result:
        match function.trigger:
            case Trigger.EVENT_GRID:
                call = event_call(function, json.loads(text))
            case Trigger.QUEUE:
                call = text_call(function, text)
            case Trigger.TIMER:
                call = timer_call(function, None, past_due=False)
            case Trigger.HTTP:
                request = Request("POST", f"{self.url}/admin/functions/{function.name}", body=text.encode())
                call = http_call(function, request, {}, {})
        return self._dispatcher.run(function, call)

    def _environment(self) -> dict[str, str]:
        """Return the worker's environment: what the platform sets, then the app settings."""
        platform = {
            "PATH": SEARCH_PATH,
            "LANG": "C.UTF-8",
            "HOME": str(self._state),
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "AZURE_FUNCTIONS_ENVIRONMENT": "Development",
            "WEBSITE_HOSTNAME": f"127.0.0.1:{self._port}",
            "WEBSITE_SITE_NAME": self.app.name,
        }
        return {**platform, **self.settings}

    def _status(self) -> dict[str, Any]:
        """Return the document of `GET /admin/host/status`."""
        return {
            "id": self.app.name,
            "state": "Running",
            "version": "4.0.0.0",
            "versionDetails": "lab",
            "platformVersion": "",
            "instanceId": str(self.worker_pid),
            "computerName": "",
            "processUptime": int((time.perf_counter() - self._began) * 1000),
            "functionAppContentEditingState": "NotAllowed",
            "extensionBundle": {"id": "Microsoft.Azure.Functions.ExtensionBundle", "version": "4.0.0"},
        }
