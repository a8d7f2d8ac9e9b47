"""The host's end of one worker process: start it, send it invocations, hear its logs, notice its end."""

from __future__ import annotations

import contextlib
import json
import socket
import struct
import subprocess
import sys
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab.host.model import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LENGTH = struct.Struct(">I")
PROGRAM = Path(__file__).with_name("worker.py")
LOAD_SECONDS = 120
"""Azure gives an app two minutes to import: https://learn.microsoft.com/azure/azure-functions/python-build-options."""

type LogSink = Callable[[Mapping[str, Any]], None]


class WorkerLost(Exception):
    """The worker process ended while an invocation ran in it."""


class WorkerProcess:
    """One running worker with one loaded app. `functions` is what it indexed.

    The constructor returns when the app is loaded; HostError carries the app's own error when it cannot be imported.
    The environment is exactly the one given. `on_exit` is called once, when the process ends without `stop`.
    """

    def __init__(
        self, app: Path, environment: Mapping[str, str], *, on_log: LogSink, on_exit: Callable[[], None]
    ) -> None:
        self.functions: list[dict[str, Any]] = []
        self._on_log = on_log
        self._on_exit = on_exit
        self._pending: dict[str, Future[dict[str, Any]]] = {}
        self._guard = threading.Lock()
        self._stopping = False
        self._loaded: Future[list[dict[str, Any]]] = Future()
        self._socket, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(
                # -P: the folder of the program is not on the app's import path
                [sys.executable, "-P", str(PROGRAM), str(theirs.fileno()), str(app)],
                env=dict(environment),
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._read_frames, self._read_output)]
        for thread in self._threads:
            thread.start()
        try:
            self.functions = self._loaded.result(LOAD_SECONDS)
        except BaseException:
            self.stop()
            raise

    @property
    def pid(self) -> int:
        """The process id of the worker."""
        return self._process.pid

    def submit(self, frame: Mapping[str, Any]) -> Future[dict[str, Any]]:
        """Send one invocation; the future yields the worker's reply, or raises WorkerLost."""
        future: Future[dict[str, Any]] = Future()
        with self._guard:
            if self._process.poll() is not None:
                future.set_exception(WorkerLost("the worker process has ended"))
                return future
            self._pending[frame["invocation"]] = future
        self._send({"kind": "invoke", **frame})
        return future

    def stop(self, grace: float = 0) -> None:
        """End the process: let it finish what it runs for `grace` seconds, then kill it. Safe to call twice."""
        self._stopping = True
        self._send({"kind": "stop"})
        try:
            self._process.wait(grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
        self._process.wait()
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join()

    def kill(self) -> None:
        """SIGKILL, as the out-of-memory killer would do it; `on_exit` follows."""
        self._process.kill()

    def _send(self, frame: Mapping[str, Any]) -> None:
        body = json.dumps(frame).encode()
        with self._guard, contextlib.suppress(OSError):  # a worker that ended fails its invocations when it is reaped
            self._socket.sendall(LENGTH.pack(len(body)) + body)

    def _read_frames(self) -> None:
        with self._socket, self._socket.makefile("rb") as reader:
            with contextlib.suppress(OSError):  # a killed worker may reset the socket
                while len(head := reader.read(LENGTH.size)) == LENGTH.size:
                    self._take(json.loads(reader.read(*LENGTH.unpack(head))))
            self._reap()

    def _take(self, frame: dict[str, Any]) -> None:
        match frame["kind"]:
            case "log":
                self._on_log(frame)
            case "ready":
                self._loaded.set_result(frame["functions"])
            case "failed":
                self._loaded.set_exception(HostError(f"the app cannot be loaded: {frame['error']['stack']}"))
            case "done":
                with self._guard:
                    future = self._pending.pop(frame["invocation"])
                future.set_result(frame)

    def _reap(self) -> None:
        code = self._process.wait()
        with self._guard:
            lost = list(self._pending.values())
            self._pending.clear()
        for future in lost:
            future.set_exception(WorkerLost(f"the worker process ended with {code}"))
        if not self._loaded.done():
            self._loaded.set_exception(HostError(f"the worker process ended with {code} before the app was loaded"))
        elif not self._stopping:
            self._on_exit()

    def _read_output(self) -> None:
        with self._process.stdout or contextlib.nullcontext([]) as lines:
            for line in lines:
                self._on_log({"level": "INFO", "logger": "stdout", "message": line.rstrip("\n"), "invocation": None})
