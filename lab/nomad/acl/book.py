"""The book of ACLs: tokens, policies and roles in the store, and what a secret may do.

Behaviour held to ../../tests/recordings/nomad-1.6.5 (06-acl-bootstrap.json, 06-acl.json).
"""

from __future__ import annotations

import base64
import hashlib
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from lab.nomad.acl.rights import MANAGEMENT, NOTHING, Rights
from lab.nomad.acl.rules import InvalidRules, as_json, read_rules
from lab.nomad.acl.validate import token_problems
from lab.nomad.http.gotext import parse_rfc3339, rfc3339
from lab.nomad.model.errors import Refusal, multierror
from lab.nomad.model.words import Cause

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from lab.nomad.model.store import Record, Store

TOKENS, POLICIES, ROLES, META = "acl_token", "acl_policy", "acl_roles", "acl_meta"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class AclBook:
    """Tokens, policies and roles. `fresh` gives identifiers; with `enabled` false everybody may do everything."""

    def __init__(self, store: Store, fresh: Callable[[], str], *, enabled: bool = True) -> None:
        self.enabled = enabled
        self.reset_index: int | None = None
        """What the file acl-bootstrap-reset on the leader says; used up by the bootstrap that it allows."""
        self._store, self._fresh = store, fresh
        self._secrets: dict[str, Record] = {}
        self._compiled: dict[str, tuple[tuple[int, int], Rights]] = {}
        store.hook(TOKENS, self._index_secret)

    def _index_secret(self, _key: Hashable, old: Record | None, new: Record | None) -> None:
        if old is not None:
            self._secrets.pop(old["SecretID"], None)
        if new is not None:
            self._secrets[new["SecretID"]] = new

    def by_secret(self, secret: str) -> Record | None:
        """Answer the token of a secret, expired ones included; None when there is none."""
        return self._secrets.get(secret)

    def rights(self, secret: str) -> Rights:
        """Answer what a secret may do; refuse an unknown or expired one. No secret has what policy `anonymous` gives."""
        if not self.enabled:
            return MANAGEMENT
        if not secret:
            anonymous = self._store.get(POLICIES, "anonymous")
            return Rights([read_rules(anonymous["Rules"])]) if anonymous else NOTHING
        token = self._secrets.get(secret)
        if token is None or self._expired(token):
            raise Refusal(403, "Permission denied")
        return MANAGEMENT if token["Type"] == "management" else self._client_rights(token)

    def _expired(self, token: Record) -> bool:
        return bool(token["ExpirationTime"]) and parse_rfc3339(token["ExpirationTime"]) < self._store.now()

    def _client_rights(self, token: Record) -> Rights:
        # Policies and roles change rarely; what a token may do is compiled once per change.
        version = (self._store.table_index(POLICIES), self._store.table_index(ROLES))
        key = f"{token['AccessorID']}.{token['ModifyIndex']}"
        known = self._compiled.get(key)
        if known is None or known[0] != version:
            names = dict.fromkeys(token["Policies"] or [])
            for link in token["Roles"] or []:
                role = self._store.get(ROLES, link["ID"])
                names.update(dict.fromkeys(entry["Name"] for entry in (role["Policies"] if role else [])))
            policies = [policy for name in names if (policy := self._store.get(POLICIES, name))]
            known = self._compiled[key] = (version, Rights(read_rules(policy["Rules"]) for policy in policies))
        return known[1]

    def bootstrap(self, secret: str = "") -> Record:
        """Make the first management token, with a secret of the caller's choice if given; refuse a second time."""
        done = self._store.get(META, "bootstrap")
        if done is not None:
            self._check_reset(done["ModifyIndex"])
        if secret and not UUID.fullmatch(secret.lower()):
            raise Refusal(400, "invalid acl token")
        record = self._new_token({"Name": "Bootstrap Token", "Type": "management", "Global": True})
        record["SecretID"] = secret or record["SecretID"]
        self.reset_index = None
        with self._store.transaction(Cause.SILENT):
            self._store.put(META, "bootstrap", {})
            return self._store.put(TOKENS, record["AccessorID"], _hashed_token(record))

    def _check_reset(self, index: int) -> None:
        if not self.reset_index:
            raise Refusal(400, f"ACL bootstrap already done (reset index: {index})")
        if self.reset_index != index:
            given = self.reset_index
            raise Refusal(400, f"Invalid bootstrap reset index (specified {given}, reset index: {index})")

    def _new_token(self, given: dict[str, Any]) -> dict[str, Any]:
        now = self._store.now()
        ttl = given.get("ExpirationTTL") or 0
        expires = given.get("ExpirationTime")
        if not expires and ttl:
            expires = rfc3339(now + timedelta(microseconds=ttl / 1000))
        management = given.get("Type") == "management"
        return {
            "AccessorID": self._fresh(),
            "SecretID": self._fresh(),
            "Name": given.get("Name") or "",
            "Type": given.get("Type") or "",
            "Policies": given.get("Policies") or (None if management else []),
            "Roles": given.get("Roles") or None,
            "Global": bool(given.get("Global")),
            "CreateTime": rfc3339(now),
            "ExpirationTime": expires or None,
            "ExpirationTTL": ttl,
        }

    def upsert_token(self, given: dict[str, Any]) -> Record:
        """Create a token, or update the one that an AccessorID names; refuse with 400 as recorded."""
        existing = None
        if accessor := given.get("AccessorID"):
            existing = self._store.get(TOKENS, accessor)
            if existing is None:
                raise Refusal(400, f"cannot find token {accessor}")
        record = self._new_token(given)
        problems = token_problems(record, existing)
        if problems:
            raise Refusal(400, f"token 0 invalid: {multierror(problems)}")
        if existing is not None:
            kept = ("AccessorID", "SecretID", "CreateTime", "ExpirationTime")
            record |= {name: existing[name] for name in kept}
        record["Roles"] = [self._role_link(link) for link in record["Roles"] or []] or None
        return self._store.put(TOKENS, record["AccessorID"], _hashed_token(record))

    def _role_link(self, link: dict[str, Any]) -> dict[str, str]:
        role = self._store.get(ROLES, link["ID"]) if link.get("ID") else self.role_named(link.get("Name") or "")
        if role is None:
            raise Refusal(400, f"cannot find role {link.get('ID') or link.get('Name')}")
        return {"ID": role["ID"], "Name": role["Name"]}

    def role_named(self, name: str) -> Record | None:
        """Answer the role of a name, None when there is none."""
        return next((role for role in self._store.rows(ROLES) if role["Name"] == name), None)

    def delete_token(self, accessor: str) -> None:
        """Delete a token; refuse one that does not exist with 400."""
        if self._store.delete(TOKENS, accessor) is None:
            raise Refusal(400, f"Cannot delete nonexistent tokens: {accessor}")

    def upsert_policy(self, given: dict[str, Any]) -> Record:
        """Create or replace a policy; refuse rules that do not parse with 400."""
        name, rules = given.get("Name") or "", given.get("Rules") or ""
        problems = [] if re.fullmatch(r"[a-zA-Z0-9-]{1,128}", name) else [f"invalid name '{name}'"]
        parsed = None
        try:
            parsed = as_json(read_rules(rules), rules)
        except InvalidRules as exc:
            problems.append(f"failed to parse rules: {exc}")
        if len(given.get("Description") or "") > 256:
            problems.append("description longer than 256")
        if problems:
            raise Refusal(400, f"policy 0 invalid: {multierror(problems)}")
        record = {
            "Name": name,
            "Description": given.get("Description") or "",
            "Rules": rules,
            "RulesJSON": parsed,
            "JobACL": given.get("JobACL"),
        }
        record["Hash"] = digest(name, record["Description"], rules)
        return self._store.put(POLICIES, name, record)

    def upsert_role(self, given: dict[str, Any]) -> Record:
        """Create a role, or update the one that an ID names; refuse with 400 as Nomad does."""
        links = {link.get("Name") or "": {"Name": link.get("Name") or ""} for link in given.get("Policies") or []}
        name, description = given.get("Name") or "", given.get("Description") or ""
        self._check_role(given, name, description, list(links))
        record = {
            "ID": given.get("ID") or self._fresh(),
            "Name": name,
            "Description": description,
            "Policies": list(links.values()),
            "Hash": digest(name, description, *links),
        }
        return self._store.put(ROLES, record["ID"], record)

    def _check_role(self, given: dict[str, Any], name: str, description: str, policies: list[str]) -> None:
        problems = [] if re.fullmatch(r"[a-zA-Z0-9-]{1,128}", name) else [f"invalid name '{name}'"]
        if len(description) > 256:
            problems.append("description longer than 256")
        if not policies:
            problems.append("at least one policy should be specified")
        if problems:
            raise Refusal(400, f"role 0 invalid: {multierror(problems)}")
        if not given.get("ID") and self.role_named(name):
            raise Refusal(400, f"role with name {name} already exists")
        if given.get("ID") and self._store.get(ROLES, given["ID"]) is None:
            raise Refusal(400, f"cannot find role {given['ID']}")
        for policy in policies:
            if self._store.get(POLICIES, policy) is None:
                raise Refusal(400, f"cannot find policy {policy}")

    def collect_expired(self, now: datetime) -> None:
        """Delete tokens that have expired: what garbage collection does."""
        for token in self._store.rows(TOKENS):
            if token["ExpirationTime"] and parse_rfc3339(token["ExpirationTime"]) < now:
                self._store.delete(TOKENS, token["AccessorID"])


def _hashed_token(record: dict[str, Any]) -> dict[str, Any]:
    scope = "global" if record["Global"] else "local"
    roles = [link["ID"] for link in record["Roles"] or []]
    return {**record, "Hash": digest(record["Name"], record["Type"], *(record["Policies"] or []), scope, *roles)}


def digest(*parts: str) -> str:
    """Answer the BLAKE2b-256 of the parts in Base64: the Hash field of ACL objects and namespaces."""
    return base64.b64encode(hashlib.blake2b("".join(parts).encode(), digest_size=32).digest()).decode()
