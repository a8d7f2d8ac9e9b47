"""Random jobs, in the form in which users submit them: every rule by which Nomad decides where work fits, and odd values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

type Record = dict[str, Any]

TARGETS = (
    "${attr.kernel.name}",
    "${attr.nomad.version}",
    "${attr.os.signals}",
    "${attr.cpu.totalcompute}",
    "${attr.cpu.reservablecores}",
    "${attr.driver.raw_exec}",
    "${attr.nowhere}",
    "${attr.kernel.name",
    "${node.class}",
    "${node.class",
    "${node.datacenter}",
    "${node.pool}",
    "${node.region}",
    "${node.nowhere}",
    "${env.HOME}",
    "${meta.rack}",
    "${meta.v}",
    "${meta.n}",
    "${meta.set}",
    "${meta.word}",
    "${meta.odd}",
    "${meta.empty}",
    "${meta.limit}",
    "${meta.kind}",
    "${meta.nowhere}",
    "${meta.rack}x",
    " ${meta.rack}",
    "$meta.rack",
    "alpha",
    "10",
    "1.2.3",
)
UNIQUE = ("${node.unique.name}", "${node.unique.id}", "${attr.unique.hostname}", "${meta.unique.tag}", "x.unique.y")
WORDS = (
    "linux",
    "general",
    "gpu",
    "dc1",
    "dc2",
    "default",
    "r1",
    "r2",
    "alpha",
    "Alpha",
    "beta",
    "a",
    "a.b",
    "1",
    "é",
    "z",
)
NUMBERS = (
    "10",
    "9",
    "9.5",
    "010",
    "1e3",
    "1000",
    "1_000",
    "0x10",
    "16",
    " 10",
    "nan",
    "inf",
    "-3",
    "+3",
    "٣",
    "abc",
    ".5",
    "1e400",
)
VERSIONS = (
    *(
        "1",
        "1.2",
        "1.2.3",
        "v1.2.3",
        "1.2.3-beta.1",
        "1.2.3-beta.2",
        "1.2.3-alpha",
        "1.2.3+b1",
        "1.2.3.0",
        "1.2.3.4",
        "2.0",
    ),
    *(
        "2.0.0",
        "1.6.5",
        "1.6.5-rc1",
        "1.7",
        "5.15",
        "5.15.0-1051-azure",
        "5.15.0-1050-azure",
        "0",
        "01.2.3",
        "2.0.0.0-rc.1",
    ),
)
OPERATORS = ("", "=", "!=", ">", ">=", "<", "<=", "~>")
SETS = ("a", "b", "a,b", " b , c", "c,a", "SIGTERM,SIGHUP", "SIGTERM, SIGNOT", "", ",", "z", "a,", "ab")
PATTERNS = (
    *(
        "^lin",
        "inux$",
        "^(?i)LIN",
        "(?i)^ALPHA$",
        "^alpha$",
        "^beta$",
        "a.b",
        r"a\.b",
        "[[:alpha:]]+",
        r"^\d+$",
        r"\pL",
        "é",
    ),
    *(
        "^[a-z]+$",
        "alpha|beta",
        "^(alpha|beta)2?$",
        "",
        ".",
        "^.$",
        r"\bd",
        "r[12]",
        "r{1}",
        "a{,2}",
        "^a{,2}$",
        r"\x61",
        r"^\Qa.b\E$",
    ),
    *(
        "(?s)^beta.$",
        "(?m)beta$",
        "^(a|al|alp)+ha",
        r"^\s*a\s*$",
        "^$",
        r"1\.6\.[0-9]+",
        "[^0-9]",
        "[]a]",
        "(?P<n>al)pha",
        r"\z",
        "(?U)a+",
    ),
)
ORDERED = ("<", "<=", ">", ">=")
EQUALS = ("=", "!=", "==", "is", "not")
CONTAINS = ("set_contains", "set_contains_all", "set_contains_any")
DATACENTERS = (
    ["*"],
    ["dc1"],
    ["dc2"],
    ["dc*"],
    ["east-*"],
    ["*-1"],
    ["dc1", "east-2"],
    ["d?1"],
    ["[d]c1"],
    ["*c*"],
    ["DC1"],
    ["dc1*"],
)
POOLS = ("default", "default", "default", "gpu", "all", "all")


def constraint(dice: Random, *, unique: bool = True) -> Record:
    """One constraint of any operator."""
    kind = dice.choice(("equal", "equal", "order", "version", "semver", "regexp", "set", "there", "there"))
    target = dice.choice(TARGETS if not unique or dice.random() > 0.05 else UNIQUE)
    if kind == "there":
        return _constraint(target, dice.choice(("is_set", "is_not_set")), "")
    if kind == "equal":
        return _constraint(target, dice.choice(EQUALS), _either(dice, (*WORDS, *NUMBERS[:4], "plain_0")))
    if kind == "order":
        target = dice.choice((target, "${meta.n}", "${meta.n}", "${meta.odd}", "${attr.cpu.totalcompute}"))
        return _constraint(target, dice.choice(ORDERED), _either(dice, (*NUMBERS, *WORDS[:4])))
    if kind in {"version", "semver"}:
        target = dice.choice(
            (target, "${meta.v}", "${meta.v}", "${attr.nomad.version}", "${meta.n}", dice.choice(VERSIONS))
        )
        terms = [_term(dice) for _ in range(dice.choice((1, 1, 1, 2)))]
        return _constraint(target, kind, ",".join(terms))
    if kind == "regexp":
        target = dice.choice((target, "${meta.word}", "${meta.word}", "${attr.kernel.name}"))
        return _constraint(target, kind, dice.choice(PATTERNS))
    target = dice.choice((target, "${meta.set}", "${meta.set}", "${attr.os.signals}"))
    return _constraint(target, dice.choice(CONTAINS), _either(dice, SETS))


def _constraint(left: str, operand: str, right: str) -> Record:
    return {"LTarget": left, "Operand": operand, "RTarget": right}


def _either(dice: Random, values: tuple[str, ...]) -> str:
    return dice.choice(TARGETS) if dice.random() < 0.15 else dice.choice(values)


def _term(dice: Random) -> str:
    gap = dice.choice(("", " ", "  "))
    return dice.choice((" ", "")) + dice.choice(OPERATORS) + gap + dice.choice(VERSIONS)


def _apart(dice: Random) -> Record | None:
    """Distinct hosts or a distinct property, sometimes."""
    roll = dice.random()
    if roll < 0.08:
        return _constraint("", "distinct_hosts", dice.choice(("", "true", "false", "0", "F", "nonsense")))
    if roll < 0.2:
        target = dice.choice(
            (
                "${meta.rack}",
                "${node.datacenter}",
                "${meta.odd}",
                "${node.unique.id}",
                "${meta.nowhere}",
                "${node.class}",
            )
        )
        return _constraint(target, "distinct_property", dice.choice(("", "1", "2", "3")))
    return None


def _constraints(dice: Random, chance: float, *, apart: bool) -> list[Record] | None:
    found = [constraint(dice) for _ in range(3) if dice.random() < chance]
    extra = _apart(dice) if apart else None
    return [*found, extra] if extra else found or None


def _task(dice: Random, name: str, hook: Record | None) -> Record:
    resources: Record = {
        "CPU": dice.choice((50, 100, 400, 700, 1100, 2500, 5000, 7001)),
        "MemoryMB": dice.choice((16, 100, 333, 1200, 2600, 7000)),
    }
    if dice.random() < 0.12:
        resources |= {"Cores": dice.choice((1, 1, 2, 3))}
        resources.pop("CPU")
    if dice.random() < 0.2:
        resources["MemoryMaxMB"] = resources["MemoryMB"] + 5000
    if dice.random() < 0.03:
        resources["Devices"] = [{"Name": dice.choice(("nvidia/gpu", "gpu")), "Count": 1}]
    driver = dice.choice(("mock_driver",) * 12 + ("raw_exec", "exec", "docker", "qemu", "podman"))
    config = (
        {"run_for": "10h"}
        if driver == "mock_driver"
        else {"command": "/bin/sleep", "args": ["1000"], "image": "x", "image_path": "x"}
    )
    task: Record = {"Name": name, "Driver": driver, "Config": config, "Resources": resources}
    found = _constraints(dice, 0.05, apart=False)
    return task | ({"Lifecycle": hook} if hook else {}) | ({"Constraints": found} if found else {})


def _tasks(dice: Random) -> list[Record]:
    hooks: list[Record | None] = [None]
    if dice.random() < 0.25:
        hooks += [{"Hook": "prestart", "Sidecar": dice.random() < 0.4}]
        hooks += dice.sample(
            [None, {"Hook": "prestart", "Sidecar": False}, {"Hook": "poststop", "Sidecar": False}],
            dice.choice((0, 1, 1, 2)),
        )
    return [_task(dice, f"t{number}", hook) for number, hook in enumerate(hooks)]


def _networks(dice: Random) -> list[Record] | None:
    if dice.random() > 0.25:
        return None
    ports = dice.sample((80, 443, 22, 8005, 9100, 20001), dice.choice((0, 1, 1, 2)))
    network: Record = {"Mode": dice.choice(("", "host", "host", "bridge", "none", "cni/own"))}
    network["ReservedPorts"] = [{"Label": f"p{port}", "Value": port, **_host_network(dice)} for port in ports]
    network["DynamicPorts"] = [{"Label": "d", **_host_network(dice)}] if dice.random() < 0.3 else None
    return [network]


def _host_network(dice: Random) -> Record:
    roll = dice.random()
    if roll < 0.85:
        return {}
    return {"HostNetwork": "default" if roll < 0.92 else "inner"}


def _volumes(dice: Random) -> Record | None:
    if dice.random() > 0.12:
        return None
    names = dice.sample(("data", "certs", "nowhere", "data"), dice.choice((1, 1, 2)))
    return {
        f"v{number}": {
            "Name": f"v{number}",
            "Type": "host",
            "Source": name,
            "ReadOnly": dice.random() < 0.5,
            "PerAlloc": dice.random() < 0.15,
        }
        for number, name in enumerate(names)
    }


def group(dice: Random, name: str) -> Record:
    """One task group."""
    found: Record = {"Name": name, "Count": dice.choice((1, 1, 2, 3, 5, 9, 20, 60)), "Tasks": _tasks(dice)}
    found["Constraints"] = _constraints(dice, 0.15, apart=True)
    found["Networks"] = _networks(dice)
    found["Volumes"] = _volumes(dice)
    if dice.random() < 0.3:
        found["EphemeralDisk"] = {"SizeMB": dice.choice((10, 1000, 30000, 66000, 90000))}
    if dice.random() < 0.2:
        found["Affinities"] = [{**_constraint("${meta.rack}", "=", "r1"), "Weight": dice.choice((-100, 50))}]
    if dice.random() < 0.2:
        found["Spreads"] = [{"Attribute": "${node.datacenter}", "Weight": 100}]
    return found


def job(dice: Random, name: str, *, groups: int = 1) -> Record:
    """One job of that name."""
    kind = dice.choice(("service", "service", "batch"))
    made = [group(dice, f"g{number}") for number in range(groups)]
    if dice.random() < 0.7:
        made[0]["Tasks"] = made[0]["Tasks"][:1]
    return {
        "ID": name,
        "Name": name,
        "Type": kind,
        "Datacenters": dice.choice((["*"],) * 12 + DATACENTERS),
        "NodePool": dice.choice(POOLS),
        "Constraints": _constraints(dice, 0.15, apart=True),
        "TaskGroups": made,
    }


def plain(dice: Random, name: str) -> Record:
    """A job that loads nodes without being picky about them, for others to be fitted beside."""
    made = job(dice, name)
    made["Constraints"] = [each for each in [_apart(dice)] if each] or None
    made["NodePool"], made["Datacenters"] = "all", ["*"]
    for each in made["TaskGroups"]:
        each["Count"] = dice.choice((1, 2, 3))
        each["Constraints"] = [one for one in [_apart(dice)] if one] or None
        for network in each["Networks"] or ():
            network["Mode"] = "host"
        for task in each["Tasks"]:
            task.pop("Constraints", None)
            task["Driver"], task["Config"] = "mock_driver", {"run_for": "100h"}
            task["Resources"].pop("Devices", None)
            if task.get("Lifecycle") and not task["Lifecycle"]["Sidecar"]:
                task["Config"] = {"run_for": "1ms" if task["Lifecycle"]["Hook"] == "prestart" else "100h"}
    return made
