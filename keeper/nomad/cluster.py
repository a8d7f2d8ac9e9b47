"""The `Nomad` port over Nomad's HTTP API."""

from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from keeper.core.model import Allocation, BlockedEvaluation, JobKey, JobSpec, JobStub, Node, NodeId, Template
from keeper.errors import Gone, Permanent
from keeper.nomad.endpoints import Endpoint
from keeper.nomad.failures import Call
from keeper.nomad.jobspec import to_spec
from keeper.nomad.nodes import to_node, to_template
from keeper.nomad.session import Former, NomadSession
from keeper.nomad.work import deploying, to_allocation, to_blocked, to_stub
from keeper.settings import NomadSettings

if TYPE_CHECKING:
    from requests.adapters import BaseAdapter

MAY_RUN = 'ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost"'
NOT_ENDED = 'Status != "successful" and Status != "failed" and Status != "cancelled"'
READ_NODES = 'node { policy = "read" }'
WRITE_NODES = 'node { policy = "write" }'
READ_JOBS = 'namespace "*" { policy = "read" }'
"""The rules that the keeper's token needs (https://developer.hashicorp.com/nomad/docs/other-specifications/acl-policy)."""

SPECS = 2000
"""How many job specifications are kept between ticks."""

FORCE = -1
NO_DEADLINE = 0
"""Nomad's words for a drain that stops everything at once, and for one that waits without limit."""


class NomadHttp:
    """The `Nomad` port. It translates; it never decides.

    `token` and `ca` (a PEM bundle) are asked for when first needed, and again when Nomad refuses the token or its
    certificate does not verify: both are rotated while the keeper runs. `former` as in `NomadSession`; `transport` replaces the network.
    """

    def __init__(
        self,
        settings: NomadSettings,
        *,
        token: Callable[[], str],
        ca: Callable[[], str],
        former: Former | None = None,
        transport: "BaseAdapter | None" = None,
    ) -> None:
        self._http = NomadSession(settings, token=token, ca=ca, former=former, transport=transport)
        self._specs: dict[JobKey, JobSpec] = {}

    def nodes(self) -> tuple[Node, ...]:
        """See the port."""
        call = Call("list the nodes", READ_NODES)
        stubs = self._http.list(call, Endpoint.NODES, {"resources": "true"})
        return tuple(sorted(_each(call, to_node, stubs), key=lambda node: (node.name, node.id)))

    def allocations(self) -> tuple[Allocation, ...]:
        """See the port."""
        call = Call("list the allocations", READ_JOBS)
        query = {"namespace": "*", "resources": "true", "task_states": "false", "filter": MAY_RUN}
        return _each(call, to_allocation, self._http.list(call, Endpoint.ALLOCATIONS, query))

    def jobs(self) -> tuple[JobStub, ...]:
        """See the port."""
        call = Call("list the jobs", READ_JOBS)
        return _each(call, to_stub, self._http.list(call, Endpoint.JOBS, {"namespace": "*", "meta": "true"}))

    def blocked(self) -> tuple[BlockedEvaluation, ...]:
        """See the port."""
        call = Call("list the blocked evaluations", READ_JOBS)
        found = self._http.list(call, Endpoint.EVALUATIONS, {"namespace": "*", "status": "blocked"})
        return _each(call, to_blocked, found)

    def deploying(self) -> frozenset[JobKey]:
        """See the port."""
        call = Call("list the deployments", READ_JOBS)
        return _read(
            call, deploying, self._http.list(call, Endpoint.DEPLOYMENTS, {"namespace": "*", "filter": NOT_ENDED})
        )

    def job(self, key: JobKey, modify_index: int) -> JobSpec:
        """See the port. `modify_index` is the specification's own (`JobModifyIndex`), as `jobs` gives it."""
        kept = self._specs.get(key)
        if kept and kept.modify_index >= modify_index:
            return kept
        call = Call(f"read the job {key.id}", READ_JOBS)
        spec = _read(call, to_spec, self._http.get(call, Endpoint.JOB, key.id, {"namespace": key.namespace}))
        self._keep(spec)
        return spec

    def template(self, node: NodeId, at: datetime) -> Template:
        """See the port."""
        call = Call(f"read the node {node}", READ_NODES)
        return _read(call, lambda found: to_template(found, at), self._http.get(call, Endpoint.NODE, node, {}))

    def drain(self, node: NodeId, deadline: timedelta | None, meta: Mapping[str, str]) -> None:
        """See the port. With a deadline that is not positive Nomad stops everything at once."""
        spec = {"Deadline": _deadline(deadline), "IgnoreSystemJobs": False}
        call = Call(f"drain the node {node}", WRITE_NODES)
        self._http.post(call, node, "drain", {"DrainSpec": spec, "Meta": {**meta}})

    def reclaim(self, node: NodeId, meta: Mapping[str, str]) -> None:
        """See the port."""
        call = Call(f"end the drain of the node {node}", WRITE_NODES)
        self._http.post(call, node, "drain", {"DrainSpec": None, "MarkEligible": True, "Meta": {**meta}})

    def purge(self, node: NodeId) -> None:
        """See the port."""
        try:
            self._http.post(Call(f"purge the node {node}", WRITE_NODES), node, "purge", None)
        except Gone:
            return

    def _keep(self, spec: JobSpec) -> None:
        """Remember the newest specifications: the last kept is the last to go."""
        self._specs.pop(spec.key, None)
        self._specs[spec.key] = spec
        while len(self._specs) > SPECS:
            self._specs.pop(next(iter(self._specs)), None)


def _deadline(deadline: timedelta | None) -> int:
    """Nomad's nanoseconds."""
    if deadline is None:
        return NO_DEADLINE
    return deadline // timedelta(microseconds=1) * 1000 if deadline > timedelta() else FORCE


def _each[Wire, Model](call: Call, translate: Callable[[Wire], Model], found: Iterable[Wire]) -> tuple[Model, ...]:
    return _read(call, lambda all_of_it: tuple(map(translate, all_of_it)), found)


def _read[Wire, Model](call: Call, translate: Callable[[Wire], Model], found: Wire) -> Model:
    """Translate what Nomad said; one of another shape fails the tick, for half a view is worse than none."""
    try:
        return translate(found)
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise Permanent(f"Nomad's answer to {call.what} is not of the known shape: {type(exc).__name__} {exc}") from exc
