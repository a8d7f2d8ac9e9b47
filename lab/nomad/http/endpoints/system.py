"""/v1/system, /v1/status, /v1/regions, /v1/scaling and the endpoints of the Enterprise edition."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from lab.nomad.http.call import NOTHING, Answer
from lab.nomad.http.lists import page
from lab.nomad.model.errors import Refusal
from lab.nomad.model.store import Table

if TYPE_CHECKING:
    from lab.nomad.http.call import Call
    from lab.nomad.model.store import Record


def collect(call: Call) -> Answer:
    """Collect garbage at once: down nodes, dead jobs, finished evaluations and allocations, expired tokens."""
    call.only("PUT")
    call.may(call.rights.management)
    call.cluster.gc()
    call.region.acl.collect_expired(call.region.now())
    return Answer()


def reconcile(call: Call) -> Answer:
    """Reckon the job summaries anew: they are right at any time here."""
    call.only("PUT")
    call.may(call.rights.management)
    return Answer()


def leader(call: Call) -> Answer:
    """Answer the RPC address of the leader."""
    call.only("GET")
    known = call.region.servers.leader
    return Answer(known.rpc if known else "")


def peers(call: Call) -> Answer:
    """Answer the RPC addresses of the servers in the Raft configuration."""
    call.only("GET")
    return Answer([member.rpc for member in call.region.servers.peers()])


def regions(call: Call) -> Answer:
    """Answer the names of the regions: there is one."""
    call.only("GET")
    return Answer([call.region.name])


def scaling_policies(call: Call) -> Answer:
    """List the stubs of the scaling policies that stand in jobs."""
    call.only("GET")
    rights, namespace = call.rights, call.namespace
    reads = rights.namespace(namespace, "list-jobs") and rights.namespace(namespace, "read-job")
    call.may(reads or rights.namespace(namespace, "list-scaling-policies"))
    wanted_job, wanted_type = call.request.value("job"), call.request.value("type")
    policies = [
        policy
        for policy in _policies(call, namespace)
        if wanted_job in {"", policy["Target"]["Job"]} and wanted_type in {"", policy["Type"]}
    ]
    shown, token = page(call, policies, lambda policy: policy["ID"], _policy_stub)
    return call.read(shown, Table.JOBS, index=max(1, call.store.table_index(Table.JOBS)), next_token=token)


def _policies(call: Call, namespace: str) -> list[Record]:
    found: list[Record] = []
    for job in call.store.rows(Table.JOBS):
        if namespace not in {"*", job["Namespace"]} or job["Stop"]:
            continue
        found += [group["Scaling"] for group in job["TaskGroups"] or [] if group.get("Scaling")]
    return sorted(found, key=lambda policy: policy["ID"])


def _policy_stub(policy: Record) -> dict[str, Any]:
    return {name: policy[name] for name in ("ID", "Enabled", "Type", "Target", "CreateIndex", "ModifyIndex")}


def scaling_policy(call: Call) -> Answer:
    """Read a scaling policy."""
    call.only("GET")
    call.may(call.rights.namespace(call.namespace, "read-scaling-policy", "read-job"))
    found = next((policy for policy in _policies(call, "*") if policy["ID"] == call.rest), None)
    return call.one(found, "policy not found", Table.JOBS)


def enterprise(_call: Call) -> Answer:
    """Refuse what only the Enterprise edition has."""
    raise Refusal(501, "Nomad Enterprise only endpoint")


def license_(call: Call) -> Answer:
    """Answer nothing: the Community Edition has no licence."""
    call.only("GET", "PUT", "POST")
    return Answer(NOTHING, 204)


def no_storage(call: Call) -> Answer:
    """List volumes or plugins: there are none, and a list of none names no index and asks for no right."""
    call.only("GET")
    return Answer([])


def no_login(call: Call) -> Answer:
    """Refuse to set up single sign-on or to log in with it: the stand-in has tokens only."""
    call.only("PUT", "POST")
    call.body()
    raise Refusal(500, "the stand-in has no auth methods: use tokens")


def none_of_kind(call: Call) -> Answer:
    """List what the stand-in never has (services, login methods): nothing."""
    call.only("GET")
    call.may(call.rights.any_in_namespace(call.namespace))
    return call.read([], index=1)
