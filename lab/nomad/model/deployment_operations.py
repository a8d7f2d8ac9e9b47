"""What a person does to deployments, as operations of a cluster."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from lab.nomad.model.deployments import Deployments
    from lab.nomad.model.engine import Engine
    from lab.nomad.model.store import Record, Store


class DeploymentOperations:
    """Promote, fail, pause, judge: each under the store's lock, with the evaluations that follow from it."""

    store: Store
    _engine: Engine
    _deployments: Deployments

    def promote_deployment(self, deployment_id: str, groups: list[str] | None = None) -> Record:
        """Promote the canaries of a deployment."""
        with self._operation():
            return self._deployments.promote(deployment_id, groups)

    def fail_deployment(self, deployment_id: str) -> Record:
        """Call a deployment failed."""
        with self._operation():
            return self._deployments.fail(deployment_id)

    def pause_deployment(self, deployment_id: str, *, pause: bool) -> Record:
        """Pause a deployment or let it go on."""
        with self._operation():
            return self._deployments.pause(deployment_id, pause=pause)

    def set_health(self, deployment_id: str, *, well: list[str], unwell: list[str]) -> Record:
        """Say of a deployment's allocations whether they are healthy."""
        with self._operation():
            return self._deployments.set_health(deployment_id, well=well, unwell=unwell)

    @contextmanager
    def _operation(self) -> Iterator[None]:
        with self.store.lock:
            yield
            self._engine.settle()
