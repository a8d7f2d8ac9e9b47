"""The rules a tick decides by, each with its environment name, bounds, default and meaning.

`keeper.settings` reads them; `docs/settings.md` is generated from them.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated


@dataclass(frozen=True, slots=True)
class Setting:
    """How one field is read from the environment. Durations are given in seconds."""

    env: str
    at_least: float | None = None
    at_most: float | None = None
    pattern: str | None = None
    secret: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoscaleRules:
    """When autoscale grows, shrinks, waits and gives up."""

    unneeded_for: Annotated[timedelta, Setting("AUTOSCALE_UNNEEDED_SECONDS", at_least=0)] = timedelta(minutes=10)
    """An instance is drained only after it has been unneeded in every tick for this long."""

    settle_for: Annotated[timedelta, Setting("AUTOSCALE_SETTLE_SECONDS", at_least=0)] = timedelta(minutes=5)
    """No instance of a pool is drained until this long after the pool last grew."""

    drain_deadline: Annotated[timedelta, Setting("AUTOSCALE_DRAIN_DEADLINE_SECONDS", at_least=10)] = timedelta(hours=1)
    """How long Nomad may migrate service work before it stops it by force. Batch work is waited for without limit."""

    max_draining: Annotated[int, Setting("AUTOSCALE_MAX_DRAINING", at_least=1)] = 1
    """How many nodes of one pool may be draining at once because of autoscale."""

    max_draining_percent: Annotated[int, Setting("AUTOSCALE_MAX_DRAINING_PERCENT", at_least=1, at_most=100)] = 10
    """The same as a share of a pool's ready nodes, rounded up; the larger of the two counts."""

    join_timeout: Annotated[timedelta, Setting("AUTOSCALE_JOIN_TIMEOUT_SECONDS", at_least=30)] = timedelta(minutes=15)
    """An instance without a Nomad node after this long is removed and counted."""

    believe_after: Annotated[timedelta, Setting("AUTOSCALE_BELIEVE_NOMAD_SECONDS", at_least=5)] = timedelta(minutes=3)
    """When Nomad refuses what fits by our reckoning for this long, Nomad is believed and capacity is bought."""

    pressure_step: Annotated[int, Setting("AUTOSCALE_PRESSURE_STEP", at_least=1)] = 1
    """How many instances a fired alert adds to its pool at a time."""

    pressure_cooldown: Annotated[timedelta, Setting("AUTOSCALE_PRESSURE_COOLDOWN_SECONDS", at_least=0)] = timedelta(
        minutes=5
    )
    """How long after one step the next may follow while the alert stays fired."""

    pressure_expiry: Annotated[timedelta, Setting("AUTOSCALE_PRESSURE_EXPIRY_SECONDS", at_least=60)] = timedelta(
        hours=1
    )
    """A fired alert that nobody resolves is forgotten after this long."""

    request_expiry: Annotated[timedelta, Setting("AUTOSCALE_REQUEST_EXPIRY_SECONDS", at_least=60)] = timedelta(hours=1)
    """A `scale` operation that cannot be reached ends after this long."""

    set_aside_first: Annotated[timedelta, Setting("AUTOSCALE_SET_ASIDE_FIRST_SECONDS", at_least=1)] = timedelta(
        minutes=5
    )
    """How long a pool is set aside after its first failed growth; each further failure in a row doubles it."""

    set_aside_most: Annotated[timedelta, Setting("AUTOSCALE_SET_ASIDE_MOST_SECONDS", at_least=1)] = timedelta(hours=1)
    """The longest time a pool is set aside."""

    max_instances: Annotated[int, Setting("LIMIT_INSTANCES", at_least=0)] = 1000
    """All pools together: no growth beyond this many instances."""

    max_cores: Annotated[int, Setting("LIMIT_CORES", at_least=0)] = 4000
    """All pools together: no growth beyond this many virtual cores."""

    max_cost: Annotated[float, Setting("LIMIT_COST_PER_HOUR", at_least=0)] = 0.0
    """All pools together: no growth beyond this cost per hour, by the pools' prices; 0 means no limit."""

    controller: str = "autoscale"
    """The name that marks its drains and claims."""
