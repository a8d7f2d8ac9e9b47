"""The routes of the API: path or prefix, handler, and whether the request goes to the leader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.nomad.http.endpoints import (
    acls,
    agent,
    allocations,
    client,
    deployments,
    evaluations,
    files,
    job,
    jobs,
    metrics,
    monitor,
    namespaces,
    nodes,
    operator,
    pools,
    search,
    snapshot,
    stream,
    system,
    variables,
)
from lab.nomad.http.message import TEXT_TYPE

if TYPE_CHECKING:
    from lab.nomad.http.call import Handler


@dataclass(frozen=True, slots=True)
class Route:
    """One handler. `rpc`: a server is asked, so a leader is needed unless `stale` reads are allowed and asked for.

    `cross_origin`: pages of any origin may read the answers.
    """

    handler: Handler
    rpc: bool = True
    stale: bool = True
    error_type: str = TEXT_TYPE
    cross_origin: bool = False


def _local(handler: Handler) -> Route:
    return Route(handler, rpc=False)


def _browsed(handler: Handler) -> Route:
    return Route(handler, cross_origin=True)


ROUTES: dict[str, Route] = {
    "/v1/jobs": Route(jobs.jobs),
    "/v1/jobs/parse": _local(jobs.parse),
    "/v1/job/": Route(job.job),
    "/v1/validate/job": Route(jobs.validate),
    "/v1/nodes": Route(nodes.nodes),
    "/v1/node/": Route(nodes.node),
    "/v1/node/pools": Route(pools.pools),
    "/v1/node/pool/": Route(pools.pool),
    "/v1/allocations": Route(allocations.allocations),
    "/v1/allocation/": Route(allocations.allocation),
    "/v1/evaluations": Route(evaluations.evaluations),
    "/v1/evaluations/count": Route(evaluations.count),
    "/v1/evaluation/": Route(evaluations.evaluation),
    "/v1/deployments": Route(deployments.deployments),
    "/v1/deployment/": Route(deployments.deployment),
    "/v1/volumes": Route(system.no_storage),
    "/v1/plugins": Route(system.no_storage),
    "/v1/services": Route(system.none_of_kind),
    "/v1/acl/bootstrap": Route(acls.bootstrap),
    "/v1/acl/tokens": Route(acls.tokens),
    "/v1/acl/token": Route(acls.token_create),
    "/v1/acl/token/": Route(acls.token),
    "/v1/acl/token/self": Route(acls.self_token),
    "/v1/acl/policies": Route(acls.policies),
    "/v1/acl/policy/": Route(acls.policy),
    "/v1/acl/roles": Route(acls.roles),
    "/v1/acl/role": Route(acls.role_create),
    "/v1/acl/role/": Route(acls.role),
    "/v1/acl/auth-methods": Route(system.none_of_kind),
    "/v1/acl/auth-method": Route(system.no_login),
    "/v1/acl/binding-rules": Route(system.none_of_kind),
    "/v1/acl/binding-rule": Route(system.no_login),
    "/v1/acl/oidc/auth-url": Route(system.no_login),
    "/v1/acl/oidc/complete-auth": Route(system.no_login),
    "/v1/acl/login": Route(system.no_login),
    "/v1/client/metadata": _browsed(client.metadata),
    "/v1/client/stats": _browsed(client.stats),
    "/v1/client/gc": Route(client.collect),
    "/v1/client/allocation/": _browsed(client.allocation),
    "/v1/client/fs/": _browsed(files.files),
    "/v1/agent/self": _local(agent.self_),
    "/v1/agent/join": _local(agent.join),
    "/v1/agent/members": _local(agent.members),
    "/v1/agent/force-leave": _local(agent.force_leave),
    "/v1/agent/servers": _local(agent.servers),
    "/v1/agent/keyring/": _local(agent.gossip),
    "/v1/agent/health": _local(agent.health),
    "/v1/agent/monitor": _local(monitor.monitor),
    "/v1/agent/host": _local(agent.host),
    "/v1/metrics": _local(metrics.metrics),
    "/v1/regions": _local(system.regions),
    "/v1/status/leader": Route(system.leader, stale=False),
    "/v1/status/peers": Route(system.peers, stale=False),
    "/v1/scaling/policies": Route(system.scaling_policies),
    "/v1/scaling/policy/": Route(system.scaling_policy),
    "/v1/search": Route(search.prefix),
    "/v1/search/fuzzy": Route(search.fuzzy),
    "/v1/operator/license": _local(system.license_),
    "/v1/operator/raft/": Route(operator.raft),
    "/v1/operator/keyring/": Route(operator.keyring),
    "/v1/operator/autopilot/configuration": Route(operator.autopilot),
    "/v1/operator/autopilot/health": Route(operator.health, stale=False),
    "/v1/operator/snapshot": Route(snapshot.snapshot),
    "/v1/operator/scheduler/configuration": Route(operator.scheduler),
    "/v1/system/gc": Route(system.collect),
    "/v1/system/reconcile/summaries": Route(system.reconcile),
    "/v1/event/stream": _local(stream.stream),
    "/v1/namespaces": Route(namespaces.namespaces),
    "/v1/namespace": Route(namespaces.create),
    "/v1/namespace/": Route(namespaces.namespace),
    "/v1/vars": _browsed(variables.variables),
    "/v1/var/": _browsed(variables.variable),
    "/v1/quotas": _local(system.enterprise),
    "/v1/quota": _local(system.enterprise),
    "/v1/quota/": _local(system.enterprise),
    "/v1/quota-usages": _local(system.enterprise),
    "/v1/sentinel/policies": _local(system.enterprise),
    "/v1/recommendations": _local(system.enterprise),
    "/v1/recommendation": _local(system.enterprise),
}
