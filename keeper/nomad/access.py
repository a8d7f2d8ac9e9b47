"""The `AccessControl` port over Nomad's ACL endpoints (https://developer.hashicorp.com/nomad/api-docs/acl).

Held to `tests/recordings/nomad-1.6.5` (06-acl-bootstrap.json, 06-acl.json) by the stand-in, and to a real Nomad where there is one.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import quote

from keeper.core.access import Entry, Kind, Token
from keeper.core.snapshots import Product
from keeper.errors import Forbidden, Gone, Permanent, Unreachable
from keeper.nomad.failures import Call

if TYPE_CHECKING:
    from keeper.nomad.session import NomadSession

MANAGEMENT = "a management token"
ASK_LEADER = Call("say who leads", "nothing")
BOOTSTRAP = Call("make the first management token", "nothing")
SELF = Call("say what the token is", "nothing")
SERVERS = Call("list the servers", MANAGEMENT)
POLICIES = Call("read a policy", MANAGEMENT)
TOKENS = Call("read tokens", MANAGEMENT)
WRITE = Call("write tokens and policies", MANAGEMENT)
DONE = "already done"


class NomadAccess:
    """The `AccessControl` port. `anybody` carries no token; `manager` makes a session with the management token of this moment."""

    product = Product.NOMAD

    def __init__(self, anybody: "NomadSession", manager: "Callable[[], NomadSession]") -> None:
        self._anybody = anybody
        self._new_manager = manager
        self._manager = manager()

    def leads(self) -> bool:
        """See the port."""
        return bool(_json(self._anybody, ASK_LEADER, "/v1/status/leader"))

    def bootstrap(self, secret: str) -> bool:
        """See the port. Nomad takes a secret of the caller's choice since 1.4."""
        try:
            self._anybody.put(BOOTSTRAP, "/v1/acl/bootstrap", {"BootstrapSecret": secret})
        except Permanent as exc:
            if DONE in str(exc):
                return False
            raise
        return True

    def manages(self) -> bool:
        """See the port. A session keeps its token while that works, but here the vault's is what is asked about."""
        self._manager = self._new_manager()
        try:
            return bool(_json(self._manager, SELF, "/v1/acl/token/self")["Type"] == "management")
        except (Forbidden, Gone):
            return False

    def version(self) -> str:
        """See the port. The oldest, while servers are upgraded one by one."""
        members = cast("list[dict[str, Any]]", _json(self._manager, SERVERS, "/v1/agent/members")["Members"])
        builds = [str(member["Tags"]["build"]) for member in members if member["Status"] == "alive"]
        return min(builds, key=_order)

    def entries(self, wanted: Sequence[Entry]) -> Mapping[tuple[Kind, str], str]:
        """See the port. Nomad has policies only."""
        found: dict[tuple[Kind, str], str] = {}
        for entry in wanted:
            try:
                policy = _json(self._manager, POLICIES, f"/v1/acl/policy/{quote(entry.name, safe='')}")
            except Gone:
                continue
            found[entry.kind, entry.name] = str(policy["Rules"])
        return found

    def write(self, entry: Entry) -> None:
        """See the port."""
        body = {"Name": entry.name, "Description": "of the keeper", "Rules": entry.body}
        self._manager.put(WRITE, f"/v1/acl/policy/{quote(entry.name, safe='')}", body)

    def granted(self, names: Sequence[str]) -> Mapping[str, str]:
        """See the port. A list shows no secrets."""
        stubs = cast("list[dict[str, Any]]", _json(self._manager, TOKENS, "/v1/acl/tokens"))
        found: dict[str, str] = {}
        for stub in sorted(stubs, key=lambda each: int(each["CreateIndex"]), reverse=True):
            if stub["Name"] in names:
                found[str(stub["Name"])] = str(stub["AccessorID"])
        return {name: self._secret_of(accessor) for name, accessor in found.items()}

    def grant(self, token: Token) -> None:
        """See the port."""
        kind = {"Type": "client", "Policies": list(token.policies)} if token.policies else {"Type": "management"}
        self._manager.put(WRITE, "/v1/acl/token", {"Name": token.name, **kind})

    def _secret_of(self, accessor: str) -> str:
        return str(_json(self._manager, TOKENS, f"/v1/acl/token/{accessor}")["SecretID"])


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.partition("-")[0].partition("+")[0].split("."))


def _json(session: "NomadSession", call: Call, path: str) -> Any:  # noqa: ANN401 -- JSON
    with session.download(call, path, {}) as answer:
        try:
            return json.loads(answer.content)
        except ValueError as exc:
            raise Unreachable(f"no whole answer from Nomad to {call.what}") from exc
