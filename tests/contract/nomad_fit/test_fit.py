"""What the keeper reckons to fit is what Nomad would place: random jobs, on an empty cluster and on a loaded one.

Nomad is asked by `plan`, which runs its scheduler and changes nothing. `NOMAD_FIT_CASES` asks for more cases than are usual.
"""

from __future__ import annotations

import os
from random import Random
from typing import TYPE_CHECKING

import pytest

from keeper.core.patterns import matches
from lab.nomad.processes import binary
from tests.contract.nomad_fit.clusters import rest
from tests.contract.nomad_fit.jobs import job, plain
from tests.contract.nomad_fit.real import RealCluster
from tests.contract.nomad_fit.reckoning import Reckoning
from tests.contract.nomad_fit.standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.contract.nomad_fit.clusters import Fitted
    from tests.contract.nomad_fit.jobs import Record

CASES = int(os.environ.get("NOMAD_FIT_CASES", "150"))
LOADS = 6
SIDES = [
    StandIn,
    pytest.param(
        RealCluster,
        marks=[
            pytest.mark.nomad,
            pytest.mark.skipif(binary() is None, reason="no Nomad binary on PATH or in NOMAD_BIN"),
        ],
    ),
]


@pytest.fixture(scope="module", params=SIDES, ids=["stand-in", "real"])
def cluster(request: pytest.FixtureRequest) -> Iterator[Fitted]:
    made = request.param()
    try:
        yield made
    finally:
        made.close()


def placed(cluster: Fitted, record: Record) -> dict[str, int]:
    """How many of each group Nomad would place now."""
    answer = cluster.ask("POST", f"/v1/job/{record['ID']}/plan", {"Job": record})
    assert answer.ok, (answer.text, record)
    body = answer.json()
    failed = body["FailedTGAllocs"] or {}
    return {
        name: updates["Place"] - (failed[name]["CoalescedFailures"] + 1 if name in failed else 0)
        for name, updates in body["Annotations"]["DesiredTGUpdates"].items()
    }


def register(cluster: Fitted, record: Record) -> bool:
    """Whether Nomad takes the job; some odd ones it refuses."""
    return cluster.ask("PUT", "/v1/jobs", {"Job": record}).ok


def is_not_judged(record: Record) -> bool:
    """Whether the job asks for what the keeper leaves to Nomad: it buys nothing for it until Nomad has refused it for long."""
    groups = record["TaskGroups"]
    parts = [record, *groups, *(task for each in groups for task in each["Tasks"])]
    constraints = [one for part in parts for one in part.get("Constraints") or ()]
    own = any(volume["PerAlloc"] for each in groups for volume in (each["Volumes"] or {}).values())
    pattern = any(one["Operand"] == "regexp" and matches("", one["RTarget"]) is None for one in constraints)
    unique = any(".unique." in one["LTarget"] + one["RTarget"] for one in constraints)
    return own or pattern or unique


def agree(record: Record, nomad: dict[str, int], keeper: dict[str, int]) -> bool:
    """Equal; of what the keeper does not judge it may count less, never more."""
    return nomad == keeper or (is_not_judged(record) and all(keeper[name] <= nomad[name] for name in nomad))


def differences(cluster: Fitted, seed: int) -> list[str]:
    """Each job for which the keeper's count and Nomad's differ."""
    found: list[str] = []
    taken = 0
    rest(cluster, resting=True)
    reckoning = Reckoning(cluster.keeper)
    for number in range(CASES):
        dice = Random(seed * 1_000_000 + number)  # noqa: S311 - cases, no secrets
        record = job(dice, f"case-{seed}-{number}")
        if not register(cluster, record):
            continue
        taken += 1
        spec = reckoning.spec(record["ID"])
        more = {each["Name"]: each["Count"] for each in record["TaskGroups"]}
        nomad, keeper = placed(cluster, record), reckoning.free(spec, more)
        if not agree(record, nomad, keeper):
            found.append(f"{number}: Nomad places {nomad}, the keeper reckons {keeper}: {record}")
        cluster.ask("DELETE", f"/v1/job/{record['ID']}?purge=true")
    assert taken > CASES / 3
    return found


def test_what_fits_on_an_empty_cluster_is_what_nomad_places(cluster: Fitted) -> None:
    assert differences(cluster, 1) == []


def test_what_fits_beside_other_work_is_what_nomad_places(cluster: Fitted) -> None:
    rest(cluster, resting=False)
    for number in range(LOADS):
        register(cluster, plain(Random(number), f"load-{number}"))  # noqa: S311 - as above
    cluster.wait("work", lambda: sum(each.client.name == "RUNNING" for each in cluster.keeper.allocations()) > 0)
    assert differences(cluster, 2) == []
