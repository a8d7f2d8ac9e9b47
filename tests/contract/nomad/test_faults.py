"""Bodies and filters that do not fit: the sentences are those that a real 1.6.5 answered to the same requests."""

from __future__ import annotations

import json

import pytest

from lab.nomad.http.message import Request, Response
from lab.nomad.server import LAB_TOKEN, NomadLab


def _ask(method: str, target: str, body: bytes = b"") -> Response:
    lab = NomadLab(servers={"a": "127.0.0.1"})
    return lab.router("a").handle(Request.of(method, target, {"X-Nomad-Token": LAB_TOKEN}, body))


BROKEN = {
    b'{"Job":{},}': "invalid character '}' looking for beginning of object key string",
    b"nope": "invalid character 'o' in literal null (expecting 'u')",
    b"tru": "unexpected EOF",
    b'{"Job": "\\q"}': "invalid character 'q' in string escape code",
    b"{'Job': 1}": "invalid character '\\'' looking for beginning of object key string",
}


@pytest.mark.parametrize(("body", "text"), BROKEN.items(), ids=[body.decode() for body in BROKEN])
def test_the_first_fault_of_a_broken_body_is_named(body: bytes, text: str):
    answer = _ask("PUT", "/v1/jobs", body)

    assert (answer.status, answer.body.decode()) == (400, text)


MISFITS = {
    "number for a name": ({"ID": 5}, "number into Go struct field Job.Job.ID of type string"),
    "text for a priority": (
        {"ID": "a", "Priority": "high"},
        "string into Go struct field Job.Job.Priority of type int",
    ),
    "object for the groups": (
        {"ID": "a", "TaskGroups": {}},
        "object into Go struct field Job.Job.TaskGroups of type []*api.TaskGroup",
    ),
    "text for a count": (
        {"ID": "a", "TaskGroups": [{"Count": "2"}]},
        "string into Go struct field TaskGroup.Job.TaskGroups.Count of type int",
    ),
    "number for a datacenter": (
        {"ID": "a", "Datacenters": [5]},
        "number into Go struct field Job.Job.Datacenters of type string",
    ),
    "number in the metadata": (
        {"ID": "a", "Meta": {"a": 5}},
        "number into Go struct field Job.Job.Meta of type string",
    ),
    "text for CPU": (
        {"ID": "a", "TaskGroups": [{"Tasks": [{"Resources": {"CPU": "x"}}]}]},
        "string into Go struct field Resources.Job.TaskGroups.Tasks.Resources.CPU of type int",
    ),
    "list for a configuration": (
        {"ID": "a", "TaskGroups": [{"Tasks": [{"Config": []}]}]},
        "array into Go struct field Task.Job.TaskGroups.Tasks.Config of type map[string]interface {}",
    ),
    "half a replica": (
        {"ID": "a", "TaskGroups": [{"Scaling": {"Min": 1.5}}]},
        "number 1.5 into Go struct field ScalingPolicy.Job.TaskGroups.Scaling.Min of type int64",
    ),
    "no job at all": (5, "number into Go struct field JobRegisterRequest.Job of type api.Job"),
}


@pytest.mark.parametrize(("job", "text"), MISFITS.values(), ids=MISFITS)
def test_a_job_of_the_wrong_kinds_is_refused(job: object, text: str):
    answer = _ask("PUT", "/v1/jobs", json.dumps({"Job": job}).encode())

    assert (answer.status, answer.body.decode()) == (400, f"json: cannot unmarshal {text}")


def test_keys_of_a_job_fit_in_any_case():
    answer = _ask("PUT", "/v1/validate/job", json.dumps({"job": {"id": "a", "PRIORITY": 500}}).encode())

    assert "job priority must be between" in answer.body.decode()


def test_a_search_names_the_contexts_there_are():
    answer = _ask("PUT", "/v1/search", b'{"Prefix": "a", "Context": "pods"}')

    assert answer.status == 500
    assert answer.body.decode().endswith("namespaces] or 'all' for all contexts; got \"pods\"")
