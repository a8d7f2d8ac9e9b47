"""Work that finds no room: what the evaluation says, what waits, what wakes it."""

from lab.nomad.model.nodes import device_group


def test_a_job_larger_than_the_cluster_places_what_fits_and_blocks_once(lab):
    for name in ("a", "b"):
        lab.node(name, node_class="small")
    lab.node("c", node_class="large", cpu=8000, memory=16384)

    evaluation = lab.eval(lab.run("web", count=10))

    assert evaluation["Status"] == "complete"
    assert evaluation["QueuedAllocations"] == {"g": 2}
    why = evaluation["FailedTGAllocs"]["g"]
    assert why["DimensionExhausted"] == {"cpu": 3}
    assert why["ClassExhausted"] == {"large": 1, "small": 2}
    assert why["CoalescedFailures"] == 1
    assert why["ResourcesExhausted"]["main"]["CPU"] == 4000
    (blocked,) = lab.blocked("web")
    assert evaluation["BlockedEval"] == blocked["ID"]
    assert "QueuedAllocations" not in blocked
    assert blocked["PreviousEval"] == evaluation["ID"]
    assert len(blocked["ClassEligibility"]) == 2
    assert all(blocked["ClassEligibility"].values())
    assert lab.summary("web") == {"Starting": 8, "Queued": 2}


def test_a_newer_blocked_evaluation_cancels_the_older_one(lab):
    lab.node()
    lab.run("web", count=3)
    first = lab.blocked("web")[0]["ID"]

    lab.wait(5)  # health makes the deployment watcher evaluate again

    assert len(lab.blocked("web")) == 1
    cancelled = lab.store.get("evals", first)
    assert cancelled["Status"] == "canceled"
    assert cancelled["StatusDescription"] == 'existing blocked evaluation exists for job "web"'


def test_a_client_that_joins_takes_the_waiting_work(lab):
    lab.node()
    lab.run("web", count=4)
    lab.wait(5)
    assert lab.summary("web") == {"Running": 2, "Queued": 2}

    lab.node("new")
    lab.wait(5)

    assert lab.summary("web") == {"Running": 4}
    assert lab.blocked("web") == []
    assert lab.deployment("web")["Status"] == "successful"


def test_an_attempt_that_places_only_part_stays_blocked_under_its_id(lab):
    lab.run("web", count=3)
    (before,) = lab.blocked("web")

    lab.node()

    (after,) = lab.blocked("web")
    assert after["ID"] == before["ID"]
    assert lab.summary("web") == {"Starting": 2, "Queued": 1}


def test_a_constraint_nobody_meets_is_told_apart_from_a_lack_of_room(lab):
    lab.node("a", node_class="small")

    evaluation = lab.eval(lab.run("gpu", Constraints=[{"LTarget": "${node.class}", "RTarget": "gpu", "Operand": "="}]))

    why = evaluation["FailedTGAllocs"]["g"]
    assert why["ConstraintFiltered"] == {"${node.class} = gpu": 1}
    assert why["DimensionExhausted"] is None
    assert why["ResourcesExhausted"] is None
    assert set(lab.blocked("gpu")[0]["ClassEligibility"].values()) == {False}


def test_a_client_of_an_infeasible_class_does_not_wake_the_job(lab):
    lab.node("a", node_class="small")
    lab.run("gpu", Constraints=[{"LTarget": "${node.class}", "RTarget": "gpu", "Operand": "="}])
    known = lab.blocked("gpu")[0]["SnapshotIndex"]

    lab.node("b", node_class="small")

    assert lab.blocked("gpu")[0]["SnapshotIndex"] == known
    lab.node("c", node_class="gpu")
    assert lab.summary("gpu") == {"Starting": 1}


