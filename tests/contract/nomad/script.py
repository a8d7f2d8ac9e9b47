"""What happened to the recorded cluster between the recorded requests: the order of the files, and the events in between.

The recording was made in one long run; this is that run's order, found from the index numbers in the answers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.contract.nomad.recorded import NODE_IDS, REIMAGED, steps
from tests.contract.nomad.subjects import ClientSpec

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.nomad.player import Player

SERVERS = ("127.0.1.1:4646", "127.0.1.2:4646", "127.0.1.3:4646")

MAIN: tuple[tuple[str, int, int], ...] = (
    ("06-acl-bootstrap", 1, 12),
    ("06-acl", 1, 49),
    ("01-nodes", 1, 49),
    ("02-demand", 1, 125),
    ("06-acl", 50, 52),
    ("03-capacity-arrives", 1, 22),
    ("04-drain", 1, 75),
    ("11-variables", 1, 40),
    ("10-events", 2, 12),
    ("05-node-lifecycle", 1, 41),
    ("04-drain", 76, 88),
    ("09-metrics", 1, 9),
    ("08-agent", 1, 81),
    ("12-blocking-leader", 1, 50),
    ("06-acl", 53, 63),
    ("02-demand", 126, 164),
)
"""File and steps, in the order in which they happened."""

RULES = {
    "reader": 'namespace "*" { policy = "read" }\nnode { policy = "read" }\nagent { policy = "read" }\n'
    'operator { policy = "read" }\nnode_pool "*" { policy = "read" }',
    "operator-write": 'operator { policy = "write" }',
    "agent-write": 'agent { policy = "write" }',
    "ns-default-read": 'namespace "default" { policy = "read" }',
    "leases-write": 'namespace "default" { variables { path "leases/*" { capabilities = ["write"] } } }',
}


def client(number: int, ident: str = "") -> ClientSpec:
    name = f"vmss-clients_{number}"
    large = number in {2, 6}
    batch = number == 3
    return ClientSpec(
        name,
        ident or NODE_IDS[name],
        f"127.0.2.{number or 10}",
        "batch" if batch else "large" if large else "small",
        "batch" if batch else "default",
        "dc2" if batch else "dc1",
        8000 if large else 4000,
        16384 if large else 8192,
        {"vmss": "vmss-clients", "instance_id": str(number)},
    )


def lead() -> str:
    """The address of the server that leads after `complete_quorum`."""
    return SERVERS[0]


def _start_server(number: int) -> Callable[[Player], None]:
    return lambda player: player.subject.start_server(number)


def _first_clients(player: Player) -> None:
    for number in range(4):
        player.start_client(client(number))
    player.ready(4)


def _policies(player: Player) -> None:
    _first_clients(player)
    for name in ("operator-write", "agent-write", "ns-default-read", "reader"):
        _policy(player, name)


def _policy(player: Player, name: str) -> None:
    body = {"Name": name, "Description": f"{name} policy", "Rules": RULES[name]}
    player.manage("PUT", f"/v1/acl/policy/{name}", body)


def _tokens(player: Player) -> None:
    for name in ("reader", "autoscaler", "operator-write", "agent-write", "leases", "ns-default-read"):
        player.make_token(name)


def _tidy(*keep: str) -> Callable[[Player], None]:
    def act(player: Player) -> None:
        player.purge_jobs(keep)
        player.all_eligible()
        player.subject.rest(1.5)

    return act


def _only_web_waits(player: Player) -> None:
    """Leave web with two waiting allocations on full nodes, and both system jobs waiting for nodes with room.

    They are registered again with a higher priority: on a new node their evaluations then come before that of web, as
    they happened to in the recording; five more is not enough to preempt.
    """
    player.purge_jobs(("web",))
    player.subject.rest(3.0)
    for step in steps("02-demand"):
        if step.number in {80, 82}:
            body = {"Job": {**step.request["body"]["Job"], "Priority": 55}}
            player.manage("POST", "/v1/jobs", body)
    player.subject.rest(1.5)


def _restart(number: int) -> Callable[[Player], None]:
    def act(player: Player) -> None:
        player.start_client(client(number))
        player.subject.rest(0.1)

    return act


def _back_after_gc(player: Player) -> None:
    player.start_client(client(4))
    player.subject.rest(4.0)


def _all_back(player: Player) -> None:
    player.hold("eligible")
    player.subject.rest(1.4)


def _join(number: int) -> Callable[[Player], None]:
    return lambda player: player.start_client(client(number))


def _empty_again(player: Player) -> None:
    player.purge_jobs(())
    player.manage("PUT", "/v1/system/gc", None)
    player.subject.rest(6.0)
    player.all_eligible()


def _reimaged(player: Player) -> None:
    player.start_client(client(1, REIMAGED), fresh=True)


def _leases_write(player: Player) -> None:
    player.make_token("leases-write")


def _kill_leader(player: Player) -> None:
    player.subject.kill_server(0)


def _no_quorum(player: Player) -> None:
    player.subject.kill_server(0)
    gone = int(player.inward("nomad-server-2")[-1])
    player.subject.kill_server(gone)
    for _ in range(30):  # who led goes on until the lease runs out, who followed until heartbeats are missed
        player.subject.rest(0.5)
        if player.subject.send("GET", "/v1/status/leader", {}, {}, b"", SERVERS[3 - gone]).body == b"No cluster leader":
            return


def _bump(player: Player) -> None:
    player.later(1.0, lambda: player.manage("POST", "/v1/jobs", BUMP))


def _slow_again(player: Player) -> None:
    player.all_eligible()
    player.subject.rest(2.0)


def _reset(content: str = "") -> Callable[[Player], None]:
    return lambda player: player.subject.reset_file(content or str(player.indexes[8]))


BUMP = {
    "Job": {
        "ID": "bump",
        "Name": "bump",
        "Type": "batch",
        "Datacenters": ["*"],
        "TaskGroups": [
            {
                "Name": "g",
                "Count": 1,
                "Tasks": [{"Name": "main", "Driver": "raw_exec", "Config": {"command": "/bin/true"}}],
            }
        ],
    }
}

METRIC_JOB = {
    "Job": {
        "ID": "metricjob",
        "Name": "metricjob",
        "Type": "service",
        "Datacenters": ["*"],
        "TaskGroups": [
            {
                "Name": "g",
                "Count": 3,
                "Tasks": [
                    {
                        "Name": "main",
                        "Driver": "raw_exec",
                        "Config": {"command": "/bin/sleep", "args": ["36000"]},
                        "Resources": {"CPU": 30000, "MemoryMB": 64},
                    }
                ],
            }
        ],
    }
}


def _metric_job(player: Player) -> None:
    player.manage("POST", "/v1/jobs", METRIC_JOB)
    player.subject.rest(3.0)


def _without_disc(player: Player) -> None:
    player.manage("DELETE", "/v1/job/disc", None, {"purge": "true"})
    player.subject.rest(0.5)


BEFORE: dict[tuple[str, int], Callable[[Player], None]] = {
    ("06-acl-bootstrap", 1): _start_server(0),
    ("06-acl", 1): _policies,
    ("06-acl", 12): _tokens,
    ("03-capacity-arrives", 1): _only_web_waits,
    ("03-capacity-arrives", 4): _join(4),
    ("03-capacity-arrives", 18): _join(5),
    ("03-capacity-arrives", 19): _join(6),
    ("04-drain", 1): _tidy(),
    ("04-drain", 39): _tidy("log"),
    ("04-drain", 47): _tidy("log"),
    ("04-drain", 54): _tidy("log"),
    ("04-drain", 70): _tidy("log"),
    ("04-drain", 76): _tidy(),
    ("04-drain", 84): _tidy(),
    ("05-node-lifecycle", 1): _tidy(),
    ("04-drain", 87): _slow_again,
    ("05-node-lifecycle", 18): lambda player: player.hold("eligible", "vmss-clients_1"),
    ("05-node-lifecycle", 26): _without_disc,
    ("06-acl", 50): lambda player: player.subject.rest(62.0),
    ("06-acl", 59): _reset("1"),
    ("06-acl", 60): _reset(),
    ("06-acl", 61): _reset(),
    ("02-demand", 148): lambda player: player.hold("ineligible"),
    ("02-demand", 151): _all_back,
    ("02-demand", 152): _tidy(),
    ("05-node-lifecycle", 41): _back_after_gc,
    ("09-metrics", 1): _metric_job,
    ("11-variables", 11): _leases_write,
    ("08-agent", 1): _tidy(),
    ("08-agent", 34): lambda player: _policy(player, "agent-write"),
    ("12-blocking-leader", 3): _bump,
    ("02-demand", 126): _empty_again,
}
"""What to do before a step."""

EVENTS: dict[tuple[str, int], Callable[[Player], None]] = {
    ("06-acl-bootstrap", 4): lambda player: player.complete_quorum(),
    ("05-node-lifecycle", 6): lambda player: player.subject.kill_client("vmss-clients_1"),
    ("05-node-lifecycle", 18): _restart(1),
    ("05-node-lifecycle", 26): lambda player: player.subject.kill_client("vmss-clients_1"),
    ("05-node-lifecycle", 28): _reimaged,
    ("05-node-lifecycle", 37): lambda player: player.subject.kill_client("vmss-clients_4", politely=True),
    ("12-blocking-leader", 34): _no_quorum,
}
"""Observations that are events: what to do at that step."""
