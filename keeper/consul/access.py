"""The `AccessControl` port over Consul's ACL endpoints (https://developer.hashicorp.com/consul/api-docs/acl).

Consul gives tokens no name: theirs stands in the description, which nothing else decides by.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, cast
from urllib.parse import quote

from keeper.consul.connection import ConsulServers, json_of
from keeper.core.access import Entry, Kind, Token
from keeper.core.snapshots import Product
from keeper.core.wanted_access import as_body
from keeper.errors import Forbidden, Gone

MANAGEMENT = "global-management"
LISTS = {Kind.POLICY: "policies", Kind.ROLE: "roles", Kind.METHOD: "auth-methods", Kind.BINDING: "binding-rules"}
PATHS = {Kind.POLICY: "policy", Kind.ROLE: "role", Kind.METHOD: "auth-method", Kind.BINDING: "binding-rule"}
WHOLE = frozenset({Kind.ROLE, Kind.BINDING})
"""What lists show whole."""
DONE = "no longer allowed"


class ConsulAccess:
    """The `AccessControl` port. `anybody` carries no token, `manager` the management token."""

    product = Product.CONSUL

    def __init__(self, anybody: ConsulServers, manager: ConsulServers) -> None:
        self._anybody = anybody
        self._manager = manager

    def leads(self) -> bool:
        """See the port."""
        with self._anybody.session() as session:
            return bool(json_of(self._anybody.get(session, "/v1/status/leader")))

    def bootstrap(self, secret: str) -> bool:
        """See the port. Consul takes a secret of the caller's choice since 1.13."""
        try:
            with self._anybody.session() as session:
                self._anybody.put(session, "/v1/acl/bootstrap", json.dumps({"BootstrapSecret": secret}))
        except Forbidden as exc:
            if DONE in str(exc):
                return False
            raise
        return True

    def manages(self) -> bool:
        """See the port."""
        try:
            return MANAGEMENT in _names(self._get("/v1/acl/token/self"))
        except (Forbidden, Gone):
            return False

    def version(self) -> str:
        """See the port."""
        return str(self._get("/v1/agent/self")["Config"]["Version"])

    def entries(self, wanted: Sequence[Entry]) -> Mapping[tuple[Kind, str], str]:
        """See the port."""
        found: dict[tuple[Kind, str], str] = {}
        for entry in wanted:
            body = _spelled(self._known(entry), entry)
            if body is not None:
                found[entry.kind, entry.name] = body
        return found

    def write(self, entry: Entry) -> None:
        """See the port."""
        self._put(_path(entry, self._known(entry)), _document(entry))

    def granted(self, names: Sequence[str]) -> Mapping[str, str]:
        """See the port."""
        stubs = cast("list[dict[str, Any]]", self._get("/v1/acl/tokens"))
        found: dict[str, str] = {}
        for stub in sorted(stubs, key=lambda each: int(each["CreateIndex"]), reverse=True):
            if stub["Description"] in names:
                found[str(stub["Description"])] = str(stub["AccessorID"])
        return {name: str(self._get(f"/v1/acl/token/{accessor}")["SecretID"]) for name, accessor in found.items()}

    def grant(self, token: Token) -> None:
        """See the port."""
        policies = [{"Name": name} for name in token.policies or (MANAGEMENT,)]
        self._put("/v1/acl/token", {"Description": token.name, "Policies": policies})

    def _known(self, entry: Entry) -> Mapping[str, Any] | None:
        """The entry as Consul has it, or None. Asked by way of lists: what Consul lacks it calls unknown in the words it has for tokens."""
        listed = cast("list[dict[str, Any]]", self._get(f"/v1/acl/{LISTS[entry.kind]}"))
        marked = "Description" if entry.kind is Kind.BINDING else "Name"
        found = next((each for each in listed if each[marked] == entry.name), None)
        if found is None or entry.kind in WHOLE:
            return found
        return cast("Mapping[str, Any]", self._get(_path(entry, found)))

    def _get(self, path: str) -> Any:  # noqa: ANN401 -- JSON
        with self._manager.session() as session:
            return json_of(self._manager.get(session, path))

    def _put(self, path: str, body: object) -> None:
        with self._manager.session() as session:
            self._manager.put(session, path, json.dumps(body))


def _path(entry: Entry, known: Mapping[str, Any] | None) -> str:
    """Where an entry is written and read: one that Consul has by its id, auth methods by their name."""
    path = f"/v1/acl/{PATHS[entry.kind]}"
    return path if known is None else f"{path}/{quote(str(known.get('ID') or entry.name), safe='')}"


def _document(entry: Entry) -> dict[str, object]:
    """An entry as Consul is told it."""
    match entry.kind:
        case Kind.POLICY:
            return {"Name": entry.name, "Description": "of the keeper", "Rules": entry.body}
        case Kind.ROLE:
            policies = [{"Name": name} for name in entry.body.splitlines()]
            return {"Name": entry.name, "Description": "of the keeper", "Policies": policies}
        case Kind.METHOD:
            config = cast("object", json.loads(entry.body))
            return {"Name": entry.name, "Type": "jwt", "Description": "of the keeper", "Config": config}
        case Kind.BINDING:
            return {"Description": entry.name, **json.loads(entry.body)}


def _spelled(known: Mapping[str, Any] | None, entry: Entry) -> str | None:
    """What Consul has, in the spelling of `entry`: what Consul adds by itself counts for nothing."""
    if known is None:
        return None
    match entry.kind:
        case Kind.POLICY:
            return str(known["Rules"])
        case Kind.ROLE:
            return "\n".join(sorted(_names(known)))
        case Kind.METHOD:
            config: Mapping[str, object] = known["Config"]
        case Kind.BINDING:
            config = known
    asked = cast("dict[str, object]", json.loads(entry.body))
    return as_body({name: config.get(name) for name in asked})


def _names(holder: Mapping[str, Any]) -> list[str]:
    """The policies of a token or role, by name."""
    return [str(policy["Name"]) for policy in cast("list[dict[str, object]]", holder.get("Policies") or [])]
