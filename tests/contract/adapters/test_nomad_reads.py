"""What the keeper reads from Nomad, held to the recordings of a real Nomad."""

from datetime import UTC, datetime, timedelta

import pytest
from nomad_replay import answer, nomad_that_answers, recorded

from keeper.core.model import (
    ClientStatus,
    Desired,
    Device,
    DrainStatus,
    JobKey,
    JobKind,
    NodeStatus,
    Resources,
    TemplateSource,
)
from keeper.errors import Permanent, Unreachable

NOW = datetime(2026, 1, 5, 8, tzinfo=UTC)
NODE_STUB = recorded("01-nodes", 2)["body"][0]
WEB = JobKey("default", "web")


def node_stub(**fields):
    return {**NODE_STUB, **fields}


class TestNodes:
    def test_one_call_lists_every_node_with_its_resources(self):
        nomad, http = nomad_that_answers(recorded("01-nodes", 2))

        (node,) = nomad.nodes()

        assert [(each.method, each.path, each.query) for each in http.asked] == [
            ("GET", "/v1/nodes", {"resources": "true"})
        ]
        assert (node.name, node.node_class, node.node_pool, node.datacenter) == (
            "vmss-clients_2",
            "large",
            "default",
            "dc1",
        )
        assert node.status is NodeStatus.READY
        assert node.ready
        assert node.resources == Resources(cpu=8000, cores=2, memory=16384, disk=74386)
        assert node.drivers == {"java", "mock_driver", "raw_exec", "exec"}
        assert node.reserved_ports == {22}
        assert node.last_drain is None

    def test_what_is_reserved_is_not_offered_to_work(self):
        kept = {
            "Cpu": {"CpuShares": 500, "ReservedCpuCores": [0]},
            "Memory": {"MemoryMB": 384},
            "Disk": {"DiskMB": 386},
            "Networks": {"ReservedHostPorts": "22, 8000-8002"},
        }
        nomad, _ = nomad_that_answers(answer([node_stub(ReservedResources=kept)]))

        (node,) = nomad.nodes()

        assert node.resources == Resources(cpu=7500, cores=1, memory=16000, disk=74000)
        assert node.reserved_ports == {22, 8000, 8001, 8002}

    def test_a_drain_tells_who_made_it(self):
        drain = recorded("04-drain", 14)["body"]
        meta = {"keeper-controller": "autoscale", "keeper-reason": "surplus"}
        stub = node_stub(Drain=True, SchedulingEligibility="ineligible", LastDrain={**drain["LastDrain"], "Meta": meta})
        nomad, _ = nomad_that_answers(answer([stub]))

        (node,) = nomad.nodes()

        assert (node.draining, node.eligible, node.ready) == (True, False, False)
        assert node.last_drain.status is DrainStatus.DRAINING
        assert node.last_drain.started == datetime(2026, 11, 23, 18, 15, 13, tzinfo=UTC)
        assert node.drained_by("autoscale")

    def test_only_healthy_devices_count(self):
        devices = [
            {"Vendor": "nvidia", "Type": "gpu", "Name": "T4", "Instances": [{"Healthy": True}, {"Healthy": False}]}
        ]
        nomad, _ = nomad_that_answers(
            answer([node_stub(NodeResources={**NODE_STUB["NodeResources"], "Devices": devices})])
        )

        assert nomad.nodes()[0].devices == (Device("nvidia", "gpu", "T4", 1),)

    def test_nodes_are_sorted_by_name_and_then_id_whatever_the_order_of_the_answer(self):
        stubs = [node_stub(Name=name, ID=each) for name, each in (("b", "1"), ("a", "2"), ("a", "0"))]
        nomad, _ = nomad_that_answers(answer(stubs))

        assert [(node.name, node.id) for node in nomad.nodes()] == [("a", "0"), ("a", "2"), ("b", "1")]

    def test_every_page_is_read_when_the_answer_comes_in_pages(self):
        first = answer([node_stub(ID="1")], headers={"X-Nomad-KnownLeader": "true", "X-Nomad-Nexttoken": "2"})
        nomad, http = nomad_that_answers(first, answer([node_stub(ID="2")]))

        assert [node.id for node in nomad.nodes()] == ["1", "2"]
        assert http.asked[1].query == {"resources": "true", "next_token": "2"}

    def test_a_further_node_will_have_all_but_what_is_unique_to_the_one_seen(self):
        nomad, http = nomad_that_answers(recorded("01-nodes", 21))

        template = nomad.template("76672d36-d6e6-464c-0c2f-ead4037346eb", NOW)

        assert [each.path for each in http.asked] == ["/v1/node/76672d36-d6e6-464c-0c2f-ead4037346eb"]
        assert (template.source, template.seen) == (TemplateSource.SEEN, NOW)
        assert template.node_class == "small"
        assert template.resources.cpu == 4000
        assert template.attributes["attr.kernel.name"] == "linux"
        assert template.attributes["meta.vmss"] == "vmss-clients"
        assert not [key for key in template.attributes if "unique." in key]
        assert "raw_exec" in template.drivers


