"""Canaries: small things of the keeper's own whose presence proves a restored state. Pure.

Nomad has a job and a variable, Consul a key. The variable is encrypted with the root key like every other one, so reading it proves the keyring, which a healthy server
without its keys does not show (`tests/recordings/nomad-1.6.5/07-snapshot.json`). Its proof is computed from its content, so
that a restored one can be told from garbage without knowing what it was. The job is parameterized and never dispatched: it
is there, and runs nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256

from keeper.core.retention import CLOCKS_AGREE

JOB = "keeper-canary"
NAMESPACE = "default"
VARIABLE = KEY = "keeper/canary"
"""The path of Nomad's variable and of Consul's key."""
STAMP = "%Y-%m-%dT%H:%M:%SZ"
REFRESH = timedelta(days=1)

RULES = (
    f'namespace "{NAMESPACE}" {{ capabilities = ["submit-job", "read-job"] '
    f'variables {{ path "{VARIABLE}" {{ capabilities = ["read", "write"] }} }} }}'
)
"""The smallest right that keeps Nomad's."""
KEY_RULES = f'key "{KEY}" {{ policy = "write" }}'
"""The smallest right that keeps Consul's."""


@dataclass(frozen=True, slots=True)
class Canary:
    """What the variable or key says. `refreshed` has whole seconds."""

    cluster: str
    refreshed: datetime

    def items(self) -> dict[str, str]:
        """The variable's items; the key holds them as JSON."""
        stamp = f"{self.refreshed.astimezone(UTC):{STAMP}}"
        return {"cluster": self.cluster, "refreshed": stamp, "proof": _proof(self.cluster, stamp)}

    @classmethod
    def of(cls, items: Mapping[str, str]) -> "Canary | None":
        """The canary of such items, or None when they do not prove themselves."""
        cluster, stamp = items.get("cluster", ""), items.get("refreshed", "")
        if items.get("proof") != _proof(cluster, stamp):
            return None
        try:
            return cls(cluster, datetime.strptime(stamp, STAMP).replace(tzinfo=UTC))
        except ValueError:
            return None


def _proof(cluster: str, stamp: str) -> str:
    return sha256(f"nomad-keeper canary\n{cluster}\n{stamp}".encode()).hexdigest()


def is_due(items: Mapping[str, str] | None, cluster: str, now: datetime) -> bool:
    """Whether it has to be written anew: it is missing, damaged, another cluster's, older than a day, or from a clock that ran ahead."""
    canary = None if items is None else Canary.of(items)
    if canary is None or canary.cluster != cluster:
        return True
    return not -CLOCKS_AGREE <= now - canary.refreshed < REFRESH


def job_of(canary: Canary) -> dict[str, object]:
    """The canary job as `PUT /v1/jobs` takes it."""
    task = {
        "Name": "nothing",
        "Driver": "raw_exec",
        "Config": {"command": "/bin/true"},
        "Resources": {"CPU": 10, "MemoryMB": 10},
    }
    return {
        "Job": {
            "ID": JOB,
            "Name": JOB,
            "Type": "batch",
            "Namespace": NAMESPACE,
            "Datacenters": ["*"],
            "ParameterizedJob": {"Payload": "forbidden"},
            "Meta": {"refreshed": canary.items()["refreshed"]},
            "TaskGroups": [{"Name": "nothing", "Count": 1, "Tasks": [task]}],
        }
    }
