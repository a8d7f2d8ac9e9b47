"""Run a command as root, quietly, or say what it said."""

from __future__ import annotations

import subprocess
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class CommandFailed(Exception):
    """A command that had to work did not; the text names it and holds its last words."""


def sh(*argv: str, given: str | None = None, timeout: float = 120.0) -> str:
    """Run and return what it printed; CommandFailed when its exit code is not 0."""
    done = subprocess.run(argv, input=given, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        said = (done.stderr or done.stdout).strip().splitlines()[-3:]
        raise CommandFailed(f"`{' '.join(argv)}` ended with {done.returncode}: {' / '.join(said)}")
    return done.stdout


def succeeds(*argv: str) -> bool:
    """Tell whether the command ends with 0."""
    return subprocess.run(argv, capture_output=True, check=False).returncode == 0


def pause(seconds: float) -> None:
    """Let real time pass."""
    threading.Event().wait(seconds)


def wait_until(told: Callable[[], bool], seconds: float, every: float = 0.5) -> bool:
    """Ask again and again; True as soon as it holds, False when the time is over."""
    for _ in range(max(1, round(seconds / every))):
        if told():
            return True
        pause(every)
    return told()
