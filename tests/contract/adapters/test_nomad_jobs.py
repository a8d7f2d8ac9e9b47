"""What the keeper makes of a job's specification, held to the recordings of a real Nomad."""

import pytest
from nomad_replay import answer, nomad_that_answers, recorded

from keeper.core.model import Constraint, DeviceAsk, Distinct, JobKey, JobKind, Operand, Resources

JOB = recorded("02-demand", 25)["body"]
WEB = JobKey("default", "web")


def job(*, group=None, task=None, **fields):
    found = {**JOB, **fields}
    tasks = [{**JOB["TaskGroups"][0]["Tasks"][0], **(task or {})}]
    found["TaskGroups"] = [{**JOB["TaskGroups"][0], "Tasks": tasks, **(group or {})}]
    return found


def spec_of(document):
    nomad, _ = nomad_that_answers(answer(document))
    return nomad.job(JobKey(document["Namespace"], document["ID"]), document["JobModifyIndex"])


def test_a_job_is_reduced_to_what_decides_where_it_can_run():
    nomad, http = nomad_that_answers(recorded("02-demand", 25))

    spec = nomad.job(WEB, 49)

    assert [(each.path, each.query) for each in http.asked] == [("/v1/job/web", {"namespace": "default"})]
    assert (spec.key, spec.kind, spec.modify_index, spec.datacenters) == (WEB, JobKind.SERVICE, 49, ("*",))
    group = spec.groups["g"]
    assert group.resources == Resources(cpu=2000, memory=1024, disk=150)
    assert (group.count, group.drivers, group.distinct, group.sticky_disk) == (10, {"raw_exec"}, Distinct.NO, False)


def test_a_specification_is_read_once_per_modify_index():
    nomad, http = nomad_that_answers(answer(JOB), answer({**JOB, "JobModifyIndex": 60}))

    for index in (49, 49, 60, 60, 49):
        nomad.job(WEB, index)

    assert len(http.asked) == 2


def test_kept_specifications_are_bounded_and_the_oldest_goes_first(monkeypatch):
    monkeypatch.setattr("keeper.nomad.cluster.SPECS", 2)
    names = ["a", "b", "c", "a"]
    nomad, http = nomad_that_answers(*(answer({**JOB, "ID": name}) for name in names))

    for name in ["a", "b", "c", "c", "b", "a"]:
        nomad.job(JobKey("default", name), 49)

    assert [each.path for each in http.asked] == [f"/v1/job/{name}" for name in names]


def test_a_job_whose_name_holds_a_slash_is_asked_for_by_its_whole_name():
    nomad, http = nomad_that_answers(answer({**JOB, "ID": "cron/periodic-1"}))

    nomad.job(JobKey("default", "cron/periodic-1"), 49)

    assert http.last.path_url.startswith("/v1/job/cron%2Fperiodic-1?")


def test_constraints_of_job_group_and_tasks_hold_together():
    def constraint(left, operand, right):
        return {"LTarget": left, "Operand": operand, "RTarget": right}

    spec = spec_of(
        job(
            Constraints=[constraint("${node.class}", "=", "gpu")],
            group={"Constraints": [constraint("${attr.cpu.arch}", "is", "arm64")]},
            task={"Constraints": [constraint("${meta.x}", "version", ">= 1.2")]},
        )
    )

    assert spec.groups["g"].constraints == (
        Constraint("${node.class}", Operand.EQUAL, "gpu"),
        Constraint("${attr.cpu.arch}", Operand.EQUAL, "arm64"),
        Constraint("${meta.x}", Operand.VERSION, ">= 1.2"),
    )


def test_a_constraint_with_an_unknown_operator_is_met_by_no_node_and_stops_nothing_else():
    spec = spec_of(job(Constraints=[{"LTarget": "${node.class}", "Operand": "resembles", "RTarget": "gpu"}]))

    (constraint,) = spec.groups["g"].constraints
    assert constraint == Constraint("${attr.keeper.unknown_operator}", Operand.EQUAL, "resembles")


@pytest.mark.parametrize(
    ("of_job", "of_group", "distinct"),
    [("true", None, Distinct.JOB), (None, "", Distinct.GROUP), ("false", None, Distinct.NO)],
)
def test_distinct_hosts_keeps_the_level_it_was_written_at(of_job, of_group, distinct):
    def constraints(right):
        return None if right is None else [{"LTarget": "", "Operand": "distinct_hosts", "RTarget": right}]

    group = spec_of(job(Constraints=constraints(of_job), group={"Constraints": constraints(of_group)})).groups["g"]

    assert (group.distinct, group.constraints) == (distinct, ())


def test_ports_devices_volumes_cores_and_sticky_disks_are_asked_for():
    spec = spec_of(
        job(
            Datacenters=["dc2"],
            NodePool="batch",
            Meta={"do_not_disrupt": "true"},
            group={
                "Networks": [{"ReservedPorts": [{"Label": "http", "Value": 8080}]}],
                "EphemeralDisk": {"SizeMB": 600, "Sticky": True, "Migrate": False},
                "Volumes": {
                    "data": {"Type": "host", "Source": "data", "Name": "data"},
                    "db": {"Type": "csi", "Source": "disk-1", "Name": "db"},
                },
            },
            task={
                "Resources": {
                    "CPU": 0,
                    "Cores": 2,
                    "MemoryMB": 64,
                    "Devices": [{"Name": "nvidia/gpu", "Count": 1, "Constraints": None}],
                }
            },
        )
    )

    group = spec.groups["g"]
    assert (spec.datacenters, spec.node_pool, spec.meta) == (("dc2",), "batch", {"do_not_disrupt": "true"})
    assert group.resources == Resources(cpu=0, cores=2, memory=64, disk=600)
    assert (group.static_ports, group.devices) == ({8080}, (DeviceAsk("nvidia/gpu", 1),))
    assert (group.host_volumes, group.csi_volumes, group.sticky_disk) == ({"data"}, {"disk-1"}, True)
