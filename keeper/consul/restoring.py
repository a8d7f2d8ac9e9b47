"""The `RestoreTarget` port over Consul's HTTP API: `PUT /v1/snapshot`, with a management token, into servers of the same version.

The servers' own ACLs must be bootstrapped before; afterwards the snapshot's tokens hold, and the former ones do not
(https://developer.hashicorp.com/consul/api-docs/snapshot#restore-snapshot).
"""

from collections.abc import Callable, Iterator
from http import HTTPStatus

from keeper.consul.snapshots import ConsulSnapshots, json_of, refusal
from keeper.core.restoring import Found
from keeper.core.snapshots import BadSnapshot, Reason
from keeper.errors import Permanent, Unreachable
from keeper.restore_ports import Sized

PATIENCE_SECONDS = 1200
"""A restore of 3.8 GB that a client gave up on was lost (hashicorp/consul#3326)."""


class ConsulRestore(ConsulSnapshots):
    """The port; give it the secret of a token that may restore."""

    @property
    def source(self) -> ConsulSnapshots:
        """See the port."""
        return self

    def servers(self) -> int:
        """See the port."""
        with self.session() as session:
            return len(json_of(self.get(session, "/v1/status/peers")))

    def restore(self, archive: Callable[[], Iterator[bytes]], size: int) -> None:
        """See the port. What Consul cannot restore is answered 500, as a lost leader is: the text decides."""
        import requests  # noqa: PLC0415 -- loaded when first used

        from keeper.trust import CONNECT_SECONDS  # noqa: PLC0415 -- goes with it

        with self.session() as session:
            try:
                answer = session.put(
                    self.address + "/v1/snapshot",
                    data=Sized(archive(), size),
                    timeout=(CONNECT_SECONDS, PATIENCE_SECONDS),
                    allow_redirects=False,
                )
            except requests.RequestException as exc:
                raise Unreachable(f"no answer from Consul to a restore: {type(exc).__name__} {exc}"[:400]) from exc
            if answer.status_code == HTTPStatus.INTERNAL_SERVER_ERROR and "restore" in answer.text:
                raise Permanent(f"Consul refused the archive: {answer.text.strip()[:200]}")
            if answer.status_code != HTTPStatus.OK:
                raise refusal("/v1/snapshot", answer)

    def found(self) -> Found:
        """See the port. Consul has no canaries: what it encrypts, it encrypts outside its state."""
        try:
            seen = self.observe()
        except BadSnapshot as exc:
            if exc.reason is not Reason.NO_LEADER:
                raise
            return Found({}, "", trouble=exc.what)
        return Found(seen.counts, seen.leader)
