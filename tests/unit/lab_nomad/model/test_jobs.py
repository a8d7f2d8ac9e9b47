"""Jobs: registering, updating, scaling, stopping, children, refusals."""

import pytest

from lab.nomad.model.errors import Refusal

SECOND = 1_000_000_000
NO_RESTART = {"Attempts": 0, "Interval": 10 * SECOND, "Delay": SECOND, "Mode": "fail"}


def refusal(call, *args, **named):
    with pytest.raises(Refusal) as refused:
        call(*args, **named)
    return refused.value.status, refused.value.text


def test_a_service_becomes_healthy_and_its_version_stable(lab):
    lab.node()
    lab.run("web", count=2, cpu=500)
    lab.wait(5)

    assert lab.job("web")["Status"] == "running"
    assert lab.job("web")["Stable"] is True
    assert lab.deployment("web")["TaskGroups"]["g"]["HealthyAllocs"] == 2


def test_batch_work_completes_and_the_job_is_dead(lab):
    lab.node()
    lab.run("bat", kind="batch", count=2, cpu=100, config={"run_for": "5s"})
    lab.wait(10)

    assert lab.summary("bat") == {"Complete": 2}
    assert lab.job("bat")["Status"] == "dead"


def test_room_freed_by_batch_work_is_given_to_what_waits(lab):
    lab.node()
    lab.run("bat", kind="batch", cpu=3000, config={"run_for": "5s"})
    lab.run("web", cpu=3000)
    assert lab.summary("web") == {"Queued": 1}

    lab.wait(10)

    assert lab.summary("web") == {"Running": 1}


def test_a_destructive_update_rolls_one_allocation_at_a_time(lab):
    lab.node()
    lab.run("web", count=3, cpu=500)
    lab.wait(5)

    lab.run("web", count=3, cpu=510)
    assert len(lab.allocs("web", DesiredStatus="stop")) == 1
    lab.wait(20)

    assert lab.job("web")["Version"] == 1
    assert {a["Job"]["Version"] for a in lab.running("web")} == {1}
    assert lab.summary("web") == {"Running": 3, "Complete": 3}
    assert lab.deployment("web")["Status"] == "successful"


def test_an_update_in_place_replaces_nothing(lab):
    lab.node()
    lab.run("web", count=2, cpu=500)
    lab.wait(5)
    before = {a["ID"] for a in lab.running("web")}

    lab.run("web", count=2, cpu=500, Priority=60)
    lab.wait(5)

    assert {a["ID"] for a in lab.running("web")} == before
    assert lab.deployment("web")["Status"] == "successful"
    assert lab.deployment("web")["JobVersion"] == 1


def test_registering_the_same_again_only_evaluates(lab):
    lab.node()
    first = lab.run("web", cpu=500)
    lab.wait(5)

    again = lab.run("web", cpu=500)

    assert again["JobModifyIndex"] == first["JobModifyIndex"]
    assert again["Index"] > first["Index"]
    assert lab.job("web")["Version"] == 0


def test_canaries_wait_for_promotion(lab):
    lab.node()
    update = {"Update": {"Canary": 1, "MaxParallel": 1, "MinHealthyTime": SECOND, "HealthyDeadline": 60 * SECOND}}
    lab.run("web", count=2, cpu=300, group=update)
    lab.wait(5)
    lab.run("web", count=2, cpu=310, group=update)
    lab.wait(5)

    assert len(lab.running("web")) == 3
    waiting = lab.deployment("web")
    assert waiting["StatusDescription"] == "Deployment is running but requires manual promotion"
    lab.cluster.promote_deployment(waiting["ID"])
    lab.wait(20)

    assert {a["Job"]["Version"] for a in lab.running("web")} == {1}
    assert len(lab.running("web")) == 2
    assert lab.deployment("web")["Status"] == "successful"


