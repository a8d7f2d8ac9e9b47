"""The `SnapshotSource` port over Nomad's HTTP API.

Saving needs a management token before Nomad 1.11.3 and `operator { capabilities = ["snapshot-save"] }` from then on; a
server that is not the leader passes the request on to it
(https://developer.hashicorp.com/nomad/api-docs/operator/snapshot, `tests/recordings/nomad-1.6.5/07-snapshot.json`).
"""

import base64
import binascii
import json
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, cast

from keeper.core import versions
from keeper.core.snapshots import BadSnapshot, Product, Reason
from keeper.errors import Forbidden, Gone, Permanent, Throttled, Transient, Unreachable
from keeper.nomad.failures import Call
from keeper.snapshot_ports import Arriving, Observed

if TYPE_CHECKING:
    import requests

    from keeper.nomad.session import NomadSession

PATH = "/v1/operator/snapshot"
LEADER = Call("name the leader", "nothing")
SAVE_SINCE = "1.11.3"
MANAGEMENT = "management token"
SAVE = 'operator { capabilities = ["snapshot-save"] }'
PAGE = 500
SILENCE = 120.0
"""Seconds until the first byte: the leader packs the whole archive before it answers."""
PIECE = 256 * 1024

COUNTED = {
    "jobs": ("/v1/jobs", True),
    "nodes": ("/v1/nodes", False),
    "acl_tokens": ("/v1/acl/tokens", False),
}
"""What is counted: a path, and whether it asks for all namespaces. Who may not see these is refused."""
FILTERED = {
    "namespaces": ("/v1/namespaces", False),
    "node_pools": ("/v1/node/pools", False),
    "variables": ("/v1/vars", True),
    "acl_policies": ("/v1/acl/policies", False),
    "acl_roles": ("/v1/acl/roles", False),
}
"""Of these Nomad leaves out in silence what a token may not see: counted as a management token only, or without ACLs."""
ACLS_OFF = "ACL support disabled"


class Holder(Enum):
    """Who asks."""

    MANAGEMENT = auto()
    CLIENT = auto()
    EVERYBODY = auto()
    """ACLs are off."""


class NomadSnapshots:
    """The `SnapshotSource` port. `keeper` carries the keeper's ordinary token, `saver` the one that may save snapshots.

    `saver_secret` is the name of that token's secret, for people who read errors.
    """

    product = Product.NOMAD

    def __init__(self, keeper: "NomadSession", saver: "NomadSession", *, saver_secret: str) -> None:
        self._keeper = keeper
        self._saver = saver
        self._secret = saver_secret

    def observe(self) -> Observed:
        """See the port. Counts with whichever token may; what neither may list is not counted."""
        leader = self._leader()
        version, region = self._server(leader)
        found = {kind: self._count(*how) for kind, how in COUNTED.items()}
        holder = self._holder()  # asked behind what an unknown token is refused, which has a former one used
        if holder in {Holder.MANAGEMENT, Holder.EVERYBODY}:
            found |= {kind: self._count(*how) for kind, how in FILTERED.items()}
        seen = {kind: each for kind, each in found.items() if each is not None}
        counts = {kind: total for kind, (total, _) in seen.items()}
        index = max((index for _, index in seen.values()), default=0)
        right = right_at(version)
        too_wide = right == SAVE and holder is Holder.MANAGEMENT
        return Observed(version, region, leader, index, right, counts, too_wide=too_wide)

    @contextmanager
    def archive(self) -> Generator[Arriving]:
        """See the port."""
        needed = f"a {MANAGEMENT} before Nomad {SAVE_SINCE}, {SAVE} from then on"
        try:
            answer = self._saver.download(Call("save a snapshot", needed), PATH, {}, SILENCE)
        except Forbidden as exc:
            raise BadSnapshot(
                Reason.RIGHT_MISSING, f"Nomad refused a snapshot to the token in {self._secret}: it needs {needed}"
            ) from exc
        except Throttled:
            raise
        except Transient as exc:
            raise BadSnapshot(Reason.UNREACHABLE, str(exc)) from exc
        with answer:
            yield Arriving(_pieces(answer), _announced(answer.headers.get("Digest")))

    def _holder(self) -> "Holder":
        """Who the saving token makes us. One that is not known is refused where it is used."""
        call = Call("read the token's own rights", "nothing")
        try:
            kind = _json(self._saver.download(call, "/v1/acl/token/self", {})).get("Type")
        except (Forbidden, Gone):
            return Holder.CLIENT
        except Permanent as exc:
            if ACLS_OFF in str(exc):
                return Holder.EVERYBODY
            raise
        return Holder.MANAGEMENT if kind == "management" else Holder.CLIENT

    def _leader(self) -> str:
        try:
            leader = _json(self._keeper.download(LEADER, "/v1/status/leader", {}))
        except Unreachable as exc:
            raise BadSnapshot(Reason.NO_LEADER, str(exc)) from exc
        if not leader:
            raise BadSnapshot(Reason.NO_LEADER, "no Nomad server leads")
        return str(leader)

    def _server(self, leader: str) -> tuple[str, str]:
        """Version and region of the leader; where members may not be listed or do not name it, of whoever answers."""
        call = Call("list the servers", 'node { policy = "read" }')
        answer = cast("dict[str, Any]", _json(self._keeper.download(call, "/v1/agent/members", {})))
        members = cast("list[dict[str, Any]]", answer.get("Members") or [])
        tags = [cast("dict[str, str]", member.get("Tags") or {}) for member in members]
        for each in tags:
            if leader in {f"{each.get('rpc_addr')}:{each.get('port')}", f"{each.get('id')}"}:
                return each.get("build", ""), each.get("region", "")
        names = [(each.get("build", ""), each.get("region", "")) for each in tags]
        if not names:
            raise BadSnapshot(Reason.NO_LEADER, f"no member is the leader {leader}")
        return min(names, key=lambda pair: _order(pair[0]))

    def _count(self, path: str, everywhere: bool) -> tuple[int, int] | None:
        for session in (self._saver, self._keeper):
            try:
                return _listed(session, path, everywhere=everywhere)
            except Forbidden:
                continue
            except Gone:  # an older server knows nothing of the kind
                return None
            except Permanent as exc:
                if ACLS_OFF in str(exc):
                    return None
                raise
        return None


