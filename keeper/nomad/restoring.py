"""The `RestoreTarget` port over Nomad's HTTP API: archives go back to the leader, and what is there afterwards is looked at.

`PUT /v1/operator/snapshot` needs a management token at every version. From the moment it answers, the restored state's own
tokens hold and the servers' former ones do not (`tests/recordings/nomad-1.6.5/07-snapshot.json`).
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

from keeper.core import canaries
from keeper.core.canaries import Canary
from keeper.core.restoring import Found
from keeper.core.snapshots import BadSnapshot, Product, Reason
from keeper.errors import Forbidden, Gone, KeeperError, Permanent, Unreachable
from keeper.nomad.failures import Call
from keeper.nomad.snapshots import PATH, NomadSnapshots
from keeper.restore_ports import Sized
from keeper.snapshot_ports import Observed

if TYPE_CHECKING:
    from keeper.nomad.session import NomadSession

RESTORE = Call("restore a snapshot", "a management token")
PEERS = Call("list the servers", "nothing")
KEYS = Call("list the root keys", "a management token")
CANARY = Call("keep the canary job and variable", canaries.RULES)
PATIENCE = timedelta(minutes=20)
"""A large state takes its time: a restore of 3.8 GB that a client gave up on was lost (hashicorp/consul#3326)."""


class NomadRestore:
    """The port. `manager` carries a management token; `secret` names where it lies, for people who read errors."""

    product = Product.NOMAD

    def __init__(self, manager: "NomadSession", *, secret: str) -> None:
        self._manager = manager
        self.source = NomadSnapshots(manager, manager, saver_secret=secret)

    def observe(self) -> Observed:
        """See the port."""
        return self.source.observe()

    def servers(self) -> int:
        """See the port."""
        return len(_json(self._manager, PEERS, "/v1/status/peers"))

    def restore(self, archive: Callable[[], Iterator[bytes]], size: int) -> None:
        """See the port."""
        self._manager.upload(RESTORE, PATH, lambda: Sized(archive(), size), PATIENCE)

    def found(self) -> Found:
        """See the port."""
        try:
            seen = self.observe()
        except BadSnapshot as exc:
            if exc.reason is not Reason.NO_LEADER:
                raise
            return Found({}, "", trouble=exc.what)
        items, trouble = None, ""
        try:
            items = read_variable(self._manager)
        except KeeperError as exc:  # without its key the server answers 500, and that is just what is looked for
            trouble = str(exc)
        return Found(seen.counts, seen.leader, read_job(self._manager), items, trouble)


class NomadCanaries:
    """The `Canaries` port, with the keeper's ordinary token."""

    def __init__(self, keeper: "NomadSession") -> None:
        self._keeper = keeper

    def read(self) -> Mapping[str, str] | None:
        """See the port. A variable that nobody can decrypt any more counts as none: it is written anew."""
        try:
            items = read_variable(self._keeper)
        except Forbidden:
            raise
        except Permanent:
            items = None
        return None if read_job(self._keeper) is None else items

    def write(self, canary: Canary) -> None:
        """See the port."""
        self._keeper.put(CANARY, "/v1/jobs", canaries.job_of(canary))
        path = canaries.VARIABLE
        body = {"Namespace": canaries.NAMESPACE, "Path": path, "Items": canary.items()}
        self._keeper.put(CANARY, f"/v1/var/{path}", body, {"namespace": canaries.NAMESPACE})


class NomadDrills:
    """The Nomad side of the `Drills` port: dispatches the registered batch job."""

    def __init__(self, keeper: "NomadSession", job: str, verdicts: Callable[[str], bytes | None]) -> None:
        self._keeper = keeper
        self._job = job
        self._verdicts = verdicts

    def verdict(self, name: str) -> bytes | None:
        """See the port."""
        return self._verdicts(name)

    def dispatch(self, meta: Mapping[str, str], token: str) -> str:
        """See the port."""
        call = Call(f"dispatch {self._job}", 'namespace "default" { capabilities = ["dispatch-job", "read-job"] }')
        answer = self._keeper.put(
            call, f"/v1/job/{self._job}/dispatch", {"Meta": dict(meta)}, {"idempotency_token": token}
        )
        return str(answer["DispatchedJobID"])

    def is_over(self, job: str) -> bool:
        """See the port."""
        call = Call(f"read {job}", 'namespace "default" { capabilities = ["read-job"] }')
        try:
            return bool(_json(self._keeper, call, f"/v1/job/{job}")["Status"] == "dead")
        except Gone:
            return True


def root_keys(session: "NomadSession") -> tuple[str, ...]:
    """The ids of the root keys that the state names. Needs a management token."""
    return tuple(str(key["KeyID"]) for key in _json(session, KEYS, "/v1/operator/keyring/keys"))


def read_variable(session: "NomadSession") -> Mapping[str, str] | None:
    """The canary variable's items, or None when it does not exist."""
    try:
        answer = _json(session, CANARY, f"/v1/var/{canaries.VARIABLE}", {"namespace": canaries.NAMESPACE})
    except Gone:
        return None
    return cast("dict[str, str]", answer["Items"])


def read_job(session: "NomadSession") -> str | None:
    """When the canary job was refreshed last, or None when it does not exist."""
    try:
        answer = _json(session, CANARY, f"/v1/job/{canaries.JOB}", {"namespace": canaries.NAMESPACE})
    except Gone:
        return None
    meta = cast("dict[str, str]", answer["Meta"] or {})
    return None if answer["Stop"] else meta.get("refreshed", "")


def _json(session: "NomadSession", call: Call, path: str, query: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401 -- JSON
    with session.download(call, path, query or {}) as answer:
        try:
            return json.loads(answer.content)
        except ValueError as exc:
            raise Unreachable(f"no whole answer from Nomad to {call.what}") from exc
