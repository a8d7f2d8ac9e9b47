"""Which certificates and shared keys a cluster of that shape needs: the names are those that machines ask for. Pure.

`cloud-init/README.md` lists what each role reads; a test holds both equal.
"""

from dataclasses import dataclass

from keeper.core.certificates import Audience, Place, Wanted

BUNDLE = "nomad-ca-bundle"
NOMAD_CERTIFICATE = "nomad-agent-tls"
NOMAD_GOSSIP = "nomad-gossip-key"
CONSUL_CERTIFICATE = "consul-agent-tls"
CONSUL_GOSSIP = "consul-gossip-key"
VAULT_CERTIFICATE = "vault-server-tls"
VAULT_NAME = "vault.service.consul"

HERE = ("localhost", "127.0.0.1")
"""How a machine calls its own agents."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """What runs where, as far as certificates go."""

    region: str
    own_bundles: tuple[str, ...]
    """The names of the bundle in the keeper's own vault, the master first."""
    clients: bool = True
    consul_server: str = ""
    """The name that Consul's servers are verified as, `server.<datacenter>.consul`; empty: no Consul."""
    dedicated_consul: bool = False
    """Whether Consul has machines of its own, else it runs on the Nomad servers."""
    with_vault: bool = False
    domain: str = ""
    """Private DNS domain that servers are found in; empty: none."""


def wanted(shape: Shape) -> Wanted:
    """Everything that has to exist for that shape."""
    machines = [
        Audience.SERVERS,
        *([Audience.CLIENTS] if shape.clients else []),
        *([Audience.CONSUL] if shape.dedicated_consul else []),
    ]
    own = [Place(Audience.KEEPER, name) for name in dict.fromkeys(shape.own_bundles)]
    return Wanted(
        master=own[0],
        bundles=(*own, *(Place(audience, BUNDLE) for audience in machines)),
        leaves={place: names for audience in machines for place, names in _leaves(shape, audience).items()},
        shared=_shared(shape, machines),
    )


def _leaves(shape: Shape, audience: Audience) -> dict[Place, frozenset[str]]:
    found: dict[Place, frozenset[str]] = {}
    if audience is not Audience.CONSUL:
        role = "server" if audience is Audience.SERVERS else "client"
        found[Place(audience, NOMAD_CERTIFICATE)] = _names(shape, f"{role}.{shape.region}.nomad", audience)
    if shape.consul_server:
        name = shape.consul_server if _serves_consul(shape, audience) else _as_client(shape.consul_server)
        found[Place(audience, CONSUL_CERTIFICATE)] = _names(shape, name, audience)
    if shape.with_vault and audience is Audience.SERVERS:
        found[Place(audience, VAULT_CERTIFICATE)] = _names(shape, VAULT_NAME, audience)
    return found


def _serves_consul(shape: Shape, audience: Audience) -> bool:
    return audience is (Audience.CONSUL if shape.dedicated_consul else Audience.SERVERS)


def _as_client(server: str) -> str:
    return f"client.{server.partition('.')[2]}"


def _names(shape: Shape, name: str, audience: Audience) -> frozenset[str]:
    """The product's own name, this machine's, and for servers every name in the cluster's domain."""
    domain = [f"*.{shape.domain}"] if shape.domain and audience is not Audience.CLIENTS else []
    return frozenset({name, *HERE, *domain})


def _shared(shape: Shape, machines: list[Audience]) -> dict[str, tuple[Audience, ...]]:
    nomad = {NOMAD_GOSSIP: (Audience.SERVERS,)}
    return {**nomad, CONSUL_GOSSIP: tuple(machines)} if shape.consul_server else nomad
