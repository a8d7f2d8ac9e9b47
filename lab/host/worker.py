"""The program inside the worker process: Microsoft's Functions runtime around one app, driven over a socket.

Started by `lab.host.process` as a script, with nothing of the lab importable, so that the app sees what it would see in
Azure: its own folder, the pinned packages and its settings. The runtime is written for protobuf messages; it reads
attributes and asks `WhichOneof`, so plain objects serve (`Message`). Each frame on the socket is a length and a JSON
document; bytes travel as base64.

One app per process: the runtime keeps its index in module globals, and a second indexing of the same app fails.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import logging
import os
import socket
import struct
import sys
import threading
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

LENGTH = struct.Struct(">I")
ONEOF_HEADERS = ("name",)  # ParameterBinding: the field before the one that `WhichOneof` asks for


class Message:
    """A protobuf message by its behaviour: fields by keyword, an absent field is None."""

    def __init__(self, **fields: Any) -> None:  # noqa: ANN401 - a message holds what the runtime puts into it
        self.__dict__.update(fields)
        self._set = [name for name, value in fields.items() if value is not None and name not in ONEOF_HEADERS]

    def WhichOneof(self, _group: str) -> str | None:  # noqa: N802 - protobuf's name
        """Return the name of the field that was set."""
        return self._set[0] if self._set else None

    def __getattr__(self, name: str) -> None:
        if name.startswith("__") or name == "TypedData":  # the runtime probes for an object wrapped in another
            raise AttributeError(name)


def message_types() -> SimpleNamespace:
    """Return the namespace of message classes and enum values that the runtime builds its replies from."""
    names = (
        "WorkerInitResponse WorkerMetadata StatusResult RpcException FunctionMetadataResponse RpcFunctionMetadata "
        "BindingInfo RpcRetryOptions FunctionLoadResponse InvocationResponse ParameterBinding TypedData RpcHttp "
        "RpcHttpCookie NullableString NullableBool NullableDouble NullableTimestamp FunctionEnvironmentReloadResponse "
        "Timestamp"
    )
    types = SimpleNamespace(**{name: type(name, (Message,), {}) for name in names.split()})
    types.StatusResult.Failure, types.StatusResult.Success = 0, 1
    for value, name in enumerate(("in", "out", "inout")):
        setattr(types.BindingInfo, name, value)
    types.BindingInfo.undefined = 0
    same_site = {"None": 0, "Lax": 1, "Strict": 2, "ExplicitNone": 3}
    types.RpcHttpCookie.SameSite = SimpleNamespace(**same_site)
    return types


PROTOS = message_types()


class Link:
    """The socket to the host: whole frames in and out, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._socket = socket.socket(fileno=descriptor)
        self._reader = self._socket.makefile("rb")
        self._guard = threading.Lock()

    def send(self, frame: dict[str, Any]) -> None:
        """Send one frame; a host that is gone is no error, for the reader ends this process then."""
        body = json.dumps(frame, default=str).encode()
        with self._guard, contextlib.suppress(OSError):
            self._socket.sendall(LENGTH.pack(len(body)) + body)

    def receive(self) -> dict[str, Any] | None:
        """Return the next frame, or None when the host closed its end."""
        head = self._reader.read(LENGTH.size)
        return json.loads(self._reader.read(*LENGTH.unpack(head))) if len(head) == LENGTH.size else None


class LogLines(logging.Handler):
    """Sends each record to the host as it is written, with the invocation that wrote it.

    Like the worker in Azure it forwards the message alone: fields given as `extra` are lost
    (https://github.com/Azure/azure-functions-python-worker/issues/1327).
    """

    def __init__(self, link: Link, invocation: Any) -> None:  # noqa: ANN401 - a context variable of the runtime
        super().__init__()
        self._link = link
        self._invocation = invocation

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            line = {"level": record.levelname, "logger": record.name, "message": self.format(record)}
            self._link.send({"kind": "log", "invocation": self._invocation.get(), **line})
        except Exception:  # noqa: BLE001 - logging's own contract: a handler never breaks the code that logs
            self.handleError(record)


def typed(value: dict[str, Any] | None) -> Any:  # noqa: ANN401 - any message type
    """Turn a value of a frame into the runtime's message."""
    if value is None:
        return None
    ((kind, content),) = value.items()
    if kind == "bytes":
        content = base64.b64decode(content)
    elif kind == "http":
        content = PROTOS.RpcHttp(**{**content, "body": typed(content["body"])})
    return PROTOS.TypedData(**{kind: content})


