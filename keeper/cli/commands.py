"""The commands. Each prints for a person; `--json` prints what the API answered."""

import json
from collections.abc import Mapping
from typing import Annotated, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from keeper.cli.client import ENDED, ApiError, Client

app = typer.Typer(help="Ask the keeper what it sees and does, and tell it what to do.", no_args_is_help=True)
op = typer.Typer(help="Operations: scale, pause, resume, show, cancel.", no_args_is_help=True)
app.add_typer(op, name="op")
console = Console()

Json = Annotated[bool, typer.Option("--json", help="Print the answer as JSON.")]
Reason = Annotated[str, typer.Option(help="Why; kept in the operation's record.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would be done.")]
Wait = Annotated[float, typer.Option(help="Seconds to wait for the end.")]


@app.callback()
def connect(
    ctx: typer.Context,
    url: Annotated[str, typer.Option(envvar="KEEPER_URL", help="Base address of the function app.")],
    key: Annotated[str, typer.Option(envvar="KEEPER_KEY", help="Function key.")],
) -> None:
    """Take the address and the key."""
    ctx.obj = Client(url, key)


@app.command()
def status(ctx: typer.Context, as_json: Json = False) -> None:
    """Show what autoscale remembers and what it decided last."""
    answer = _answered(ctx, "status")
    if as_json:
        return _print_json(answer)
    paused = answer["paused"]
    console.print(f"observed {answer['observed']}" + (f", [bold]paused[/]: {paused}" if paused else ""))
    for title in ("pressures", "setAside", "growing", "requests"):
        for item in cast("list[dict[str, object]]", answer[title]):
            console.print(f"  {title}: " + ", ".join(f"{name} {value}" for name, value in item.items()))
    last = answer["last"]
    if isinstance(last, dict):
        console.print(str(cast("dict[str, object]", last)["sentence"]))
    return None


@app.command()
def explain(ctx: typer.Context, most: int = 20, day: str = "", as_json: Json = False) -> None:
    """Show the newest decisions: when, why, and in one sentence what."""
    query = {"most": most} | ({"day": day} if day else {})
    answer = _answered(ctx, "decisions", **query)
    if as_json:
        return _print_json(answer)
    table = Table("at", "cause", "reason", "decision", box=None)
    for record in cast("list[dict[str, object]]", answer["decisions"]):
        table.add_row(*(str(record.get(name, "")) for name in ("at", "cause", "reason", "sentence")))
    console.print(table)
    return None


@app.command()
def plan(ctx: typer.Context, wait: Wait = 30, as_json: Json = False) -> None:
    """Look at the world now and show what autoscale would do, changing nothing."""
    _operate(ctx, {"operation": "resume", "dry_run": True, "reason": "plan"}, wait, as_json)


@op.command()
def scale(  # noqa: PLR0917 -- one parameter per option
    ctx: typer.Context,
    pool: str,
    count: int,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 0,
    as_json: Json = False,
) -> None:
    """Bring a pool to that many instances, once."""
    body = {"operation": "scale", "pool": pool, "count": count, "reason": reason, "dry_run": dry_run}
    _operate(ctx, body, wait, as_json)


@op.command()
def pause(ctx: typer.Context, reason: Reason = "", wait: Wait = 10, as_json: Json = False) -> None:
    """Let autoscale change nothing until resumed."""
    _operate(ctx, {"operation": "pause", "reason": reason}, wait, as_json)


@op.command()
def resume(ctx: typer.Context, reason: Reason = "", wait: Wait = 10, as_json: Json = False) -> None:
    """Let autoscale go on."""
    _operate(ctx, {"operation": "resume", "reason": reason}, wait, as_json)


@op.command()
def show(ctx: typer.Context, operation: str) -> None:
    """Show one operation."""
    _print_json(_answered(ctx, f"operations/{operation}"))


@op.command()
def cancel(ctx: typer.Context, operation: str) -> None:
    """Ask for an operation's end."""
    try:
        _print_json(cast("Client", ctx.obj).cancel(operation))
    except ApiError as exc:
        _fail(exc)


def _operate(ctx: typer.Context, body: Mapping[str, object], wait: float, as_json: bool) -> None:
    client = cast("Client", ctx.obj)
    try:
        record = client.operate(body)
        if wait:
            record = client.wait(str(record["id"]), wait)
    except ApiError as exc:
        _fail(exc)
    if as_json:
        _print_json(record)
    else:
        console.print(f"{record['id']} {record['status']} {record['outcome']}".rstrip())
        if isinstance(record["plan"], dict):
            console.print(str(cast("dict[str, object]", record["plan"])["sentence"]))
    if record["status"] in ENDED - {"Succeeded"}:
        raise typer.Exit(1)


def _answered(ctx: typer.Context, path: str, **query: str | int) -> dict[str, object]:
    try:
        return cast("Client", ctx.obj).get(path, **query)
    except ApiError as exc:
        _fail(exc)


def _fail(exc: ApiError) -> NoReturn:
    typer.echo(f"keeper: {exc}", err=True)
    raise typer.Exit(2)


def _print_json(answer: object) -> None:
    typer.echo(json.dumps(answer, indent=2))