def test_a_unique_constraint_escapes_classes(lab):
    lab.node("a")

    lab.run("pinned", Constraints=[{"LTarget": "${node.unique.name}", "RTarget": "z", "Operand": "="}])

    (blocked,) = lab.blocked("pinned")
    assert blocked["EscapedComputedClass"] is True
    assert "ClassEligibility" not in blocked
    lab.node("z")
    assert lab.summary("pinned") == {"Starting": 1}


def test_wrong_datacenter_empty_pool_and_ineligible_nodes_look_alike(lab):
    node = lab.node()
    lab.cluster.upsert_node_pool({"Name": "empty"})
    far = lab.eval(lab.run("far", Datacenters=["dc9"]))
    lonely = lab.eval(lab.run("lonely", NodePool="empty"))
    lab.cluster.set_eligibility(node, "ineligible")
    nobody = lab.eval(lab.run("nobody"))

    for evaluation in (far, lonely, nobody):
        why = evaluation["FailedTGAllocs"]["g"]
        assert why["NodesAvailable"] == {}
        assert (why["NodesEvaluated"], why["NodesInPool"]) == (0, 0)
        assert why["DimensionExhausted"] is None
    lab.cluster.set_eligibility(node, "eligible")
    assert lab.summary("nobody") == {"Starting": 1}


def test_memory_disk_cores_and_ports_are_named_when_they_lack(lab, describe):
    lab.node(reserved_ports="22")

    def reason(job):
        evaluation = lab.eval(lab.cluster.register_job(job))
        return next(iter(evaluation["FailedTGAllocs"]["g"]["DimensionExhausted"]))

    big = {"CPU": 50, "MemoryMB": 65536}
    assert reason(describe("mem", resources=big)) == "memory"
    assert reason(describe("disk", cpu=50, group={"EphemeralDisk": {"SizeMB": 900000}})) == "disk"
    assert reason(describe("cores", resources={"Cores": 4, "MemoryMB": 64})) == "cores"
    ssh = {"Networks": [{"ReservedPorts": [{"Label": "ssh", "Value": 22}]}]}
    assert reason(describe("ssh", cpu=50, group=ssh)) == "network: reserved port collision ssh=22"


def test_a_static_port_fits_once_per_node(lab):
    lab.node()
    ports = {"Networks": [{"ReservedPorts": [{"Label": "http", "Value": 8080}], "DynamicPorts": [{"Label": "x"}]}]}

    lab.run("ports", count=3, cpu=50, group=ports)

    (alloc,) = lab.allocs("ports")
    given = {port["Label"]: port["Value"] for port in alloc["AllocatedResources"]["Shared"]["Ports"]}
    assert given["http"] == 8080
    assert 20000 <= given["x"] <= 32000
    assert lab.summary("ports")["Queued"] == 2


def test_reserved_cores_are_listed_and_cost_their_share_of_mhz(lab):
    lab.node(cpu=4000, cores=2)

    lab.run("cores", resources={"Cores": 2, "MemoryMB": 64})

    task = lab.allocs("cores")[0]["AllocatedResources"]["Tasks"]["main"]
    assert task["Cpu"] == {"CpuShares": 4000, "ReservedCores": [0, 1]}


def test_distinct_hosts_waits_for_another_node(lab):
    lab.node()

    evaluation = lab.eval(
        lab.run("dh", count=3, cpu=50, Constraints=[{"Operand": "distinct_hosts", "RTarget": "true"}])
    )

    assert evaluation["FailedTGAllocs"]["g"]["ConstraintFiltered"] == {"distinct_hosts": 1}
    assert set(lab.blocked("dh")[0]["ClassEligibility"].values()) == {True}
    lab.node("b")
    assert lab.summary("dh") == {"Starting": 2, "Queued": 1}


def test_a_missing_driver_filters_the_node(lab):
    lab.node(drivers=("raw_exec",))

    evaluation = lab.eval(lab.run("mock"))

    assert evaluation["FailedTGAllocs"]["g"]["ConstraintFiltered"] == {"missing drivers": 1}