def test_a_failing_task_is_restarted_then_rescheduled_with_delay(lab):
    lab.node()
    rules = {"Unlimited": True, "Delay": 5 * SECOND, "DelayFunction": "constant"}
    config = {"run_for": "500ms", "exit_code": 3}
    lab.run("crash", cpu=50, config=config, group={"RestartPolicy": NO_RESTART, "ReschedulePolicy": rules})

    lab.wait(4)
    (first,) = lab.allocs("crash")
    assert first["ClientStatus"] == "failed"
    assert first["FollowupEvalID"]
    (waiting,) = lab.evals("crash", Status="pending")
    assert waiting["WaitUntil"] > waiting_since(lab)
    lab.wait(4)

    tracked = [a for a in lab.allocs("crash") if a.get("RescheduleTracker")]
    assert tracked[0]["PreviousAllocation"] == first["ID"]


def waiting_since(lab):
    return lab.now.strftime("%Y-%m-%dT%H:%M:%S")


def test_scaling_is_refused_while_work_waits_because_a_deployment_runs(lab):
    lab.node()
    lab.run("web", count=10)

    assert refusal(lab.cluster.scale_job, "default", "web", "g", 11) == (
        400,
        "job scaling blocked due to active deployment",
    )


def test_scaling_down_stops_the_highest_numbers(lab):
    lab.node()
    lab.run("web", count=4, cpu=100)
    lab.wait(5)

    lab.cluster.scale_job("default", "web", "g", 2, message="less")
    lab.wait(5)

    assert sorted(a["Name"] for a in lab.running("web")) == ["web.g[0]", "web.g[1]"]
    (event,) = lab.store.get("scaling_events", ("default", "web"))["Events"]["g"]
    assert (event["Count"], event["PreviousCount"], event["Message"]) == (2, 4, "less")


def test_scale_refusals_speak_as_recorded(lab):
    lab.node()
    lab.run("web", cpu=100)
    lab.wait(5)
    scale = lab.cluster.scale_job
    assert refusal(scale, "default", "nope", "g", 2) == (404, 'job "nope" not found')
    text = 'task group "zz" specified for scaling does not exist in job'
    assert refusal(scale, "default", "web", "zz", 2) == (400, text)
    assert refusal(scale, "default", "web", "g", -2) == (400, "scaling action count can't be negative")


def test_stopping_a_waiting_job_cancels_what_is_blocked(lab):
    lab.run("gpu")
    (blocked,) = lab.blocked("gpu")

    answer = lab.cluster.deregister_job("default", "gpu")

    cancelled = lab.store.get("evals", blocked["ID"])
    assert cancelled["Status"] == "canceled"
    assert cancelled["StatusDescription"] == f'evaluation "{answer["EvalID"]}" successful'
    assert (lab.job("gpu")["Stop"], lab.job("gpu")["Status"]) == (True, "dead")
    lab.node()
    assert lab.allocs("gpu") == []


def test_purging_removes_the_job_and_stops_its_work(lab):
    lab.node()
    lab.run("web", cpu=100)
    lab.wait(3)

    lab.cluster.deregister_job("default", "web", purge=True)
    lab.wait(3)

    assert lab.job("web") is None
    assert [a["ClientStatus"] for a in lab.allocs("web")] == ["complete"]


def test_stopping_an_unknown_job_is_no_error(lab):
    answer = lab.cluster.deregister_job("default", "never")
    assert (answer["EvalID"], answer["Index"]) == ("", 0)


def test_enforcing_the_index_guards_against_a_lost_update(lab, describe):
    index = lab.run("web")["JobModifyIndex"]
    text = f"Enforcing job modify index 1: job exists with conflicting job modify index: {index}"
    assert refusal(lab.cluster.register_job, describe("web", cpu=1), enforce_index=1) == (500, text)
    lab.cluster.register_job(describe("web", cpu=1), enforce_index=index)
    assert lab.job("web")["Version"] == 1