def untyped(data: Any) -> dict[str, Any] | None:  # noqa: ANN401 - any message type
    """Turn a message of the runtime into a value of a frame."""
    if data is None or (kind := data.WhichOneof("data")) is None:
        return None
    content = getattr(data, kind)
    if kind == "bytes":
        return {kind: base64.b64encode(content).decode()}
    if kind == "http":
        cookies = [plain(cookie) for cookie in content.cookies or ()]
        head = {"status": content.status_code, "headers": content.headers, "cookies": cookies}
        return {kind: {**head, "body": untyped(content.body)}}
    return {kind: content}


def plain(value: Any) -> Any:  # noqa: ANN401 - any message type
    """Unfold a message that only holds scalars and nullable wrappers."""
    if isinstance(value, timedelta):
        return value.total_seconds()
    if not isinstance(value, Message):
        return value
    fields = {name: plain(item) for name, item in vars(value).items() if name != "_set"}
    return fields["value"] if set(fields) == {"value"} else fields


def failure(result: Any) -> dict[str, Any] | None:  # noqa: ANN401 - a StatusResult
    """Return the error that a reply carries, or None when it succeeded."""
    if result.status == PROTOS.StatusResult.Success:
        return None
    return {"message": result.exception.message, "stack": result.exception.stack_trace}


class Worker:
    """One app on the runtime."""

    def __init__(self, link: Link, app: str) -> None:
        # The app's folder comes first, as in Azure, and only then the runtime's imports, which look for it there.
        os.chdir(app)
        sys.path.insert(0, app)
        import azure_functions_runtime as runtime  # noqa: PLC0415 - see above

        self._runtime = runtime
        self._link = link
        self._app = app
        root = logging.getLogger()
        root.addHandler(LogLines(link, runtime.invocation_id_cv))
        root.setLevel(logging.INFO)
        # Without it the runtime falls back on asyncio's own pool and PYTHON_THREADPOOL_THREAD_COUNT is ignored.
        runtime.start_threadpool_executor()

    async def load(self) -> None:
        """Import and index the app, and tell the host which functions it found."""
        request = SimpleNamespace(
            request=SimpleNamespace(
                worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=self._app)
            ),
            properties={"host": "127.0.0.1", "protos": PROTOS},
        )
        started = await self._runtime.worker_init_request(request)
        if error := failure(started.result):
            self._link.send({"kind": "failed", "error": error})
            return
        reply = await self._runtime.functions_metadata_request(request)
        functions = [
            {
                "name": found.name,
                "id": found.function_id,
                "bindings": [json.loads(binding) for binding in found.raw_bindings],
                "retry": plain(found.retry_options),
            }
            for found in reply.function_metadata_results or ()
        ]
        self._link.send({"kind": "ready", "functions": functions})

    async def invoke(self, frame: dict[str, Any]) -> None:
        """Run one invocation and send its outcome."""
        # The runtime sets the variable for synchronous functions only; each task has its own copy.
        self._runtime.invocation_id_cv.set(frame["invocation"])
        retry = frame["retry"]
        request = SimpleNamespace(
            invocation_id=frame["invocation"],
            function_id=frame["function"],
            trace_context=SimpleNamespace(trace_parent=frame["traceparent"], trace_state="", attributes={}),
            retry_context=SimpleNamespace(
                retry_count=retry["count"], max_retry_count=retry["limit"], exception=retry["exception"]
            ),
            input_data=[
                PROTOS.ParameterBinding(name=name, data=typed(value)) for name, value in frame["inputs"].items()
            ],
            trigger_metadata={name: typed(value) for name, value in frame["metadata"].items()},
        )
        reply = await self._runtime.invocation_request(
            SimpleNamespace(properties={}, request=SimpleNamespace(invocation_request=request))
        )
        outputs = {binding.name: untyped(binding.data) for binding in reply.output_data or ()}
        returned = {"returned": untyped(reply.return_value), "outputs": outputs}
        self._link.send({"kind": "done", "invocation": frame["invocation"], "error": failure(reply.result), **returned})


async def serve(link: Link, app: str) -> None:
    """Load the app and run what the host sends until it says stop."""
    worker = Worker(link, app)
    await worker.load()
    loop = asyncio.get_running_loop()
    stopped = asyncio.Event()
    running: set[asyncio.Task[None]] = set()

    def take(frame: dict[str, Any]) -> None:
        if frame["kind"] == "stop":
            stopped.set()
            return
        task = loop.create_task(worker.invoke(frame))
        running.add(task)
        task.add_done_callback(running.discard)

    def read() -> None:
        while frame := link.receive():
            loop.call_soon_threadsafe(take, frame)
        os._exit(0)  # the host is gone: nobody is left to hear how anything ends

    threading.Thread(target=read, daemon=True).start()
    await stopped.wait()
    if running:
        await asyncio.wait(running)


if __name__ == "__main__":
    control = Link(int(sys.argv[1]))
    asyncio.run(serve(control, sys.argv[2]))
    os._exit(0)  # daemon threads of the app may still run, as they do when Azure ends a worker
