"""/v1/acl: bootstrap, tokens, policies, roles. Held to tests/recordings/nomad-1.6.5 (06-acl-bootstrap.json, 06-acl.json)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.acl.book import POLICIES, ROLES, TOKENS
from lab.nomad.http.decode import ListOf, Struct, decode, duration
from lab.nomad.http.lists import by_creation, in_order, page
from lab.nomad.model.errors import Refusal
from lab.nomad.model.times import go_duration

if TYPE_CHECKING:
    from lab.nomad.http.call import Answer, Call
    from lab.nomad.model.store import Record

_LINK = Struct("ACLTokenRoleLink", {"ID": "string", "Name": "string"})
_TOKEN = Struct(
    "struct { ExpirationTTL interface {}; Hash string; *structs.Alias }",
    {
        "AccessorID": "string",
        "SecretID": "string",
        "Name": "string",
        "Type": "string",
        "Policies": ListOf("string"),
        "Roles": ListOf(_LINK),
        "Global": "bool",
        "ExpirationTime": "string",
        "ExpirationTTL": "any",
    },
)
_POLICY = Struct(
    "structs.ACLPolicy",
    {
        "Name": "string",
        "Description": "string",
        "Rules": "string",
        "JobACL": Struct("JobACL", {"Namespace": "string", "JobID": "string", "Group": "string", "Task": "string"}),
    },
)
_ROLE = Struct(
    "structs.ACLRole",
    {
        "ID": "string",
        "Name": "string",
        "Description": "string",
        "Policies": ListOf(Struct("ACLRolePolicyLink", {"Name": "string"})),
    },
)


def _shown_token(record: Record) -> dict[str, Any]:
    ttl = record["ExpirationTTL"]
    return {**record, "ExpirationTTL": go_duration(ttl) if ttl else ""}


def _token_stub(record: Record) -> dict[str, Any]:
    return {name: value for name, value in record.items() if name not in {"SecretID", "ExpirationTTL"}}


def bootstrap(call: Call) -> Answer:
    """Make the first management token."""
    call.only("PUT", "POST")
    secret = ""
    if call.request.body:
        try:
            secret = (decode(call.request.body) or {}).get("BootstrapSecret") or ""
        except Refusal as refusal:
            raise Refusal(400, f"failed to decode request body: {refusal.text}") from refusal
    return call.written(_shown_token(call.region.acl.bootstrap(secret)))


def tokens(call: Call) -> Answer:
    """List the stubs of all tokens."""
    call.only("GET")
    call.may(call.rights.management)
    prefix, reverse = call.request.value("prefix"), call.request.value("reverse") == "true"
    records = [token for token in call.store.rows(TOKENS) if token["AccessorID"].startswith(prefix)]
    if call.request.flag("global"):
        records = [token for token in records if token["Global"]]
    if prefix:
        stubs, token = page(call, sorted(records, key=_by_accessor, reverse=reverse), _by_accessor, _token_stub)
    else:
        named = [{**record, "ID": record["AccessorID"]} for record in records]
        found, token = page(call, in_order(call, named), by_creation, reverse=reverse)
        stubs = [{name: value for name, value in _token_stub(entry).items() if name != "ID"} for entry in found]
    return call.read(stubs, TOKENS, next_token=token)


def _by_accessor(record: Record) -> str:
    return record["AccessorID"]


def token_create(call: Call) -> Answer:
    """Write the token that the body describes."""
    call.only("PUT", "POST")
    return _write_token(call, "")


def token(call: Call) -> Answer:
    """Read, write or delete a token by its accessor."""
    accessor = call.rest
    if not accessor:
        raise Refusal(400, "Missing Token Accessor")
    call.only("GET", "PUT", "POST", "DELETE")
    if call.request.method == "GET":
        return _read_token(call, accessor)
    if call.request.method == "DELETE":
        call.may(call.rights.management)
        call.region.acl.delete_token(accessor)
        return call.written()
    return _write_token(call, accessor)


def _read_token(call: Call, accessor: str) -> Answer:
    rights = call.rights
    record = call.store.get(TOKENS, accessor)
    own = record is not None and record["SecretID"] == call.request.token
    call.may(rights.management or own)
    return call.one(record, "ACL token not found", TOKENS, body=record and _shown_token(record))


def _write_token(call: Call, accessor: str) -> Answer:
    body: dict[str, Any] = call.body(_TOKEN) or {}
    if accessor and body.get("AccessorID") != accessor:
        raise Refusal(400, "ACL token accessor does not match request path")
    try:
        body["ExpirationTTL"] = duration(body.get("ExpirationTTL"))
    except ValueError as exc:
        raise Refusal(400, str(exc)) from exc
    call.may(call.rights.management)
    return call.written(_shown_token(call.region.acl.upsert_token(body)))


def self_token(call: Call) -> Answer:
    """Read the caller's own token; an expired one too, as long as it is not collected."""
    call.only("GET")
    if not call.request.token:
        raise Refusal(500, "acl token lookup failed: missing secret id")
    record = call.region.acl.by_secret(call.request.token)
    return call.one(record, "ACL token not found", TOKENS, body=record and _shown_token(record))


