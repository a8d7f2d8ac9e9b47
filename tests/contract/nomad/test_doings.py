"""What users do with jobs, deployments, nodes and tokens: the same on the stand-in and on a real cluster, where there is one."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.contract.nomad.player import Player
from tests.contract.nomad.runs import make, subjects
from tests.contract.nomad.script import client, lead
from tests.contract.nomad.subjects import ClientSpec

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.contract.nomad.subjects import Observed

type Record = dict[str, Any]

SPEC = ClientSpec("vmss-clients_0", client(0).ident, "127.0.2.10", "general", cpu=4000, memory=8192)
SECOND = 1_000_000_000
UPDATE = {"MinHealthyTime": SECOND // 2, "HealthyDeadline": 6 * SECOND, "ProgressDeadline": 8 * SECOND}
SLEEP = {"command": "/bin/sleep", "args": ["36000"]}


class Stage:
    """A cluster with one client, and a management token."""

    def __init__(self, kind: str) -> None:
        self.subject = make(kind)
        self.player = Player(self.subject)
        self.subject.start_server(0)
        self.player.complete_quorum()
        made = self.subject.send("PUT", "/v1/acl/bootstrap", {}, {}, b"", lead()).json()
        self.player.tokens["management"] = made["SecretID"]
        self.subject.start_client(SPEC)
        self.player.ready(1)

    def ask(self, method: str, place: str, body: object = None, /, who: str = "management", **query: str) -> Observed:
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"X-Nomad-Token": self.player.tokens[who]}
        return self.subject.send(method, place, query, headers, raw, lead())

    def read(self, place: str, /, **query: str) -> Any:
        return self.ask("GET", place, **query).json()

    def run(self, name: str, *, settled: str = "", **fields: Any) -> Record:
        """Register a job, and if asked wait until its deployment has come to a status."""
        answer = self.ask("POST", "/v1/jobs", {"Job": job(name, **fields)})
        assert answer.status == 200, answer.body
        if settled:
            self.until(lambda: (self.deployment(name) or {}).get("Status") == settled)
        return answer.json()

    def deployment(self, name: str) -> Record:
        return self.read(f"/v1/job/{name}/deployment")

    def until(self, holds: Callable[[], bool], seconds: float = 40) -> None:
        end = self.subject.clock() + seconds
        while not holds():
            assert self.subject.clock() < end, "did not come about"
            self.subject.rest(0.25)

    def gone(self, name: str) -> None:
        self.ask("DELETE", f"/v1/job/{name}", purge="true")
        self.until(
            lambda: all(
                a["ClientStatus"] not in {"running", "pending"} for a in self.read(f"/v1/job/{name}/allocations")
            )
        )


def job(name: str, *, count: int = 1, config: Record = SLEEP, kind: str = "service", **fields: Any) -> Record:
    task = {"Name": "t", "Driver": "raw_exec", "Config": config, "Resources": {"CPU": 100, "MemoryMB": 32}}
    task |= fields.pop("task", {})
    group = {"Name": "g", "Count": count, "Tasks": [task], **fields.pop("group", {})}
    return {"ID": name, "Name": name, "Type": kind, "Datacenters": ["*"], "TaskGroups": [group], **fields}


@pytest.fixture(scope="module", params=subjects())
def stage(request: pytest.FixtureRequest) -> Iterator[Stage]:
    made = Stage(request.param)
    try:
        yield made
    finally:
        made.subject.close()


def test_a_deployment_fails_at_once_when_nothing_will_replace_what_failed(stage: Stage):
    never = {"Attempts": 0, "Unlimited": False}
    once = {"Attempts": 0, "Mode": "fail", "Interval": 10 * SECOND, "Delay": SECOND}
    stage.run(
        "hopeless",
        config={"command": "/bin/false"},
        group={"ReschedulePolicy": never, "RestartPolicy": once},
        Update={**UPDATE, "ProgressDeadline": 600 * SECOND},
        settled="failed",
    )

    assert stage.deployment("hopeless")["StatusDescription"] == "Failed due to unhealthy allocations"
    stage.gone("hopeless")


def test_a_deployment_out_of_time_goes_back_to_what_was_stable(stage: Stage):
    stage.run("back", Update={**UPDATE, "AutoRevert": True}, settled="successful")
    registered = len([e for e in stage.read("/v1/job/back/evaluations") if e["TriggeredBy"] == "job-register"])
    stage.run("back", Update={**UPDATE, "AutoRevert": True}, config={"command": "/bin/false"})
    stage.until(lambda: stage.read("/v1/job/back")["Version"] == 2)

    texts = {d["JobVersion"]: d["StatusDescription"] for d in stage.read("/v1/job/back/deployments")}
    assert texts[1] == "Failed due to progress deadline - rolling back to job version 0"
    assert stage.read("/v1/job/back")["TaskGroups"][0]["Tasks"][0]["Config"] == SLEEP
    evals = stage.read("/v1/job/back/evaluations")
    assert len([e for e in evals if e["TriggeredBy"] == "job-register"]) == registered + 1
    stage.gone("back")


def test_a_promotion_gives_the_rest_of_the_rollout_its_full_time(stage: Stage):
    canary = {**UPDATE, "Canary": 1}
    stage.run("bird", count=2, Update=canary, settled="successful")
    stage.run("bird", count=2, Update=canary, config={"command": "/bin/sleep", "args": ["36001"]})
    stage.until(lambda: stage.deployment("bird")["TaskGroups"]["g"]["HealthyAllocs"] == 1)
    stage.subject.rest(9)  # longer than the deadline: who waits for a promotion is not late
    known = stage.deployment("bird")
    assert (known["Status"], known["StatusDescription"]) == (
        "running",
        "Deployment is running but requires manual promotion",
    )

    answer = stage.ask("POST", f"/v1/deployment/promote/{known['ID']}", {"DeploymentID": known["ID"], "All": True})

    assert answer.status == 200
    stage.until(lambda: stage.deployment("bird")["Status"] == "successful")
    stage.gone("bird")


def test_an_unhealthy_allocation_can_be_told_of(stage: Stage):
    stage.run(
        "sick",
        Update={
            **UPDATE,
            "MinHealthyTime": 30 * SECOND,
            "HealthyDeadline": 60 * SECOND,
            "ProgressDeadline": 120 * SECOND,
        },
    )
    stage.until(lambda: bool(stage.read("/v1/job/sick/allocations")))
    known, alloc = stage.deployment("sick"), stage.read("/v1/job/sick/allocations")[0]
    path = f"/v1/deployment/allocation-health/{known['ID']}"

    nothing = stage.ask("POST", path, {"DeploymentID": known["ID"]})
    told = stage.ask("POST", path, {"DeploymentID": known["ID"], "UnhealthyAllocationIDs": [alloc["ID"]]})

    assert (nothing.status, told.status) == (500, 200)
    assert stage.deployment("sick")["StatusDescription"] == "Failed due to unhealthy allocations"
    stage.gone("sick")


def test_a_stopped_job_waits_for_nothing_and_its_evaluation_has_the_priority_asked_for(stage: Stage):
    stage.run("large", count=3, task={"Resources": {"CPU": 3000, "MemoryMB": 32}})
    stage.until(lambda: stage.read("/v1/job/large/summary")["Summary"]["g"]["Queued"] == 2)

    ended = stage.ask("DELETE", "/v1/job/large", eval_priority="90").json()

    stage.until(lambda: stage.read("/v1/job/large/summary")["Summary"]["g"]["Queued"] == 0)
    assert stage.read(f"/v1/evaluation/{ended['EvalID']}")["Priority"] == 90
    stage.gone("large")


def test_tasks_are_given_their_shutdown_delay_unless_told_otherwise(stage: Stage):
    stage.run("slow", task={"ShutdownDelay": 600 * SECOND})
    stage.until(lambda: [a["ClientStatus"] for a in stage.read("/v1/job/slow/allocations")] == ["running"])

    stage.ask("DELETE", "/v1/job/slow", no_shutdown_delay="true")

    stage.until(lambda: [a["ClientStatus"] for a in stage.read("/v1/job/slow/allocations")] == ["complete"])
    events = stage.read("/v1/job/slow/allocations")[0]["TaskStates"]["t"]["Events"]
    assert "Skipping shutdown delay" in {event["Type"] for event in events}
    stage.gone("slow")


def test_a_dispatch_with_a_token_is_made_once(stage: Stage):
    stage.run("many", kind="batch", config={"command": "/bin/true"}, ParameterizedJob={"Payload": "optional"})
    body = {"IdPrefixTemplate": "x"}

    first, second = (stage.ask("POST", "/v1/job/many/dispatch", body, idempotency_token="t").json() for _ in range(2))
    large = stage.ask("POST", "/v1/job/many/dispatch", {"Payload": "AAAA" * 8000})

    assert first["DispatchedJobID"] == second["DispatchedJobID"]
    assert first["DispatchedJobID"].startswith("many/dispatch-x-")
    assert (large.status, large.body) == (500, b"Payload exceeds maximum size; 24000 > 16384")
    stage.gone("many")


def test_a_plan_shows_a_new_job_in_full_and_what_an_edit_does(stage: Stage):
    def plan(name: str, **fields: Any) -> Record:
        return stage.ask("POST", f"/v1/job/{name}/plan", {"Job": job(name, **fields), "Diff": True}).json()["Diff"]

    new = plan("fresh")
    shown = {field["Name"] for field in new["Fields"]}
    assert shown == {
        *("AllAtOnce", "Dispatched", "Name", "Namespace", "NodePool", "Priority", "Region", "Stop", "Type")
    }
    group = new["TaskGroups"][0]
    assert [part["Name"] for part in group["Objects"]] == [
        "RestartPolicy",
        "ReschedulePolicy",
        "EphemeralDisk",
        "Update",
    ]
    assert group["Tasks"][0]["Annotations"] == ["forces create"]

    stage.run("fresh")
    edited = plan("fresh", config={"command": "/bin/sleep", "args": ["36001"]})["TaskGroups"][0]["Tasks"][0]
    assert edited["Annotations"] == ["forces create/destroy update"]
    stage.gone("fresh")


def test_a_namespace_can_forbid_drivers(stage: Stage):
    rules = {"Name": "strict", "Capabilities": {"EnabledTaskDrivers": ["exec"]}}
    assert stage.ask("PUT", "/v1/namespace", rules).status == 200

    refused = stage.ask("POST", "/v1/jobs", {"Job": job("stranger", Namespace="strict")})

    wanted = '1 error occurred:\n\t* used task driver "raw_exec" is not allowed in namespace "strict"\n\n'
    assert (refused.status, refused.body.decode()) == (500, wanted)
    assert stage.read("/v1/namespace/strict")["Capabilities"] == {
        "DisabledTaskDrivers": None,
        "EnabledTaskDrivers": ["exec"],
    }


def test_registrations_can_be_closed_to_all_but_managers(stage: Stage):
    rules = 'namespace "default" { policy = "write" }'
    stage.ask("PUT", "/v1/acl/policy/dev", {"Name": "dev", "Rules": rules})
    stage.player.make_token("dev")
    closed = {"SchedulerAlgorithm": "binpack", "RejectJobRegistration": True}
    stage.ask("PUT", "/v1/operator/scheduler/configuration", closed)

    refused = stage.ask("POST", "/v1/jobs", {"Job": job("late")}, who="dev")
    allowed = stage.ask("POST", "/v1/jobs", {"Job": job("late")})

    stage.ask("PUT", "/v1/operator/scheduler/configuration", {**closed, "RejectJobRegistration": False})
    text = b"Job registration, dispatch, and scale are disabled by the scheduler configuration"
    assert (refused.status, refused.body, allowed.status) == (403, text, 200)
    stage.gone("late")


def test_who_waits_for_the_nodes_hears_when_their_clients_report(stage: Stage):
    before = int(stage.ask("GET", "/v1/nodes").headers["X-Nomad-Index"])
    changed = stage.read("/v1/nodes")[0]["ModifyIndex"]
    stage.run("news", settled="successful", Update=UPDATE)

    assert int(stage.ask("GET", "/v1/nodes").headers["X-Nomad-Index"]) > before
    assert stage.read("/v1/nodes")[0]["ModifyIndex"] == changed
    stage.gone("news")


def test_an_object_has_one_event_per_index(stage: Stage):
    stage.run("told", count=3, settled="successful", Update=UPDATE)
    answer = stage.ask("GET", "/v1/event/stream", topic="Deployment", namespace="*", index="1")

    lines = [json.loads(line) for line in answer.body.splitlines() if line.strip()]
    keys = [(event["Index"], event["Key"]) for line in lines for event in line.get("Events") or []]
    assert len(keys) == len(set(keys))
    assert keys
    stage.gone("told")


def test_the_files_of_an_allocation_can_be_looked_at(stage: Stage):
    stage.run("papers", settled="successful", Update=UPDATE)
    alloc = stage.read("/v1/job/papers/allocations")[0]["ID"]

    assert [entry["Name"] for entry in stage.read(f"/v1/client/fs/ls/{alloc}", path="/")] == ["alloc", "t"]
    assert stage.read(f"/v1/client/fs/stat/{alloc}", path="/alloc/logs")["IsDir"]
    logs = stage.ask("GET", f"/v1/client/fs/logs/{alloc}", task="t", type="stdout", plain="true")
    assert (logs.status, logs.body) == (200, b"")
    assert stage.ask("GET", f"/v1/client/fs/logs/{alloc}", type="stdout").body == b"must provide task name"
    assert stage.ask("GET", f"/v1/client/fs/stat/{alloc}", path="/nothing").status == 404
    stage.gone("papers")


@pytest.mark.parametrize(
    ("path", "body", "text"),
    [
        ("/v1/node/pools", "x", "json: cannot unmarshal string into Go value of type structs.NodePool"),
        ("/v1/jobs", "x", "json: cannot unmarshal string into Go value of type api.JobRegisterRequest"),
        ("/v1/namespace", [], "json: cannot unmarshal array into Go value of type structs.Namespace"),
        ("/v1/search", [], "json: cannot unmarshal array into Go value of type structs.SearchRequest"),
    ],
)
def test_a_body_of_another_shape_is_refused_by_the_name_of_what_was_expected(
    stage: Stage, path: str, body: object, text: str
):
    answer = stage.ask("PUT", path, body)

    assert (answer.status, answer.body.decode()) == (400, text)
