"""The machine as the program sees it: every effect goes through this port, so that decisions can be tested without root."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from keepernode.problems import NodeError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from keepernode.wire import Answer, Trust

ROOT = "root"


@dataclass(frozen=True, slots=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str

    def last_words(self) -> str:
        """Return the last line the command said, for a sentence about its failure."""
        said = [line for line in (*self.out.splitlines(), *self.err.splitlines()) if line.strip()]
        return said[-1].strip() if said else f"exit code {self.code}"


@dataclass(frozen=True, slots=True)
class File:
    """A file as it should be."""

    path: str
    text: str
    mode: int = 0o644
    owner: str = ROOT


class Machine(Protocol):
    """What the program may do. Paths are absolute; writes are atomic and durable; nothing is written that is so already."""

    def run(self, argv: Sequence[str], *, timeout: float = 120.0) -> Done:
        """Run a command without a shell; a missing program is exit code 127."""
        ...

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes, None when there is none."""
        ...

    def ensure(self, file: File) -> bool:
        """Make the file be as given; tell whether anything had to change."""
        ...

    def ensure_folder(self, path: str, *, mode: int = 0o755, owner: str = ROOT) -> bool:
        """Make the folder be there as given; tell whether anything had to change."""
        ...

    def ensure_link(self, path: str, target: str) -> bool:
        """Make `path` a symbolic link to `target`, replacing an older link at once; tell whether it had to change."""
        ...

    def remove(self, path: str) -> bool:
        """Remove a file, a link or a whole folder; tell whether there was one."""
        ...

    def names_in(self, path: str) -> list[str]:
        """Return the names in a folder, sorted; none when there is no folder."""
        ...

    def real_path(self, path: str) -> str | None:
        """Follow every link; None when nothing is there."""
        ...

    def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        trust: Trust | None = None,
        timeout: float = 10.0,
    ) -> Answer:
        """Send one HTTP request; Unreachable when there is no answer."""
        ...

    def download(self, url: str, path: str) -> str:
        """Stream a file to disk and return its SHA-256 in hexadecimal; Unreachable when it cannot be had whole."""
        ...

    def bearer(self, resource: str) -> str:
        """Return an Authorization header's value for an Azure resource; Unreachable when no token can be had."""
        ...

    def served_certificate(self, address: str, port: int, trust: Trust) -> bytes:
        """Complete a TLS handshake and return the certificate served, as DER; Unreachable when it fails."""
        ...

    def now(self) -> datetime:
        """Return the present moment, aware, in UTC."""
        ...

    def pause(self, seconds: float) -> None:
        """Let `seconds` pass."""
        ...


def must(machine: Machine, argv: Sequence[str], otherwise: str, *, timeout: float = 120.0) -> Done:
    """Run a command that has to work; NodeError with its last words and what to do when it does not."""
    done = machine.run(argv, timeout=timeout)
    if done.code != 0:
        raise NodeError(f"`{' '.join(argv)}` failed: {done.last_words()}; {otherwise}")
    return done


def ensure_all(machine: Machine, files: Sequence[File]) -> list[str]:
    """Make every file be as given; return the paths that had to change, in order."""
    return [file.path for file in files if machine.ensure(file)]
