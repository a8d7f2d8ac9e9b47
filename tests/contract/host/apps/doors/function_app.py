"""An app with one function per trigger kind that the host drives; what it saw, it logs as JSON."""

import json
import logging
import os
import time
from pathlib import Path
from typing import List  # noqa: UP035 - see `put`

import azure.functions as func

app = func.FunctionApp()
log = logging.getLogger("doors")


def note(event: str, **fields: object) -> None:
    log.info(json.dumps({"event": event, **fields}))


@app.route(route="echo/{word}", methods=["GET", "POST"], auth_level=func.AuthLevel.FUNCTION)
def echo(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    seen = {
        "method": req.method,
        "url": req.url,
        "word": req.route_params["word"],
        "query": dict(req.params),
        "headers": dict(req.headers),
        "body": req.get_body().decode(),
        "traceparent": context.trace_context.Traceparent,
        "invocation": context.invocation_id,
        "function": context.function_name,
    }
    note("echoed", word=seen["word"])
    return func.HttpResponse(json.dumps(seen), mimetype="application/json", headers={"x-door": "echo"})


@app.route(route="item/{id:int}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def item(req: func.HttpRequest) -> str:
    return f"item {req.route_params['id']}"


@app.route(route="item/{name:alpha?}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def named_item(req: func.HttpRequest) -> str:
    return f"named {req.route_params.get('name', 'nobody')}"


@app.route(route="files/{*path}", methods=["GET"], auth_level=func.AuthLevel.ADMIN)
def files(req: func.HttpRequest) -> str:
    return req.route_params["path"]


@app.route(route="broken", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def broken(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("this door is broken")


@app.route(route="slow", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
def slow(req: func.HttpRequest) -> str:
    note("slow.began")
    time.sleep(float(req.params.get("seconds", "1")))
    return "slow"


@app.route(route="settings/{name}", methods=["GET"], auth_level=func.AuthLevel.ANONYMOUS)
async def settings(req: func.HttpRequest) -> str:
    log.info("asked for a setting")
    return json.dumps(os.environ.get(req.route_params["name"]))


@app.route(route="put", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="out", queue_name="%WORK_QUEUE%", connection="AzureWebJobsStorage")
def put(req: func.HttpRequest, out: func.Out[List[str]]) -> func.HttpResponse:  # noqa: UP006 - the runtime refuses Out[list[str]]
    out.set(req.get_json())
    return func.HttpResponse(status_code=202)


@app.route(route="keep", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
@app.queue_output(arg_name="out", queue_name="%WORK_QUEUE%-kept", connection="AzureWebJobsStorage")
def keep(req: func.HttpRequest, out: func.Out[str]) -> str:
    out.set(req.get_body().decode())
    return "kept"


@app.queue_trigger(arg_name="message", queue_name="%WORK_QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    text = message.get_body().decode()
    note("worked", text=text, attempt=message.dequeue_count, id=message.id, inserted=str(message.insertion_time))
    if text.startswith("fail"):
        raise ValueError(text)
    if text.startswith("wait"):
        time.sleep(1)


@app.timer_trigger(arg_name="timer", schedule="%TICK_SCHEDULE%")
def tick(timer: func.TimerRequest) -> None:
    note("ticked", past_due=timer.past_due, status=timer.schedule_status)
    time.sleep(float(os.environ.get("TICK_SECONDS", "0")))


@app.timer_trigger(arg_name="timer", schedule="0 0 3 1 1 *", run_on_startup=True)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:00")
def yearly(timer: func.TimerRequest, context: func.Context) -> None:
    count = context.retry_context.retry_count
    note("yearly", attempt=count, of=context.retry_context.max_retry_count)
    if count < int(os.environ.get("YEARLY_FAILURES", "0")):
        raise RuntimeError(f"attempt {count}")


@app.event_grid_trigger(arg_name="event")
def grid(event: func.EventGridEvent) -> None:
    note("delivered", id=event.id, type=event.event_type, subject=event.subject, data=event.get_json())
    if event.subject == "fail":
        raise ValueError(event.id)


@app.event_grid_trigger(arg_name="event")
def cloud(event: func.CloudEvent) -> None:
    note("delivered", id=event.id, type=event.type, subject=event.subject)


@app.route(route="die", methods=["POST"], auth_level=func.AuthLevel.ANONYMOUS)
def die(req: func.HttpRequest) -> str:
    print("last words", flush=True)  # noqa: T201 - what is printed ends in the host's log
    Path(req.get_body().decode()).touch()
    os.abort()
