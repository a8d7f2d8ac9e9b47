"""The commands. Each prints for a person; `--json` prints what the API answered.

Exit codes: 0 as asked for (without waiting: accepted), 1 the operation failed or was canceled, 2 refused or no answer, 3 it goes on
although the time to wait for it is over.
"""

import json
from collections.abc import Callable, Mapping
from typing import Annotated, NoReturn, cast

import typer
from rich.console import Console
from rich.table import Table

from keeper.cli import reports
from keeper.cli.client import ENDED, ApiError, Client

app = typer.Typer(help="Ask the keeper what it sees and does, and tell it what to do.", no_args_is_help=True)
op = typer.Typer(help="Operations: scale, pause, resume, snapshot, show, cancel.", no_args_is_help=True)
app.add_typer(op, name="op")
console = Console()
FAILED, REFUSED, NOT_YET = 1, 2, 3
MOST = 500
"""Decisions that the API gives at once."""

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
    """Show what autoscale remembers and decided last, the snapshots' age, the last rehearsals, the newest restore."""
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
    for line in reports.backups(answer):
        console.print(line, soft_wrap=True, highlight=False)
    return None


@app.command()
def explain(  # noqa: PLR0917 -- one parameter per option
    ctx: typer.Context,
    most: Annotated[int, typer.Option(min=1, max=MOST, help="Lines, or records with --json.")] = 20,
    day: Annotated[str, typer.Option(help="A day as YYYY-MM-DD; today unless given.")] = "",
    controller: Annotated[str, typer.Option(help="Only this controller's.")] = "",
    pool: Annotated[str, typer.Option(help="Only what names this pool.")] = "",
    cause: Annotated[str, typer.Option(help="Only what this caused, such as timer.")] = "",
    reason: Annotated[str, typer.Option(help="Only what has this reason, such as demand.")] = "",
    as_json: Json = False,
) -> None:
    """Show the newest decisions of every controller: when, who, why, and in one sentence what.

    A controller that says the same many times over takes one line.
    """
    fields = {"day": day, "controller": controller, "pool": pool, "cause": cause, "reason": reason}
    given = {name: text for name, text in fields.items() if text}
    answer = _answered(ctx, "decisions", most=most if as_json else MOST, **given)
    if as_json:
        return _print_json(answer)
    table = Table("at", "controller", "cause", "reason", "sentence", box=None)
    for line in reports.decisions(cast("list[dict[str, object]]", answer["decisions"]))[-most:]:
        table.add_row(*line)
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
def snapshot(  # noqa: PLR0917 -- one parameter per option
    ctx: typer.Context,
    accept: Annotated[list[str] | None, typer.Option(help="What to accept of it, by its reason code.")] = None,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 600,
    as_json: Json = False,
) -> None:
    """Take a snapshot of each product now, due or not, as before a risky change; wait until it is verified."""
    body: dict[str, object] = {"operation": "snapshot", "reason": reason, "dry_run": dry_run}
    body |= {"accept": accept} if accept else {}
    _operate(ctx, body, wait, as_json)


@app.command()
def restore(  # noqa: PLR0917 -- one parameter per option
    ctx: typer.Context,
    snapshot: Annotated[str, typer.Argument(help="Name of the snapshot, as a dry run of `latest` shows it.")],
    confirm: Annotated[
        str, typer.Option(help="The phrase `restore <cluster> <snapshot>`, as a dry run shows it.")
    ] = "",
    force: Annotated[list[str] | None, typer.Option(help="What to force, by the name in the refusal.")] = None,
    copy: Annotated[
        bool, typer.Option("--copy", help="Read it from the second account: the first is lost or damaged.")
    ] = False,
    reason: Reason = "",
    dry_run: DryRun = False,
    wait: Wait = 7200,
    as_json: Json = False,
) -> None:
    """Replace the cluster's state by that of a snapshot, and show how far it has come."""
    body: dict[str, object] = {"operation": "restore", "snapshot": snapshot, "reason": reason, "dry_run": dry_run}
    body |= {"confirm": confirm} if confirm else {}
    body |= {"force": force} if force else {}
    body |= {"copy": True} if copy else {}
    _operate(ctx, body, wait, as_json, _show_progress)


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


def _show_progress(record: Mapping[str, object]) -> None:
    """One line for each step and each part of a long one, on standard error: the outcome alone is the output."""
    if line := reports.progress(record):
        typer.echo(line, err=True)


def _operate(
    ctx: typer.Context,
    body: Mapping[str, object],
    wait: float,
    as_json: bool,
    shown: Callable[[Mapping[str, object]], None] | None = None,
) -> None:
    client = cast("Client", ctx.obj)
    try:
        record = client.operate(body)
        if wait:
            record = client.wait(str(record["id"]), wait, shown)
    except ApiError as exc:
        _fail(exc)
    if as_json:
        _print_json(record)
    else:
        console.print(f"{record['id']} {record['status']} {record['outcome']}".rstrip())
        if isinstance(record["plan"], dict):
            made = cast("dict[str, object]", record["plan"])
            console.print(str(made["sentence"]))
            if "confirm" in made:
                console.print(f"to do it: --confirm '{made['confirm']}'", soft_wrap=True)
    if record["status"] in ENDED - {"Succeeded"}:
        raise typer.Exit(FAILED)
    if wait and record["status"] not in ENDED:
        typer.echo(f"keeper: {record['id']} goes on; see it with: op show {record['id']}", err=True)
        raise typer.Exit(NOT_YET)


def _answered(ctx: typer.Context, path: str, **query: str | int) -> dict[str, object]:
    try:
        return cast("Client", ctx.obj).get(path, **query)
    except ApiError as exc:
        _fail(exc)


def _fail(exc: ApiError) -> NoReturn:
    typer.echo(f"keeper: {exc}", err=True)
    raise typer.Exit(REFUSED)


def _print_json(answer: object) -> None:
    typer.echo(json.dumps(answer, indent=2))
