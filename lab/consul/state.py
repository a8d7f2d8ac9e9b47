"""What a Consul server keeps: tables of records as the API shows them, each with the index of its last change."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from uuid import NAMESPACE_OID, uuid4, uuid5

from lab.clock import wall_clock

if TYPE_CHECKING:
    from collections.abc import Iterable

Record = dict[str, Any]

MANAGEMENT_ID = "00000000-0000-0000-0000-000000000001"
READ_ONLY_ID = "00000000-0000-0000-0000-000000000002"
ANONYMOUS_ID = "00000000-0000-0000-0000-000000000002"
ANONYMOUS = "anonymous"
SERF_CHECK = "serfHealth"
PREFIXED = ("agent", "event", "identity", "key", "node", "query", "service", "session")
PLAIN = ("acl", "keyring", "operator", "mesh", "peering")


class Table(StrEnum):
    """The tables, by the names that Consul gives their indexes."""

    NODES = "nodes"
    SERVICES = "services"
    CHECKS = "checks"
    SESSIONS = "sessions"
    KEYS = "kvs"
    TOKENS = "acl-tokens"
    POLICIES = "acl-policies"
    ROLES = "acl-roles"
    METHODS = "acl-auth-methods"


def everything(policy: str) -> str:
    """Rules that give one policy on all there is."""
    rules = [f'{name} = "{policy}"' for name in PLAIN]
    return "\n".join([*rules, *(f'{name}_prefix "" {{ policy = "{policy}" }}' for name in PREFIXED)])


BUILT_IN = {
    MANAGEMENT_ID: ("global-management", "write"),
    READ_ONLY_ID: ("builtin/global-read-only", "read"),
}


@dataclass(slots=True)
class State:
    """Empty until a server begins to lead. Services and checks have keys such as `node/service`."""

    index: int = 1
    tables: dict[Table, dict[str, Record]] = field(default_factory=lambda: {table: {} for table in Table})
    changed: dict[Table, int] = field(default_factory=dict)

    def put(self, table: Table, key: str, record: Record) -> Record:
        """Write a record, with new indexes."""
        self.index += 1
        former = self.tables[table].get(key)
        created = former["CreateIndex"] if former else self.index
        self.tables[table][key] = {**record, "CreateIndex": created, "ModifyIndex": self.index}
        self.changed[table] = self.index
        return self.tables[table][key]

    def remove(self, table: Table, keys: Iterable[str]) -> None:
        """Remove records; those that are not there are no error."""
        for key in list(keys):
            if self.tables[table].pop(key, None) is not None:
                self.index += 1
                self.changed[table] = self.index

    def rows(self, table: Table) -> list[Record]:
        """The records, in the order of their keys."""
        return [record for _, record in sorted(self.tables[table].items())]

    def token(self, secret: str) -> Record | None:
        """The token with that secret; none at all is the anonymous one."""
        wanted = secret or ANONYMOUS
        return next((token for token in self.rows(Table.TOKENS) if token["SecretID"] == wanted), None)

    def rules(self, token: Record) -> str:
        """All rules of a token's policies."""
        policies = self.tables[Table.POLICIES]
        linked = [policies.get(link["ID"]) for link in token.get("Policies") or ()]
        return "\n".join(policy["Rules"] for policy in linked if policy)

    def begin_to_lead(self, management: str) -> None:
        """Make what a leader finds missing: the built-in policies, the configured and the anonymous token."""
        for key, (name, policy) in BUILT_IN.items():
            if key not in self.tables[Table.POLICIES]:
                self.put_policy({"ID": key, "Name": name, "Rules": everything(policy)})
        if self.token(management) is None:
            link = {"ID": MANAGEMENT_ID, "Name": "global-management"}
            self.put_token({"SecretID": management, "Description": "Initial Management Token", "Policies": [link]})
        if self.token("") is None:
            self.put_token({"AccessorID": ANONYMOUS_ID, "SecretID": ANONYMOUS, "Description": "Anonymous Token"})

    def put_policy(self, given: Record) -> Record:
        """Make or change a policy."""
        same = (policy["ID"] for policy in self.rows(Table.POLICIES) if policy["Name"] == given["Name"])
        key = given.get("ID") or next(same, None) or str(uuid4())
        rules = given.get("Rules", "")
        record = {"ID": key, "Name": given["Name"], "Description": given.get("Description", ""), "Rules": rules}
        return self.put(Table.POLICIES, key, {**record, "Datacenters": None, "Hash": _hash(given["Name"] + rules)})

    def put_token(self, given: Record) -> Record:
        """Make or change a token; policies may be linked by name."""
        key = given.get("AccessorID") or str(uuid4())
        ids = {policy["Name"]: policy["ID"] for policy in self.rows(Table.POLICIES)}
        links = [
            {"ID": link.get("ID") or ids[link["Name"]], "Name": link.get("Name", "")}
            for link in given.get("Policies", ())
        ]
        record: Record = {
            "AccessorID": key,
            "SecretID": given.get("SecretID") or str(uuid4()),
            "Description": given.get("Description", ""),
            **({"Policies": links} if links else {}),
            "Local": bool(given.get("Local", False)),
            "CreateTime": f"{wall_clock():%Y-%m-%dT%H:%M:%S.%f}Z",
            "Hash": _hash(key),
        }
        return self.put(Table.TOKENS, key, record)

    def register(self, name: str, datacenter: str, address: str, version: str) -> None:
        """Have a server in the catalog: its node, its check, its service."""
        node = {"ID": str(uuid5(NAMESPACE_OID, name)), "Node": name, "Address": address, "Datacenter": datacenter}
        meta = {"TaggedAddresses": None, "Meta": {"consul-version": version}}
        self.put(Table.NODES, name, node | meta)
        check = {"Node": name, "CheckID": SERF_CHECK, "Name": "Serf Health Status", "Status": "passing"}
        self.put(Table.CHECKS, f"{name}/{SERF_CHECK}", check)
        self.put(Table.SERVICES, f"{name}/consul", {"Node": name, "ID": "consul", "Service": "consul", "Tags": []})

    def tidy(self, name: str, datacenter: str, address: str, version: str) -> None:
        """What a leader does each minute: members are in the catalog, other nodes with a Serf check are not, with all they had."""
        if name not in self.tables[Table.NODES]:
            self.register(name, datacenter, address, version)
        checks = self.rows(Table.CHECKS)
        gone = {each["Node"] for each in checks if each["CheckID"] == SERF_CHECK and each["Node"] != name}
        self.remove(Table.NODES, gone)
        for table in (Table.CHECKS, Table.SERVICES, Table.SESSIONS):
            of_gone = [key for key, record in self.tables[table].items() if record["Node"] in gone]
            self.remove(table, of_gone)


def _hash(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