def right_at(version: str) -> str:
    """The smallest right that saves a snapshot at that version."""
    known = versions.satisfies(version, f">= {SAVE_SINCE}", strict=False)
    return SAVE if known else MANAGEMENT


def _listed(session: "NomadSession", path: str, *, everywhere: bool) -> tuple[int, int]:
    """How many there are, page by page, and the index of the table."""
    call = Call(f"count {path}", "read rights")
    query = {"per_page": str(PAGE)} | ({"namespace": "*"} if everywhere else {})
    total, index = 0, 0
    while True:
        answer = session.download(call, path, query)
        index = max(index, int(answer.headers.get("X-Nomad-Index", "0")))
        following = answer.headers.get("X-Nomad-NextToken")
        total += len(_json(answer))
        if not following:
            return total, index
        query["next_token"] = following


def _pieces(answer: "requests.Response") -> Iterator[bytes]:
    """The body as it comes; a connection that breaks is named, one that ends early without an error is not."""
    from urllib3.exceptions import HTTPError  # noqa: PLC0415 -- loaded when first used

    try:
        yield from answer.raw.stream(PIECE, decode_content=False)
    except (HTTPError, OSError) as exc:
        raise BadSnapshot(
            Reason.CUT_SHORT, f"the archive broke off on its way: {type(exc).__name__} {exc}"[:300]
        ) from exc


def _announced(header: str | None) -> bytes:
    """The digest of `Digest: sha-256=<base64>`; Nomad always sends it, so a proxy must have eaten a missing one."""
    kind, _, value = (header or "").partition("=")
    try:
        digest = base64.b64decode(value, validate=True)
    except binascii.Error:
        digest = b""
    if kind.lower() != "sha-256" or len(digest) != 32:  # noqa: PLR2004 -- SHA-256
        raise BadSnapshot(Reason.DIGEST_MISSING, f"Nomad's answer bears no SHA-256 digest but {header!r:.100}")
    return digest


def _json(answer: "requests.Response") -> Any:  # noqa: ANN401 -- JSON
    import requests  # noqa: PLC0415 -- loaded when first used

    with answer:
        try:
            return json.loads(answer.content)
        except (ValueError, requests.RequestException) as exc:
            raise Unreachable(f"no whole answer from Nomad: {type(exc).__name__} {exc}"[:300]) from exc


def _order(version: str) -> tuple[int, ...]:
    """The lowest of several versions asks for the larger right, and is the one that a restore can count on."""
    parsed = versions.parse(version, strict=False)
    return parsed.segments if parsed else ()
