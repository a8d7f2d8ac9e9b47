"""Archives of any size and shape, and a source that sends them: for tests and measurements of the way into storage."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
import zlib
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from keeper.azure.sealing import OpenKey, fresh
from keeper.core.snapshots import Product, WrappedKey
from keeper.snapshot_ports import Arriving, Observed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

PIECE = 64 * 1024


def tar_of(members: Iterable[tuple[tarfile.TarInfo | str, bytes]], *, end: bytes = bytes(1024)) -> bytes:
    """A tar as Go writes it, of members given as names or whole headers."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for entry, content in members:
            info = entry if isinstance(entry, tarfile.TarInfo) else header(entry, len(content))
            tar.addfile(info, io.BytesIO(content) if content else None)
        used = out.tell()
    return out.getvalue()[:used] + end


def header(name: str, size: int) -> tarfile.TarInfo:
    """A plain file's header."""
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime = size, 0o600, 1_767_600_000
    return info


def gzip_of(plain: bytes, level: int = 6) -> bytes:
    """Gzip with the header that Go writes."""
    packer = zlib.compressobj(level, wbits=-15)
    body = packer.compress(plain) + packer.flush()
    tail = zlib.crc32(plain).to_bytes(4, "little") + (len(plain) & 0xFFFFFFFF).to_bytes(4, "little")
    return b"\x1f\x8b\x08" + bytes(6) + b"\xff" + body + tail


def meta_of(state: bytes, index: int = 1229, term: int = 2) -> bytes:
    """A meta.json for that state."""
    return meta_text(len(state), index, term)


def meta_text(size: int, index: int = 1229, term: int = 2) -> bytes:
    """A meta.json for a state of that size."""
    servers = [{"Suffrage": 0, "ID": f"server-{n}", "Address": f"10.0.10.{n}:4647"} for n in range(3)]
    meta = {"Version": 1, "ID": f"{term}-{index}-1", "Index": index, "Term": term, "Peers": ""}
    return (
        json.dumps({**meta, "Configuration": {"Servers": servers}, "ConfigurationIndex": 1, "Size": size}) + "\n"
    ).encode()


def sums_of(**members: bytes) -> bytes:
    """SHA256SUMS; underscores in the names stand for dots."""
    return sums_text({name.replace("_", "."): hashlib.sha256(body).hexdigest() for name, body in members.items()})


def sums_text(digests: Mapping[str, str]) -> bytes:
    """SHA256SUMS of known digests, in hex."""
    return "".join(f"{digest}  {name}\n" for name, digest in digests.items()).encode()


def archive_of(state: bytes, index: int = 1229, term: int = 2) -> bytes:
    """A whole, sound archive."""
    meta = meta_of(state, index, term)
    sums = sums_of(meta_json=meta, state_bin=state)
    return gzip_of(tar_of([("meta.json", meta), ("state.bin", state), ("SHA256SUMS", sums)]))


@dataclass(slots=True)
class StaticSource:
    """The `SnapshotSource` port with given bytes. `digest` defaults to the true one; `product` Consul announces none."""

    make: Callable[[], bytes]
    index: int = 0
    product: Product = Product.NOMAD
    digest: bytes | None = None
    counts: dict[str, int] = field(default_factory=lambda: {"jobs": 2})

    def observe(self) -> Observed:
        """See the port."""
        return Observed("1.6.5", "global", "10.0.10.1:4647", self.index, "management token", dict(self.counts))

    @contextmanager
    def archive(self) -> Iterator[Arriving]:
        """See the port."""
        body = self.make()
        true = None if self.product is Product.CONSUL else hashlib.sha256(body).digest()
        yield Arriving((body[at : at + PIECE] for at in range(0, len(body), PIECE)), self.digest or true)


class HeldKeys:
    """The `DataKeys` port without a vault: the wrapping is none."""

    def new(self) -> OpenKey:
        """See the port."""
        secret = fresh()
        return OpenKey(WrappedKey("https://vault.lab/keys/none", "1", "none", secret), secret)

    def unwrap(self, wrapped: WrappedKey) -> OpenKey:
        """See the port."""
        return OpenKey(wrapped, wrapped.wrapped)
