"""/v1/operator/snapshot: save and restore. Held to tests/recordings/nomad-1.6.5/07-snapshot.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.archive import Meta, Peer, pack, unpack
from lab.nomad.http.call import Answer

if TYPE_CHECKING:
    from lab.nomad.http.call import Call


def snapshot(call: Call) -> Answer:
    """Save the state as an archive, or (PUT and POST) restore one; both need a management token."""
    call.only("GET", "PUT", "POST")
    call.may(call.rights.management)
    if call.request.method == "GET":
        return _save(call)
    state = unpack(call.request.body)
    call.region.load(state)
    return Answer()


def _save(call: Call) -> Answer:
    servers = call.region.servers
    peers = [Peer(member.ident, member.rpc, member.voter) for member in servers.peers()]
    meta = Meta(call.store.index, servers.term, peers)
    archive, digest = pack(call.region.dump(), meta, call.region.now())
    return Answer(raw=archive, content_type="application/x-gzip", headers={"Digest": digest})