def policies(call: Call) -> Answer:
    """List the stubs of the policies: all for management, a client's own for itself."""
    call.only("GET")
    rights, prefix = call.rights, call.request.value("prefix")
    own = _own_policies(call)
    call.may(rights.management or own is not None)
    records = [
        policy
        for policy in call.store.rows(POLICIES)
        if policy["Name"].startswith(prefix) and (own is None or policy["Name"] in own)
    ]
    stubs, following = page(call, records, lambda policy: policy["Name"], _policy_stub)
    return call.read(stubs, POLICIES, index=max(1, call.store.table_index(POLICIES)), next_token=following)


def _policy_stub(record: Record) -> dict[str, Any]:
    return {name: record[name] for name in ("Name", "Description", "Hash", "CreateIndex", "ModifyIndex")}


def _own_policies(call: Call) -> set[str] | None:
    if call.rights.management:
        return None
    record = call.region.acl.by_secret(call.request.token)
    if record is None:
        return {"anonymous"}
    names = set(record["Policies"] or [])
    for link in record["Roles"] or []:
        role = call.store.get(ROLES, link["ID"])
        names.update(entry["Name"] for entry in (role["Policies"] if role else []))
    return names


def policy(call: Call) -> Answer:
    """Read, write or delete a policy."""
    name = call.rest
    if not name:
        raise Refusal(400, "Missing Policy Name")
    call.only("GET", "PUT", "POST", "DELETE")
    if call.request.method == "GET":
        own = _own_policies(call)
        call.may(own is None or name in own)
        return call.one(call.store.get(POLICIES, name), "ACL policy not found", POLICIES)
    if call.request.method == "DELETE":
        call.may(call.rights.management)
        if call.store.delete(POLICIES, name) is None:
            call.store.touch(POLICIES)
        return call.written()
    body: dict[str, Any] = call.body(_POLICY) or {}
    if body.get("Name") != name:
        raise Refusal(400, "ACL policy name does not match request path")
    call.may(call.rights.management)
    call.region.acl.upsert_policy(body)
    return call.written()


def roles(call: Call) -> Answer:
    """List the roles: all for management, a client's own for itself."""
    call.only("GET")
    rights, prefix = call.rights, call.request.value("prefix")
    record = call.region.acl.by_secret(call.request.token)
    own = {link["ID"] for link in (record or {}).get("Roles") or []}
    shown = [
        role
        for role in call.store.rows(ROLES)
        if role["ID"].startswith(prefix) and (rights.management or role["ID"] in own)
    ]
    return call.read(shown, ROLES, index=max(1, call.store.table_index(ROLES)))


def role_create(call: Call) -> Answer:
    """Write the role that the body describes."""
    call.only("PUT", "POST")
    return _write_role(call, "")


def role(call: Call) -> Answer:
    """Read a role by ID or by name, write or delete it."""
    parts = call.rest.split("/")
    if len(parts) == 2:
        return _role_by_name(call, *parts)
    if len(parts) > 2:
        raise Refusal(400, "invalid URI")
    if not parts[0]:
        raise Refusal(400, "missing ACL role ID")
    call.only("GET", "PUT", "POST", "DELETE")
    if call.request.method == "GET":
        return _shown_role(call, call.store.get(ROLES, parts[0]))
    if call.request.method == "DELETE":
        call.may(call.rights.management)
        if call.store.delete(ROLES, parts[0]) is None:
            raise Refusal(500, "ACL role not found")
        return call.written()
    return _write_role(call, parts[0])


def _role_by_name(call: Call, kind: str, name: str) -> Answer:
    call.only("GET")
    if kind != "name":
        raise Refusal(400, "invalid URI")
    if not name:
        raise Refusal(400, "missing ACL role name")
    return _shown_role(call, call.region.acl.role_named(name))


def _shown_role(call: Call, record: Record | None) -> Answer:
    rights, own = call.rights, call.region.acl.by_secret(call.request.token)
    linked = record is not None and record["ID"] in {link["ID"] for link in (own or {}).get("Roles") or []}
    call.may(rights.management or linked)
    return call.one(record, "ACL role not found", ROLES)


def _write_role(call: Call, ident: str) -> Answer:
    body: dict[str, Any] = call.body(_ROLE) or {}
    if ident and body.get("ID") != ident:
        raise Refusal(400, "ACL role ID does not match request path")
    call.may(call.rights.management)
    return call.written(call.region.acl.upsert_role(body))
