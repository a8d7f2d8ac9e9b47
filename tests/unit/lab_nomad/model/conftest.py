"""A cluster with a clock in hand, and short ways to say what is asked of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from lab.nomad.model.cluster import Cluster

SECOND = 1_000_000_000
QUICK = {"MinHealthyTime": SECOND, "HealthyDeadline": 60 * SECOND, "HealthCheck": "task_states"}


class Lab:
    """One cluster of the model, driven by `wait`."""

    def __init__(self):
        self.now = datetime(2026, 11, 23, 18, 0, tzinfo=UTC)
        self.cluster = Cluster(
            lambda: self.now, heartbeat_grace=timedelta(seconds=2), min_heartbeat_ttl=timedelta(seconds=5)
        )
        self.store = self.cluster.store

    def wait(self, seconds):
        end = self.now + timedelta(seconds=seconds)
        while (due := self.cluster.next_due()) is not None and due <= end:
            self.now = max(self.now, due)
            self.cluster.advance()
        self.now = end
        self.cluster.advance()

    def node(self, name="client", **described):
        return self.cluster.register_node(name=name, **described)["ID"]

    def look(self, node_id):
        return self.store.get("nodes", node_id)

    def run(self, job_id, **parts):
        return self.cluster.register_job(job(job_id, **parts))

    def eval(self, answer):
        return self.store.get("evals", answer["EvalID"])

    def allocs(self, job_id, **having):
        found = self.store.by("allocs", "job", ("default", job_id))
        return [alloc for alloc in found if all(alloc.get(key) == value for key, value in having.items())]

    def running(self, job_id):
        return [a for a in self.allocs(job_id, ClientStatus="running") if a["DesiredStatus"] == "run"]

    def summary(self, job_id, group="g"):
        counts = self.store.get("job_summaries", ("default", job_id))["Summary"][group]
        return {name: count for name, count in counts.items() if count}

    def evals(self, job_id, **having):
        found = self.store.by("evals", "job", ("default", job_id))
        return [one for one in found if all(one.get(key) == value for key, value in having.items())]

    def blocked(self, job_id):
        return self.evals(job_id, Status="blocked")

    def job(self, job_id):
        return self.store.get("jobs", ("default", job_id))

    def deployment(self, job_id):
        return self.cluster.state.latest_deployment(("default", job_id))


def job(  # each is one thing a test may say about a job
    job_id, *, count=1, cpu=2000, memory=64, kind="service", config=None, group=None, task=None, resources=None, **parts
):
    service = {"Migrate": {"MaxParallel": 1, **QUICK}, "Update": {**QUICK, "ProgressDeadline": 120 * SECOND}}
    main = {
        "Name": "main",
        "Driver": "mock_driver",
        "Config": config or {"run_for": "10h"},
        "Resources": resources or {"CPU": cpu, "MemoryMB": memory},
        **(task or {}),
    }
    full = {
        "Name": "g",
        "Count": count,
        "Tasks": [main],
        "EphemeralDisk": {"SizeMB": 150},
        **(service if kind == "service" else {}),
        **(group or {}),
    }
    return {"ID": job_id, "Name": job_id, "Type": kind, "Datacenters": ["*"], "TaskGroups": [full], **parts}


@pytest.fixture
def lab():
    return Lab()


@pytest.fixture
def describe():
    return job
