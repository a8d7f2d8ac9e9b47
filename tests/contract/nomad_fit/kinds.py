"""The clients of the cluster that random jobs are fitted onto: of many kinds, so that each rule of fitting tells some apart."""

from __future__ import annotations

from dataclasses import dataclass, field

HERE = "${meta.kind}"
"""Every kind tells its name in its metadata: a job that asks for it goes to that kind only."""


@dataclass(frozen=True, slots=True)
class Kind:
    """Clients that are alike, as many as `nodes`; amounts in MHz and MiB, `volumes` by name with whether they are read-only."""

    name: str
    node_class: str = ""
    node_pool: str = "default"
    datacenter: str = "dc1"
    cpu: int = 4000
    memory: int = 4000
    cores: int = 0
    nodes: int = 1
    reserved_cpu: int = 0
    reserved_memory: int = 0
    reserved_ports: str = ""
    bridge: bool = True
    meta: dict[str, str] = field(default_factory=dict)
    volumes: dict[str, bool] = field(default_factory=dict)

    def told(self) -> dict[str, str]:
        """All of its metadata."""
        return {"kind": self.name, **self.meta}


KINDS = (
    Kind("plain", "general", nodes=2, meta={"rack": "r1", "v": "1.2.3", "n": "10", "set": "a,b, c", "word": "alpha"}),
    Kind(
        "kept",
        "general",
        cpu=6000,
        memory=6000,
        cores=4,
        reserved_cpu=700,
        reserved_memory=500,
        reserved_ports="22,8000-8010",
        meta={"rack": "r1", "v": "1.2.3-beta.1", "n": "9.5", "set": "a", "empty": "", "word": "alpha2"},
    ),
    Kind(
        "shelf",
        "storage",
        datacenter="dc2",
        memory=9000,
        volumes={"data": False, "certs": True, "data[0]": False},
        meta={"rack": "r2", "v": "v2.0", "n": "010", "set": "b,c", "word": "beta\n", "odd": "1_000"},
    ),
    Kind(
        "far", "", "default", "east-1", cpu=3000, cores=2, meta={"rack": "r3", "v": "2.0.0.0", "n": "1e3", "word": "é"}
    ),
    Kind(
        "gpu",
        "gpu",
        "gpu",
        "dc2",
        cpu=8000,
        memory=8000,
        cores=3,
        bridge=False,
        volumes={"certs": False},
        meta={"rack": "r2", "v": "5.15.0-1051-azure", "n": "nan", "set": " a ", "word": "Alpha", "odd": "0x10"},
    ),
    Kind("east", "general", "gpu", "east-2", meta={"v": "not", "n": "-3", "word": "a.b", "odd": "٣", "limit": "10"}),
)

NODES = sum(kind.nodes for kind in KINDS)