def test_a_plan_changes_nothing(lab, describe):
    lab.node()
    lab.run("web", count=2, cpu=500)
    lab.wait(5)
    before = (lab.store.index, lab.store.rows("allocs"), lab.job("web"))

    planned = lab.cluster.plan_job(describe("web", count=12, cpu=500), diff=True)

    assert (lab.store.index, lab.store.rows("allocs"), lab.job("web")) == before
    counts = planned["Annotations"]["DesiredTGUpdates"]["g"]
    assert (counts["Place"], counts["InPlaceUpdate"]) == (10, 2)
    assert planned["FailedTGAllocs"]["g"]["CoalescedFailures"] == 3
    (blocked,) = planned["CreatedEvals"]
    assert blocked["Status"] == "blocked"
    assert planned["Diff"]["TaskGroups"][0]["Updates"] == {"create": 10, "in-place update": 2}
    assert lab.cluster.next_due() is None or lab.cluster.next_due() > lab.now


def test_dispatch_makes_a_child_and_checks_its_meta(lab):
    lab.node()
    rules = {"Payload": "optional", "MetaRequired": ["x"]}
    config = {"run_for": "1s"}
    assert lab.run("para", kind="batch", cpu=10, config=config, ParameterizedJob=rules)["EvalID"] == ""
    text = "Dispatch did not provide required meta keys: [x]"
    assert refusal(lab.cluster.dispatch_job, "default", "para", meta={}) == (500, text)

    child = lab.cluster.dispatch_job("default", "para", meta={"x": "1"})["DispatchedJobID"]
    lab.wait(5)

    assert child.startswith("para/dispatch-")
    assert (lab.job(child)["ParentID"], lab.job(child)["Status"]) == ("para", "dead")
    assert lab.store.get("job_summaries", ("default", "para"))["Children"] == {"Dead": 1, "Pending": 0, "Running": 0}


def test_a_periodic_job_launches_on_its_hour(lab):
    lab.node()
    spec = {"Spec": "*/10 * * * *", "SpecType": "cron", "Enabled": True}
    answer = lab.run("cron", kind="batch", cpu=10, config={"run_for": "1s"}, Periodic=spec)
    assert answer["Warnings"].startswith("1 warning:\n\n* cron is deprecated")

    lab.wait(1500)

    children = lab.store.by("jobs", "parent", ("default", "cron"))
    assert len(children) == 2
    assert lab.job("cron")["Status"] == "running"


def test_stopping_an_allocation_makes_another(lab):
    lab.node()
    lab.run("web", cpu=100)
    lab.wait(3)
    (alloc,) = lab.running("web")

    lab.cluster.stop_allocation(alloc["ID"])
    lab.wait(3)

    (other,) = lab.running("web")
    assert other["PreviousAllocation"] == alloc["ID"]
    assert lab.evals("web", TriggeredBy="alloc-stop")


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ({"NodePool": "nope"}, '1 error occurred:\n\t* job "x" is in nonexistent node pool "nope"\n\n'),
        ({"Namespace": "nope"}, '1 error occurred:\n\t* job "x" is in nonexistent namespace "nope"\n\n'),
        ({"TaskGroups": []}, "1 error occurred:\n\t* Missing job task groups\n\n"),
        (
            {"resources": {"CPU": 500, "Cores": 1, "MemoryMB": 64}},
            (
                "1 error occurred:\n\t* Task group g validation failed: 1 error occurred:\n\t* Task main validation failed: "
                "1 error occurred:\n\t* 1 error occurred:\n\t* Task can only ask for 'cpu' or 'cores' resource, not both."
                "\n\n\n\n\n\n\n\n"
            ),
        ),
    ],
)
def test_bad_jobs_are_refused_in_the_recorded_words(lab, describe, parts, text):
    assert refusal(lab.cluster.register_job, describe("x", **parts)) == (500, text)
    assert lab.job("x") is None
