"""Run with `python -m keeper.cli`."""

from keeper.cli.commands import app

app(prog_name="keeper")
