"""The real machine: the standard library's hands behind the `Machine` port."""

from __future__ import annotations

import contextlib
import grp
import hashlib
import os
import pwd
import shutil
import socket
import ssl
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from keepernode.clock import pause, utc_now
from keepernode.machine import ROOT, Done, File
from keepernode.problems import NodeError, Unreachable
from keepernode.wire import Answer, Line, Trust

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from keepernode.identity import Identity

CHUNK = 1024 * 1024
NOT_FOUND, TOO_LONG = 127, 124
DOWNLOAD_WAIT = 60.0


@dataclass(slots=True)
class LinuxMachine:
    """This machine, as root."""

    identity: Identity

    def run(self, argv: Sequence[str], *, timeout: float = 120.0) -> Done:
        """Run a command without a shell."""
        try:
            ended = subprocess.run(  # noqa: S603 - argv is made by this program, never by a shell
                list(argv), capture_output=True, stdin=subprocess.DEVNULL, timeout=timeout, check=False
            )
        except FileNotFoundError:
            return Done(NOT_FOUND, "", f"{argv[0]}: no such program")
        except subprocess.TimeoutExpired:
            return Done(TOO_LONG, "", f"{argv[0]}: not finished after {timeout:.0f} s")
        return Done(ended.returncode, ended.stdout.decode("utf-8", "replace"), ended.stderr.decode("utf-8", "replace"))

    def read(self, path: str) -> bytes | None:
        """Return a file's bytes."""
        try:
            return Path(path).read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return None

    def ensure(self, file: File) -> bool:
        """Write beside, flush, rename: a reader sees the old file or the new one, also after a power cut."""
        data = file.text.encode()
        if self.read(file.path) == data and _is(file.path, file.mode, file.owner):
            return False
        target = Path(file.path)
        target.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
        try:
            with os.fdopen(handle, "wb") as out:
                os.fchmod(out.fileno(), file.mode)
                os.fchown(out.fileno(), *_ids(file.owner))
                out.write(data)
                out.flush()
                os.fsync(out.fileno())
            Path(beside).replace(target)
        except BaseException:
            Path(beside).unlink(missing_ok=True)
            raise
        return True

    def ensure_folder(self, path: str, *, mode: int = 0o755, owner: str = ROOT) -> bool:
        """Make the folder and its parents; only the folder itself gets the mode and the owner."""
        folder = Path(path)
        if folder.is_dir() and _is(path, mode, owner):
            return False
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(mode)
        os.chown(folder, *_ids(owner))
        return True

    def ensure_link(self, path: str, target: str) -> bool:
        """Make the link beside and rename it over the old one: there is no moment without a link."""
        link = Path(path)
        if link.is_symlink() and str(link.readlink()) == target:
            return False
        link.parent.mkdir(parents=True, exist_ok=True)
        beside = link.with_name(f".{link.name}.new")
        beside.unlink(missing_ok=True)
        beside.symlink_to(target)
        beside.replace(link)
        return True

    def remove(self, path: str) -> bool:
        """Remove what is there."""
        gone = Path(path)
        if gone.is_dir() and not gone.is_symlink():
            shutil.rmtree(gone)
            return True
        with contextlib.suppress(FileNotFoundError):
            gone.unlink()
            return True
        return False

    def names_in(self, path: str) -> list[str]:
        """Return the names in a folder."""
        folder = Path(path)
        return sorted(each.name for each in folder.iterdir()) if folder.is_dir() else []

    def real_path(self, path: str) -> str | None:
        """Follow every link."""
        try:
            return str(Path(path).resolve(strict=True))
        except (OSError, RuntimeError):
            return None

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
        """Send one request over a connection of its own."""
        parts = urlsplit(url)
        line = Line(url, trust or Trust(), timeout)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            return line.ask(method, path, headers=headers, body=body)
        finally:
            line.close()

    def download(self, url: str, path: str) -> str:
        """Stream to disk, hashing on the way; redirects are followed, to https only."""
        digest = hashlib.sha256()
        try:
            # A context of its own: the opener that urllib keeps would go on trusting what was there at its first use.
            trusted = ssl.create_default_context()
            with urlopen(Request(url), timeout=DOWNLOAD_WAIT, context=trusted) as source, Path(path).open("wb") as out:  # noqa: S310 - the knobs take https addresses only
                if not source.geturl().startswith("https://"):
                    raise Unreachable(f"{url} led away from https to {source.geturl()}; correct the address")
                while chunk := source.read(CHUNK):
                    digest.update(chunk)
                    out.write(chunk)
        except (OSError, ValueError) as exc:
            raise Unreachable(f"cannot download {url}: {exc}; check the route out (NAT gateway or firewall)") from exc
        return digest.hexdigest()

    def bearer(self, resource: str) -> str:
        """Ask the managed identity."""
        return self.identity.bearer(resource)

    def served_certificate(self, address: str, port: int, trust: Trust) -> bytes:
        """Shake hands and look at what is served."""
        name = trust.server_name or address
        try:
            with (
                socket.create_connection((address, port), 5.0) as raw,
                trust.context().wrap_socket(raw, server_hostname=name) as secured,
            ):
                return secured.getpeercert(binary_form=True) or b""
        except (OSError, ssl.SSLError) as exc:
            raise Unreachable(f"no TLS handshake with {address}:{port} as {name}: {exc}") from exc

    def now(self) -> datetime:
        """Read the clock."""
        return utc_now()

    def pause(self, seconds: float) -> None:
        """Sleep."""
        pause(seconds)


def _ids(owner: str) -> tuple[int, int]:
    """Return the user's id and the id of the group of the same name."""
    try:
        return pwd.getpwnam(owner).pw_uid, grp.getgrnam(owner).gr_gid
    except KeyError as exc:
        raise NodeError(f"there is no user and group {owner}; the step that makes it must come first") from exc


def _is(path: str, mode: int, owner: str) -> bool:
    held = Path(path).stat()
    return held.st_mode & 0o7777 == mode and (held.st_uid, held.st_gid) == _ids(owner)