def test_devices_are_given_out_by_instance(lab):
    lab.node("a")
    lab.node("b", devices=[device_group("nvidia", "gpu", "T4", ["one", "two"])])
    asks = {"CPU": 10, "MemoryMB": 10, "Devices": [{"Name": "nvidia/gpu", "Count": 1}]}

    lab.run("train", count=3, resources=asks)

    given = [a["AllocatedResources"]["Tasks"]["main"]["Devices"][0]["DeviceIDs"] for a in lab.allocs("train")]
    assert sorted(given) == [["one"], ["two"]]
    assert lab.summary("train")["Queued"] == 1


def test_host_volumes_lead_to_the_node_that_has_them(lab):
    lab.node("a")
    home = lab.node("b", host_volumes={"data": "/srv/data"})

    lab.run("db", cpu=10, group={"Volumes": {"v": {"Type": "host", "Source": "data"}}})

    assert [a["NodeID"] for a in lab.allocs("db")] == [home]


def test_a_system_job_that_fits_nowhere_blocks_per_node_without_saying_so(lab):
    lab.node("a")
    lab.node("b")
    lab.run("web", count=4)

    evaluation = lab.eval(lab.run("sys", kind="system", cpu=500))

    assert evaluation["QueuedAllocations"] == {"g": 2}
    assert "BlockedEval" not in evaluation
    (blocked,) = lab.blocked("sys")
    assert blocked["NodeID"] in {node["ID"] for node in lab.store.rows("nodes")}
    assert lab.job("sys")["Status"] == "running"


def test_a_system_job_follows_new_nodes(lab):
    lab.run("log", kind="system", cpu=50)
    lab.node("a")
    lab.node("b")
    lab.wait(2)

    assert lab.summary("log") == {"Running": 2}


def test_system_jobs_preempt_and_services_only_when_allowed(lab):
    lab.node()
    lab.run("web", count=2)
    lab.wait(3)
    assert lab.eval(lab.run("vip", Priority=90))["QueuedAllocations"] == {"g": 1}

    lab.run("agent", kind="system", cpu=500, Priority=90)

    (evicted,) = lab.allocs("web", DesiredStatus="evict")
    (agent,) = lab.allocs("agent")
    assert agent["PreemptedAllocations"] == [evicted["ID"]]
    assert evicted["PreemptedByAllocation"] == agent["ID"]
    assert evicted["DesiredDescription"] == f"Preempted by alloc ID {agent['ID']}"
    assert lab.evals("web", TriggeredBy="preemption")


def test_memory_above_the_ask_is_granted_only_with_oversubscription(lab):
    lab.node()
    asks = {"CPU": 50, "MemoryMB": 64, "MemoryMaxMB": 512}

    warned = lab.run("a", resources=asks)["Warnings"]
    lab.cluster.set_scheduler_config({"MemoryOversubscriptionEnabled": True})
    silent = lab.run("b", resources=asks)["Warnings"]

    most = {j: lab.allocs(j)[0]["AllocatedResources"]["Tasks"]["main"]["Memory"]["MemoryMaxMB"] for j in "ab"}
    assert most == {"a": 0, "b": 512}
    assert warned.startswith("1 warning:\n\n* Memory oversubscription is not enabled")
    assert silent == ""


def test_networks_a_node_does_not_have_filter_it(lab):
    lab.node()
    odd_mode = {"Networks": [{"Mode": "cni/mesh"}]}
    odd_port = {"Networks": [{"DynamicPorts": [{"Label": "x", "HostNetwork": "public"}]}]}

    reasons = [
        lab.eval(lab.run(name, cpu=10, group=group))["FailedTGAllocs"]["g"]["ConstraintFiltered"]
        for name, group in (("mode", odd_mode), ("port", odd_port))
    ]

    assert reasons == [{"missing network": 1}, {'missing host network "public" for port "x"': 1}]