class TestAllocations:
    def test_one_call_lists_the_allocations_that_may_still_run(self):
        nomad, http = nomad_that_answers(recorded("02-demand", 32))

        (allocation,) = nomad.allocations()

        (asked,) = http.asked
        assert asked.path == "/v1/allocations"
        assert asked.query == {
            "namespace": "*",
            "resources": "true",
            "task_states": "false",
            "filter": 'ClientStatus != "complete" and ClientStatus != "failed" and ClientStatus != "lost"',
        }
        assert (allocation.job, allocation.group, allocation.kind) == (WEB, "g", JobKind.SERVICE)
        assert (allocation.desired, allocation.client, allocation.live) == (Desired.RUN, ClientStatus.RUNNING, True)
        assert allocation.resources == Resources(cpu=2000, memory=1024, disk=150)

    def test_an_unknown_client_status_counts_as_one_that_may_still_run(self):
        (stub,) = recorded("02-demand", 32)["body"]
        nomad, _ = nomad_that_answers(answer([{**stub, "ClientStatus": "hibernating"}]))

        assert nomad.allocations()[0].live

    def test_static_ports_are_seen_and_dynamic_ones_are_not(self):
        (stub,) = recorded("02-demand", 32)["body"]
        network = {"ReservedPorts": [{"Label": "http", "Value": 8080}], "DynamicPorts": [{"Value": 20001}]}
        given = {**stub["AllocatedResources"], "Shared": {"DiskMB": 150, "Networks": [network]}}
        nomad, _ = nomad_that_answers(answer([{**stub, "AllocatedResources": given}]))

        assert nomad.allocations()[0].static_ports == {8080}

    def test_tasks_that_never_run_together_are_not_added_up(self):
        (stub,) = recorded("02-demand", 32)["body"]

        def task(cpu, memory, cores=None):
            return {"Cpu": {"CpuShares": cpu, "ReservedCores": cores}, "Memory": {"MemoryMB": memory}, "Networks": None}

        given = {
            "Shared": {"DiskMB": 300, "Networks": None},
            "Tasks": {
                "init": task(900, 100),
                "mesh": task(50, 20),
                "main": task(500, 400, [0, 1]),
                "logs": task(100, 30),
                "bye": task(10, 700),
            },
            "TaskLifecycles": {
                "init": {"Hook": "prestart", "Sidecar": False},
                "mesh": {"Hook": "prestart", "Sidecar": True},
                "main": None,
                "logs": {"Hook": "poststart", "Sidecar": True},
                "bye": {"Hook": "poststop", "Sidecar": False},
            },
        }
        nomad, _ = nomad_that_answers(answer([{**stub, "AllocatedResources": given}]))

        assert nomad.allocations()[0].resources == Resources(cpu=950, cores=2, memory=720, disk=300)


class TestJobs:
    def test_one_call_counts_what_every_job_has_queued(self):
        nomad, http = nomad_that_answers(recorded("02-demand", 20))

        (stub,) = nomad.jobs()

        assert (http.asked[0].path, http.asked[0].query) == ("/v1/jobs", {"namespace": "*", "meta": "true"})
        assert (stub.key, stub.kind, stub.modify_index, stub.stopped) == (WEB, JobKind.SERVICE, 49, False)
        assert stub.queued == {"g": 2}
        assert stub.meta == {}

    def test_one_call_lists_blocked_evaluations_with_their_reasons(self):
        nomad, http = nomad_that_answers(recorded("02-demand", 7))

        (blocked,) = nomad.blocked()

        assert (http.asked[0].path, http.asked[0].query) == ("/v1/evaluations", {"namespace": "*", "status": "blocked"})
        assert (blocked.job, blocked.node, blocked.quota) == (WEB, None, "")
        assert (blocked.groups, blocked.exhausted) == ({"g"}, {"cpu"})
        assert blocked.since == datetime(2026, 11, 23, 18, 10, 49, 908194, tzinfo=UTC)

    def test_a_blocked_system_evaluation_names_its_node(self):
        found = [each for each in recorded("02-demand", 88)["body"] if each["JobID"] == "sys"]
        nomad, _ = nomad_that_answers(answer([{**found[0], "Namespace": "default"}]))

        (blocked,) = nomad.blocked()

        assert (blocked.kind, blocked.node) == (JobKind.SYSTEM, "1557c670-278e-5758-8af6-270d4619b0c9")

    def test_a_job_with_a_deployment_that_has_not_ended_is_deploying(self):
        found = [
            {"Namespace": "default", "JobID": name, "Status": status}
            for name, status in (("a", "running"), ("b", "successful"), ("c", "paused"), ("d", "failed"))
        ]
        nomad, http = nomad_that_answers(answer(found))

        assert nomad.deploying() == {("default", "a"), ("default", "c")}
        assert (http.asked[0].path, http.asked[0].query["namespace"]) == ("/v1/deployments", "*")


class TestTrust:
    def test_an_answer_that_no_leader_stands_behind_is_not_believed(self):
        nomad, _ = nomad_that_answers(recorded("12-blocking-leader", 38))

        with pytest.raises(Unreachable, match="stale: no leader stands behind it"):
            nomad.nodes()

    def test_an_answer_of_a_server_that_lost_touch_with_its_leader_is_not_believed(self):
        headers = {"X-Nomad-KnownLeader": "true", "X-Nomad-LastContact": "1500"}
        nomad, _ = nomad_that_answers(answer([], headers=headers))

        with pytest.raises(Unreachable, match="1500 ms"):
            nomad.allocations()

    def test_half_an_answer_is_no_answer(self):
        nomad, _ = nomad_that_answers(answer('[{"ID": "76672d36'))

        with pytest.raises(Unreachable):
            nomad.nodes()

    def test_an_answer_of_another_shape_fails_the_whole_read(self):
        nomad, _ = nomad_that_answers(answer([NODE_STUB, {"ID": "1"}]))

        with pytest.raises(Permanent, match=r"list the nodes is not of the known shape: KeyError"):
            nomad.nodes()

    def test_retry_times_are_short_while_an_election_runs(self):
        nomad, _ = nomad_that_answers(recorded("12-blocking-leader", 37))

        with pytest.raises(Unreachable) as caught:
            nomad.nodes()

        assert caught.value.retry_after <= timedelta(seconds=30)
