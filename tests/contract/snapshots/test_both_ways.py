"""Archives of the stand-in and of a real server: each restores where it should."""

import pytest
import requests

from keeper.core.archive import ArchiveCheck, Limits
from lab.nomad.processes import binary
from lab.nomad.sides import RealNomad, StandInNomad

JOB = {
    "ID": "restored",
    "Name": "restored",
    "Type": "service",
    "Datacenters": ["dc1"],
    "TaskGroups": [
        {
            "Name": "g",
            "Count": 2,
            "Tasks": [
                {
                    "Name": "t",
                    "Driver": "raw_exec",
                    "Config": {"command": "/bin/sleep", "args": ["60"]},
                    "Resources": {"CPU": 100, "MemoryMB": 64},
                }
            ],
        }
    ],
}


def call(side, method, path, token=None, **how):
    headers = {"X-Nomad-Token": token or side.management_token}
    return requests.request(method, side.url + path, headers=headers, verify=str(side.authority), timeout=30, **how)


def saved(side):
    return call(side, "GET", "/v1/operator/snapshot").content


def furnish(side):
    side.request("PUT", "/v1/namespace", {"Name": "team", "Description": "of a team"})
    side.request("PUT", "/v1/jobs", {"Job": {**JOB, "Namespace": "team"}})
    side.request("PUT", "/v1/acl/policy/readers", {"Name": "readers", "Rules": 'namespace "*" { policy = "read" }'})
    return side.request("PUT", "/v1/acl/token", {"Name": "r", "Type": "client", "Policies": ["readers"]})["SecretID"]


def looks_restored(side, management, reader):
    jobs = call(side, "GET", "/v1/jobs?namespace=*", reader)
    assert jobs.status_code == 200
    assert [(job["ID"], job["Namespace"]) for job in jobs.json()] == [("restored", "team")]
    group = call(side, "GET", "/v1/job/restored?namespace=team", reader).json()["TaskGroups"][0]
    assert (group["Count"], group["Tasks"][0]["Config"]["args"]) == (2, ["60"])
    assert call(side, "GET", "/v1/acl/tokens", reader).status_code == 403
    assert len(call(side, "GET", "/v1/acl/tokens", management).json()) == 4


def test_the_stand_ins_archive_passes_and_restores_into_a_fresh_stand_in(lab):
    with StandInNomad(lab.authority) as side, StandInNomad(lab.authority) as fresh:
        reader = furnish(side)
        archive = saved(side)
        check = ArchiveCheck(Limits(1 << 30))
        check.push(archive)
        assert check.end(None).state_bytes
        assert call(fresh, "PUT", "/v1/operator/snapshot", data=archive).status_code == 200
        looks_restored(fresh, side.management_token, reader)


@pytest.mark.nomad
def test_the_stand_ins_archive_restores_into_a_real_server(lab):
    found = binary()
    if found is None:
        pytest.skip("no Nomad binary: set NOMAD_BIN, or put nomad on PATH")
    with StandInNomad(lab.authority) as side, RealNomad(found) as fresh:
        reader = furnish(side)
        side.lab.cluster.register_node(
            name="n1", cpu=4000, memory=4096, disk=10000, node_class="", node_pool="default", datacenter="dc1", meta={}
        )
        answer = call(fresh, "PUT", "/v1/operator/snapshot", data=saved(side))
        assert (answer.status_code, answer.text) == (200, "")
        looks_restored(fresh, side.management_token, reader)
        nodes = call(fresh, "GET", "/v1/nodes", side.management_token).json()
        assert [node["Name"] for node in nodes] == ["n1"]


@pytest.mark.nomad
def test_a_real_servers_archive_passes_and_restores_into_a_fresh_real_server(real):
    found = binary()
    reader = furnish(real)
    archive = saved(real)
    check = ArchiveCheck(Limits(1 << 30))
    check.push(archive)
    check.end(None)
    with RealNomad(found) as fresh:
        assert call(fresh, "PUT", "/v1/operator/snapshot", data=archive).status_code == 200
        looks_restored(fresh, real.management_token, reader)
