"""Whatever the app settings hold: they load, or every problem is told at once, each by the name of its setting."""

import json
import re
from collections.abc import Mapping

from hypothesis import example, given
from hypothesis import strategies as st

from keeper.errors import SettingsError
from keeper.settings import load
from lab.pools import NOBODY, LabPool, settings_of

GOOD = settings_of([LabPool("general", 1, 4), LabPool("spot", 0, 3, spot=True)], NOBODY)
POOL = json.loads(GOOD["POOLS"])[0]
ODD = [
    "",
    " ",
    "0",
    "-1",
    "1e9",
    "9" * 500,
    "nan",
    "inf",
    "true",
    "null",
    "[]",
    "{}",
    "\x00",
    "é",
    "https://",
    "http://[",
    "* * *",
]
ODD_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(ODD),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from([*POOL, "other"]), inner, max_size=4),
    max_leaves=5,
)
DEEP = "a hundred thousand brackets"
NAMES = sorted(
    {
        *GOOD,
        "AUTOSCALE_MAX_COST",
        "AUTOSCALE_UNNEEDED_SECONDS",
        "HTTP_MAX_BODY_BYTES",
        "HTTP_REQUIRE_APP_ROLES",
        "ARM_ENDPOINT",
    }
)


@st.composite
def pools(draw: st.DrawFn) -> str:
    """The pools' setting with something odd in one pool, or all odd."""
    if draw(st.booleans()):
        return json.dumps([POOL, POOL | {draw(st.sampled_from([*POOL, "other"])): draw(ODD_JSON)}])
    return draw(ODD_JSON.map(json.dumps) | st.just(DEEP) | st.text(max_size=20))


def problems_of(environment: Mapping[str, str]) -> list[str]:
    """The settings that were found bad, by name."""
    try:
        load(environment)
    except SettingsError as refused:
        return [re.split(r"[\[:. ]", problem)[0] for problem in refused.problems] or ["no problem is told"]
    return []


@given(
    changes=st.dictionaries(st.sampled_from(NAMES), st.sampled_from(ODD) | st.text(max_size=12), max_size=4),
    given_pools=st.none() | pools(),
)
@example(changes={}, given_pools=DEEP)
def test_settings_load_or_tell_every_problem_by_its_name(changes: Mapping[str, str], given_pools: str | None) -> None:
    text = "[" * 100_000 if given_pools == DEEP else given_pools
    environment = GOOD | changes | ({} if text is None else {"POOLS": text})
    told = problems_of(environment)

    assert set(told) <= {*environment}
