"""Who needs which rights of Nomad and Consul, and where the tokens are waited for. Pure.

Rules by https://developer.hashicorp.com/nomad/docs/other-specifications/acl-policy and
https://developer.hashicorp.com/consul/docs/security/acl/acl-rules. Each is the least that its holder's calls need.
"""

import json
from dataclasses import dataclass

from keeper.core import canaries, versions
from keeper.core.access import Entry, Kind, Token, Wanted
from keeper.core.certificates import Audience, Place
from keeper.core.snapshots import Product

SAVE_SINCE = "1.11.3"
"""From this version of Nomad on, saving a snapshot needs no management token."""
IDENTITY_SINCE = "1.7.0"
"""From this version of Nomad on, work signs in to Consul by itself, and servers need no right to make tokens."""

WATCHER_TOKEN = "nomad-watcher-token"  # noqa: S105 -- the secret's name, as the two below
CONSUL_AGENT_TOKEN = "consul-agent-token"  # noqa: S105
NOMAD_CONSUL_TOKEN = "nomad-consul-token"  # noqa: S105

KEEPER_RULES = f"""
namespace "*" {{ policy = "read" }}
node {{ policy = "write" }}
agent {{ policy = "read" }}
operator {{ policy = "read" }}
namespace "{canaries.NAMESPACE}" {{
  policy       = "read"
  capabilities = ["submit-job", "dispatch-job", "read-job"]
  variables {{
    path "{canaries.VARIABLE}" {{
      capabilities = ["read", "write"]
    }}
  }}
}}
""".strip()
"""The keeper reads work everywhere, changes nodes, keeps its canaries and dispatches the drill; it runs nothing else."""

WATCHER_RULES = """
namespace "*" { capabilities = ["read-job"] }
node { policy = "read" }
agent { policy = "read" }
""".strip()

SAVER_RULES = 'operator { capabilities = ["snapshot-save"] }'

AGENT_RULES = """
node_prefix "" { policy = "write" }
service_prefix "" { policy = "read" }
""".strip()
"""What a Consul agent keeps of itself in the catalogue."""

NOMAD_RULES = """
agent_prefix "" { policy = "read" }
node_prefix "" { policy = "read" }
service_prefix "" { policy = "write" }
""".strip()
"""What a Nomad agent does in Consul: registers itself and the services of its work."""

MAKES_TOKENS = '\nacl = "write"'
"""Nomad servers before workload identity make their work's tokens themselves."""

TASK_RULES = """
key_prefix "" { policy = "read" }
service_prefix "" { policy = "read" }
""".strip()
"""What a task may do that signed in: read the keys and services that its templates name."""

METHOD, TASKS = "nomad-workloads", "nomad-tasks"
"""The names that the node program tells Nomad's clients."""
AUDIENCE = "consul.io"


@dataclass(frozen=True, slots=True, kw_only=True)
class NomadShape:
    """What of the settings decides Nomad's access."""

    management: str
    """Names of secrets in the keeper's vault."""
    keeper: str
    saver: str
    version: str


def wanted_of_nomad(shape: NomadShape) -> Wanted:
    """What the keeper, its snapshots and the watcher need."""
    by_policy = _since(shape.version, SAVE_SINCE)
    own = Audience.KEEPER
    saver = [Entry(Kind.POLICY, "keeper-snapshot", SAVER_RULES)] if by_policy else []
    saves = Token("keeper-snapshot", (Place(own, shape.saver),), ("keeper-snapshot",))
    manages = Token("keeper-snapshot-management", (Place(own, shape.saver),))
    return Wanted(
        product=Product.NOMAD,
        management=Place(own, shape.management),
        entries=(
            Entry(Kind.POLICY, "keeper", KEEPER_RULES),
            Entry(Kind.POLICY, "keeper-watcher", WATCHER_RULES),
            *saver,
        ),
        tokens=(
            Token("keeper", (Place(own, shape.keeper),), ("keeper",)),
            Token("keeper-watcher", (Place(Audience.SERVERS, WATCHER_TOKEN),), ("keeper-watcher",)),
            saves if by_policy else manages,
        ),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulShape:
    """What of the settings decides Consul's access."""

    management: str
    """Names of secrets in the keeper's vault."""
    saver: str
    nomad_version: str
    """Release of Nomad; empty while it is not known: then Nomad waits for its tokens."""
    machines: tuple[Audience, ...]
    """The audiences whose machines run a Consul agent."""
    keys_url: str
    """Where Consul's servers fetch the keys that Nomad signs its work's identities with."""
    bundle: str
    """The CAs that they verify it by, PEM."""


def wanted_of_consul(shape: ConsulShape) -> Wanted:
    """What agents, Nomad and its work need."""
    tokens = [
        Token(f"keeper-agent-{audience}", (Place(audience, CONSUL_AGENT_TOKEN),), ("keeper-agent",))
        for audience in shape.machines
    ]
    entries = [Entry(Kind.POLICY, "keeper-agent", AGENT_RULES)]
    if shape.saver != shape.management:
        tokens.append(Token("keeper-snapshot", (Place(Audience.KEEPER, shape.saver),)))
    if shape.nomad_version:
        by_identity = _since(shape.nomad_version, IDENTITY_SINCE)
        rules = {
            Audience.SERVERS: NOMAD_RULES if by_identity else NOMAD_RULES + MAKES_TOKENS,
            Audience.CLIENTS: NOMAD_RULES,
        }
        nomads = [audience for audience in shape.machines if audience in rules]
        entries += [Entry(Kind.POLICY, f"keeper-nomad-{audience}", rules[audience]) for audience in nomads]
        entries += _workloads(shape) if by_identity else []
        tokens += [
            Token(f"keeper-nomad-{audience}", (Place(audience, NOMAD_CONSUL_TOKEN),), (f"keeper-nomad-{audience}",))
            for audience in nomads
        ]
    return Wanted(
        product=Product.CONSUL,
        management=Place(Audience.KEEPER, shape.management),
        entries=tuple(entries),
        tokens=tuple(tokens),
    )


def _workloads(shape: ConsulShape) -> list[Entry]:
    """How Nomad's work signs in (https://developer.hashicorp.com/nomad/docs/integrations/consul/acl): services as themselves, tasks by a role of their namespace."""
    method = {
        "JWKSURL": shape.keys_url,
        "JWKSCACert": shape.bundle,
        "JWTSupportedAlgs": ["RS256"],
        "BoundAudiences": [AUDIENCE],
        "ClaimMappings": {each: each for each in ("nomad_namespace", "nomad_job_id", "nomad_task", "nomad_service")},
    }
    service = {
        "AuthMethod": METHOD,
        "BindType": "service",
        "BindName": "${value.nomad_service}",
        "Selector": '"nomad_service" in value',
    }
    task = {
        "AuthMethod": METHOD,
        "BindType": "role",
        "BindName": TASKS + "-${value.nomad_namespace}",
        "Selector": '"nomad_service" not in value',
    }
    return [
        Entry(Kind.POLICY, TASKS, TASK_RULES),
        Entry(Kind.ROLE, f"{TASKS}-default", TASKS),
        Entry(Kind.METHOD, METHOD, as_body(method)),
        Entry(Kind.BINDING, "keeper: services", as_body(service)),
        Entry(Kind.BINDING, "keeper: tasks", as_body(task)),
    ]


def as_body(document: object) -> str:
    """The one spelling of a document that bodies are compared in."""
    return json.dumps(document, sort_keys=True)


def _since(version: str, release: str) -> bool:
    return versions.satisfies(version, f">= {release}", strict=False) is True
