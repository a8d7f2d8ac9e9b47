"""The port matrix: who may call which listener. Written down once more here, by hand, to hold four places equal:
the security groups, the load balancer, the knobs that configure Nomad and Consul, and the keeper's settings."""

from collections.abc import Iterable
from urllib.parse import urlsplit

from tests.infra.rules.network import port_set, rules_of, sources
from tests.infra.rules.registry import rule
from tools.infra_prediction import Prediction, told

PORTS = {
    "nomadHttp": 4646,
    "nomadRpc": 4647,
    "nomadSerf": 4648,
    "consulRpc": 8300,
    "consulSerfLan": 8301,
    "consulSerfWan": 8302,
    "consulHttp": 8500,
    "consulHttps": 8501,
    "consulGrpc": 8502,
    "consulDns": 8600,
    "vaultApi": 8200,
    "vaultCluster": 8201,
    "dynamicFirst": 20000,
    "dynamicLast": 32000,
    "health": 4690,
    "metrics": 4691,
}

# To a subnet: port → (protocol, subnets that may call). Consul's rows move to where its servers stand.
NOMAD = {
    "servers": {
        "4646": ("Tcp", {"servers", "clients", "management", "functions"}),
        "4647": ("Tcp", {"servers", "clients"}),
        "4648": ("*", {"servers"}),
        "4691": ("Tcp", {"clients"}),
    },
    "clients": {
        "4646": ("Tcp", {"servers", "clients", "management"}),
        "4647": ("Tcp", {"servers", "clients", "management"}),
        "4648": ("*", {"servers", "clients"}),
        "4691": ("Tcp", {"clients"}),
        "20000-32000": ("*", {"servers", "clients"}),
    },
}


def consul_rows(machines: set[str], home: str) -> dict[str, tuple[str, set[str]]]:
    """Who calls Consul's servers, which stand in `home`."""
    api = {*machines, "management", "functions"}
    return {
        "8300": ("Tcp", machines),
        "8301": ("*", machines),
        "8302": ("*", {home}),
        "8500": ("Tcp", api),
        "8501": ("Tcp", api),
        "8502": ("Tcp", api),
        "8600": ("*", machines),
    }


def expected(world: Prediction) -> dict[str, dict[str, tuple[str, set[str]]]]:
    """The whole matrix for this world."""
    knobs = told(world.members()[0])["knobs"]
    wanted = {subnet: dict(rows) for subnet, rows in NOMAD.items()} | {"data": {}}
    dedicated = knobs["consul"] == "dedicated"
    if knobs["consul"] != "off":
        home = "data" if dedicated else "servers"
        machines = {"servers", "clients"} | ({"data"} if dedicated else set())
        wanted[home] |= consul_rows(machines, home) | {"4691": ("Tcp", {"clients"})}
        for agents in {"servers", "clients"} - {home}:
            wanted[agents]["8301"] = ("*", machines)
    return wanted


def found(world: Prediction, subnet: str) -> dict[str, tuple[str, set[str]]]:
    """What the group of a subnet lets in, by port; sources that are no subnet of ours keep their prefix."""
    names = {each["addressPrefix"]: name for name, each in world.subnets().items()}
    let_in: dict[str, tuple[str, set[str]]] = {}
    for each in rules_of(world, subnet):
        if each["properties"]["access"] == "Allow" and sources(each) != ["AzureLoadBalancer"]:
            for port in port_set(each):
                _, callers = let_in.get(port, ("", set[str]()))
                callers |= {names.get(source, source) for source in sources(each)}
                let_in[port] = (each["properties"]["protocol"], callers)
    return let_in


def _let_clients_gossip(world: Prediction) -> None:
    serf = next(each for each in rules_of(world, "servers") if "4648" in port_set(each))
    serf["properties"]["sourceAddressPrefixes"].append(world.subnets()["clients"]["addressPrefix"])


@rule(_let_clients_gossip)
def the_port_matrix_is_what_was_decided(world: Prediction) -> Iterable[str]:
    """Groups let in exactly the matrix, besides SSH, the ports of workloads, private endpoints and federated servers."""
    for subnet, rows in expected(world).items():
        let_in = found(world, subnet)
        for port, (protocol, callers) in rows.items():
            got = let_in.pop(port, None)
            ours = got and {caller for caller in got[1] if not caller.startswith("10.1.") and caller != "gateway"}
            if got is None or (got[0], ours) != (protocol, callers):
                yield f"{subnet}:{port} expects {protocol} from {sorted(callers)}, found {got}"
        besides = {"22", "443", "2049", "8080", "9000-9100", "8200", "8201"}
        yield from (f"{subnet}:{port} is open, and not in the matrix" for port in let_in if port not in besides)


def _serve_elsewhere(world: Prediction) -> None:
    balancer = world.one("Microsoft.Network/loadBalancers")["properties"]
    balancer["loadBalancingRules"][0]["properties"]["backendPort"] = 4747


@rule(_serve_elsewhere)
def configuration_and_network_agree_on_ports(world: Prediction) -> Iterable[str]:
    """Knobs, balancer, health extension and the keeper's address all use the ports of the matrix."""
    for member in world.members():
        if told(member)["knobs"]["ports"] != PORTS:
            yield f"{member['name']} is told other ports"
    balancer = world.one("Microsoft.Network/loadBalancers")["properties"]
    if balancer["loadBalancingRules"][0]["properties"]["backendPort"] != PORTS["nomadHttp"]:
        yield "the balancer forwards to another port than Nomad's"
    frontend = balancer["frontendIPConfigurations"][0]["properties"]["privateIPAddress"]
    address = urlsplit(world.settings()["NOMAD_ADDRESS"])
    if (address.scheme, address.hostname, address.port) != ("https", frontend, PORTS["nomadHttp"]):
        yield f"the keeper calls {address.geturl()}"
    for pool in world.of("Microsoft.Compute/virtualMachineScaleSets"):
        extensions = pool["properties"]["virtualMachineProfile"]["extensionProfile"]["extensions"]
        if extensions[0]["properties"]["settings"]["port"] != PORTS["health"]:
            yield f"{pool['name']} is asked for its health on another port"
