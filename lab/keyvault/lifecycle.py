"""Listing, deleting, recovering and purging: the same for every kind but for the view."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.http import Response
from lab.keyvault.call import Route, epoch

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.keyvault.call import Call
    from lab.keyvault.shelf import Deleted, Shelf, Version

    type View[T] = Callable[[Call, Version[T]], dict[str, Any]]


class Lifecycle[T]:
    """The routes that all kinds share. `plural` is their path; `item` and `whole` render list elements and one thing."""

    def __init__(self, shelf: Shelf[T], plural: str, item: View[T], whole: View[T], identify: str = "id") -> None:
        self.shelf, self.plural = shelf, plural
        self.item, self.whole = item, whole
        self.identify = identify

    def routes(self) -> list[Route]:
        """Routes from the most special to the most general."""
        one, gone, action = f"/{self.plural}/(?P<name>[^/]+)", f"/deleted{self.plural}", f"vaults/{self.plural}"
        # Only of secrets is the value another matter than the rest: keys/read and certificates/read list, too
        # (https://learn.microsoft.com/azure/role-based-access-control/permissions/security).
        seen = f"{action}/readMetadata/action" if self.plural == "secrets" else f"{action}/read"
        return [
            Route("GET", f"/{self.plural}", seen, self.list),
            Route("GET", f"{one}/versions", seen, self.list_versions),
            Route("DELETE", one, f"{action}/delete", self.delete),
            Route("GET", gone, seen, self.list_deleted),
            Route("GET", f"{gone}/(?P<name>[^/]+)", seen, self.get_deleted),
            Route("POST", f"{gone}/(?P<name>[^/]+)/recover", f"{action}/recover/action", self.recover),
            Route("DELETE", f"{gone}/(?P<name>[^/]+)", f"{action}/purge/action", self.purge),
        ]

    def list(self, call: Call) -> Response:
        """The newest version of each, ids without version."""
        return call.listed(self.shelf.newest(), lambda each: self._unversioned(call, each))

    def list_versions(self, call: Call) -> Response:
        """Every version of one."""
        return call.listed(self.shelf.versions(call.name), lambda each: self.item(call, each))

    def delete(self, call: Call) -> Response:
        """Into the bin."""
        deleted = self.shelf.delete(call.name)
        return Response.of_json(200, self._binned(call, deleted, self.whole(call, deleted.versions[-1])))

    def list_deleted(self, call: Call) -> Response:
        """What is in the bin."""
        return call.listed(
            self.shelf.bin(),
            lambda each: self._binned(call, each, self._unversioned(call, each.versions[-1])),
        )

    def get_deleted(self, call: Call) -> Response:
        """One thing of the bin."""
        deleted = self.shelf.deleted(call.name)
        return Response.of_json(200, self._binned(call, deleted, self.whole(call, deleted.versions[-1])))

    def recover(self, call: Call) -> Response:
        """Out of the bin."""
        return Response.of_json(200, self.whole(call, self.shelf.recover(call.name)))

    def purge(self, call: Call) -> Response:
        """Gone for good."""
        self.shelf.purge(call.name)
        return Response(204)

    def _unversioned(self, call: Call, version: Version[T]) -> dict[str, Any]:
        view = self.item(call, version)
        return {**view, self.identify: f"{call.vault_url}/{self.plural}/{version.name}"}

    def _binned(self, call: Call, deleted: Deleted[T], view: dict[str, Any]) -> dict[str, Any]:
        name = deleted.versions[-1].name
        return {
            "recoveryId": f"{call.vault_url}/deleted{self.plural}/{name}",
            "deletedDate": epoch(deleted.at),
            "scheduledPurgeDate": epoch(deleted.purge_at),
            **view,
            "attributes": {**view["attributes"], "enabled": False},
        }
