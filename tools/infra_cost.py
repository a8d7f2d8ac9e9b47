"""Write docs/cost.md: what each parameter file costs a month, counted from its predicted resources.

`python -m tools.infra_cost` writes it, `--check` only compares. Prices are assumptions, listed on the page: they differ by
region, currency and contract, and change. Counting is exact, prices are not.
"""

import sys
from dataclasses import dataclass

from tools.infra_bicep import ROOT, parameter_files
from tools.infra_prediction import MACHINE, SCALE_SET, Prediction, prediction

PAGE = ROOT / "docs" / "cost.md"
HOURS = 730
SPOT = 0.3
"""Share of the regular price that spot is assumed to cost."""

SIZES = {
    "Standard_D2s_v5": 0.115,
    "Standard_D4s_v5": 0.230,
    "Standard_E8s_v5": 0.605,
    "Standard_NC4as_T4_v3": 0.660,
}
"""US dollars an hour, Linux, pay as you go."""

DISKS = {"Premium_LRS": 21.70, "PremiumV2_LRS": 12.00, "UltraSSD_LRS": 60.00}
"""128 GB a month."""
OS_DISK = {MACHINE: 5.30, SCALE_SET: 10.20}

MONTHLY = {
    "Microsoft.Network/natGateways": ("NAT gateway, without traffic", 32.90),
    "Microsoft.Network/azureFirewalls": ("Azure Firewall Standard, without traffic", 912.50),
    "Microsoft.Network/bastionHosts": ("Bastion Standard", 211.70),
    "Microsoft.Network/applicationGateways": ("Application Gateway WAF v2, one capacity unit", 334.00),
    "Microsoft.Network/loadBalancers": ("Standard load balancer", 18.30),
    "Microsoft.Network/publicIPAddresses": ("Public address", 3.70),
    "Microsoft.Network/privateEndpoints": ("Private endpoint", 7.30),
    "Microsoft.Network/privateDnsZones": ("Private DNS zone", 0.50),
    "Microsoft.Storage/storageAccounts": ("Storage account, 20 GB of state and logs", 2.00),
    "Microsoft.RecoveryServices/vaults/backupFabrics/protectionContainers/protectedItems": ("Image of a server", 15.00),
    "Microsoft.RecoveryServices/vaults/replicationFabrics/replicationProtectionContainers/replicationProtectedItems": (
        "Site Recovery of a server",
        40.00,
    ),
    "Microsoft.Insights/metricAlerts": ("Metric alert", 0.10),
    "Microsoft.Insights/scheduledQueryRules": ("Log alert", 1.50),
}
HARDWARE_KEY = 5.00
LOGS_PER_MACHINE = 4.10
"""1.5 GB a month and machine, at 2.76 a GB."""
KEEPER = 10.00
"""Flex Consumption: a tick of half a second each 30 seconds at 2 GB, and little else."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a bill."""

    what: str
    count: int
    each: float

    @property
    def total(self) -> float:
        """Dollars a month."""
        return self.count * self.each


def bill(world: Prediction) -> list[Line]:
    """What a month costs with every pool at its floor."""
    lines = [*_machines(world), *_pools(world)]
    lines += [Line(what, len(world.of(kind)), each) for kind, (what, each) in MONTHLY.items() if world.of(kind)]
    hardware = [key for key in world.of("Microsoft.KeyVault/vaults/keys") if key["properties"]["kty"].endswith("-HSM")]
    members = len(world.of(MACHINE)) + sum(pool["sku"]["floor"] for pool in world.of(SCALE_SET))
    lines += [Line("Key in a hardware module", len(hardware), HARDWARE_KEY)] if hardware else []
    return [*lines, Line("Logs of a machine", members, LOGS_PER_MACHINE), Line("The keeper itself", 1, KEEPER)]


def _machines(world: Prediction) -> list[Line]:
    lines: dict[tuple[str, float], int] = {}
    for machine in world.of(MACHINE):
        size = machine["properties"]["hardwareProfile"]["vmSize"]
        key = (
            f"{machine['name'].split('-')[1].capitalize()} machine, {size}, with its disks",
            SIZES[size] * HOURS + OS_DISK[MACHINE],
        )
        lines[key] = lines.get(key, 0) + 1
    disks = world.of("Microsoft.Compute/disks")
    kinds = sorted({disk["sku"]["name"] for disk in disks})
    return [Line(what, count, each) for (what, each), count in lines.items()] + [
        Line(f"Data disk, 128 GB {kind}", len([d for d in disks if d["sku"]["name"] == kind]), DISKS[kind])
        for kind in kinds
    ]


def _pools(world: Prediction) -> list[Line]:
    return [
        Line(
            f"Client of pool {pool['tags']['keeper-pool']}, {pool['sku']['name']}, at its floor",
            pool["sku"]["floor"],
            _hourly(pool) * HOURS + OS_DISK[SCALE_SET],
        )
        for pool in world.of(SCALE_SET)
    ]


def _hourly(pool: dict) -> float:
    spot = pool["properties"]["virtualMachineProfile"]["priority"] == "Spot"
    return SIZES[pool["sku"]["name"]] * (SPOT if spot else 1.0)


def page() -> str:
    """The whole page."""
    worlds = [prediction(file) for file in parameter_files()]
    totals = [(world, sum(line.total for line in bill(world))) for world in worlds]
    lines = [
        "# Cost",
        "",
        "Counted from the resources that each parameter file would create (`python -m tools.infra_cost`), with every pool at its",
        "floor. **Prices are assumptions**: round figures in US dollars for pay-as-you-go in a European region, without traffic,",
        "reservations or taxes. They are in `tools/infra_cost.py`; put your own there, or check with the Azure pricing calculator.",
        "",
        "| parameter file | resources | a month, about |",
        "|---|---|---|",
        *(
            f"| `{world.name}` | {len(world.resources)} | ${total:,.0f} |"
            for world, total in sorted(totals, key=lambda t: t[1])
        ),
        "",
        "What changes the bill most: Bastion (`access = 'JumpBox'` for those with a VPN), the size and floor of pools, spot pools,",
        f"and Azure Firewall. Spot is assumed at {SPOT:.0%} of the regular price. A machine writes about 1.5 GB of logs a month.",
    ]
    for world, total in sorted(totals, key=lambda t: t[1]):
        lines += ["", f"## {world.name}", "", "| what | count | each | a month |", "|---|---|---|---|"]
        lines += [f"| {line.what} | {line.count} | ${line.each:,.2f} | ${line.total:,.2f} |" for line in bill(world)]
        lines += [f"| **all** | | | **${total:,.2f}** |"]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or only compare it."""
    if "--check" in arguments:
        return int(not PAGE.exists() or PAGE.read_text() != page())
    PAGE.write_text(page())
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
