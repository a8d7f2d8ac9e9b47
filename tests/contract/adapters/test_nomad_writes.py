"""What the keeper does to Nomad's nodes, and what refusals mean, held to the recordings of a real Nomad."""

from datetime import timedelta

import pytest
import requests
from nomad_replay import answer, nomad_that_answers, recorded

from keeper.errors import Forbidden, Gone, Permanent, Throttled, Unreachable

NODE = "76672d36-d6e6-464c-0c2f-ead4037346eb"
META = {"keeper-controller": "autoscale"}
DONE = recorded("04-drain", 12)
NO_ROOM = answer("Your IP is issuing too many concurrent connections, please rate limit your calls\n", status=429)


def asked_of(http):
    return [(each.method, each.path, each.body) for each in http.asked]


@pytest.mark.parametrize(
    ("deadline", "nanoseconds"),
    [(timedelta(minutes=1), 60_000_000_000), (None, 0), (timedelta(), -1), (timedelta(milliseconds=1.5), 1_500_000)],
)
def test_a_drain_carries_its_deadline_and_who_made_it(deadline, nanoseconds):
    nomad, http = nomad_that_answers(DONE)

    nomad.drain(NODE, deadline, META)

    spec = {"Deadline": nanoseconds, "IgnoreSystemJobs": False}
    assert asked_of(http) == [("POST", f"/v1/node/{NODE}/drain", {"DrainSpec": spec, "Meta": META})]


def test_reclaiming_ends_the_drain_and_makes_the_node_eligible_in_one_call():
    nomad, http = nomad_that_answers(recorded("04-drain", 63))

    nomad.reclaim(NODE, META)

    body = {"DrainSpec": None, "MarkEligible": True, "Meta": META}
    assert asked_of(http) == [("POST", f"/v1/node/{NODE}/drain", body)]


def test_purging_a_node_that_is_already_unknown_is_no_error():
    nomad, http = nomad_that_answers(recorded("05-node-lifecycle", 31), recorded("05-node-lifecycle", 33))

    nomad.purge(NODE)
    nomad.purge(NODE)

    assert asked_of(http) == [("POST", f"/v1/node/{NODE}/purge", None)] * 2


def test_draining_a_node_that_is_unknown_says_that_it_is_gone():
    nomad, _ = nomad_that_answers(recorded("04-drain", 1))

    with pytest.raises(Gone, match="node not found"):
        nomad.drain(NODE, None, META)


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (recorded("12-blocking-leader", 48), Unreachable),
        (answer("rpc error: EOF", status=500, headers={}), Unreachable),
        (answer("rpc error: lead thread didn't get connection", status=500, headers={}), Unreachable),
        (answer("", status=503, headers={}), Unreachable),
        (recorded("12-blocking-leader", 17), Permanent),
        (recorded("04-drain", 4), Permanent),
        (recorded("04-drain", 5), Permanent),
        (NO_ROOM, Throttled),
        (requests.ConnectionError("refused"), Unreachable),
        (requests.ReadTimeout("late"), Unreachable),
    ],
)
def test_each_refusal_says_what_the_caller_should_do(given, expected):
    nomad, http = nomad_that_answers(given)

    with pytest.raises(expected):
        nomad.drain(NODE, None, META)

    assert len(http.asked) == 1  # a write is never repeated


def test_a_missing_right_is_named():
    nomad, _ = nomad_that_answers(recorded("04-drain", 2))

    with pytest.raises(Forbidden, match=r'drain the node .*needs node \{ policy = "write" \}'):
        nomad.drain(NODE, None, META)


def test_a_missing_right_to_read_is_named_too():
    nomad, _ = nomad_that_answers(recorded("06-acl", 31))

    with pytest.raises(Forbidden, match=r'list the jobs.*namespace "\*" \{ policy = "read" \}'):
        nomad.jobs()


class TestToken:
    def test_a_refused_token_is_read_again_once_and_the_new_one_is_used_from_then_on(self):
        tokens = iter(["old", "new", "newer"])
        refused = recorded("04-drain", 2)
        nomad, http = nomad_that_answers(refused, DONE, DONE, token=lambda: next(tokens))

        nomad.drain(NODE, None, META)
        nomad.drain(NODE, None, META)

        assert [each.token for each in http.asked] == ["old", "new", "new"]

    def test_the_same_token_is_not_tried_twice(self):
        nomad, http = nomad_that_answers(recorded("04-drain", 2))

        with pytest.raises(Forbidden):
            nomad.drain(NODE, None, META)

        assert len(http.asked) == 1

    def test_nothing_is_read_before_it_is_needed(self):
        def no_token():
            raise AssertionError

        nomad_that_answers(token=no_token, ca=no_token)

    def test_tokens_of_the_environment_are_not_used(self, monkeypatch):
        monkeypatch.setenv("NOMAD_TOKEN", "somebody-elses")
        monkeypatch.setenv("NOMAD_ADDR", "http://elsewhere:4646")
        nomad, http = nomad_that_answers(DONE)

        nomad.drain(NODE, None, META)

        assert http.asked[0].token == "token-1"
        assert http.last.url.startswith("https://10.0.10.10:4646/")

    def test_a_refused_token_is_in_no_error(self):
        nomad, _ = nomad_that_answers(recorded("04-drain", 2), token=lambda: "canary-token")

        with pytest.raises(Forbidden) as caught:
            nomad.drain(NODE, None, META)

        assert "canary" not in str(caught.value)
