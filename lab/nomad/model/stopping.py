"""Stopping one allocation by hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.drainer import NO_TRANSITION
from lab.nomad.model.errors import Refusal
from lab.nomad.model.evaluations import new_evaluation
from lab.nomad.model.store import Table
from lab.nomad.model.words import Cause, Trigger

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.nomad.model.state import State
    from lab.nomad.model.store import Record


def in_a_hurry(alloc: Record) -> Record:
    """Answer an allocation whose tasks are to be stopped without their shutdown delay."""
    return {**alloc, "DesiredTransition": _transition(alloc) | {"NoShutdownDelay": True}}


def _transition(alloc: Record) -> Record:
    return {**NO_TRANSITION, **(alloc.get("DesiredTransition") or {})}


def stop_allocation(
    state: State, alloc_id: str, fresh_id: Callable[[], str], *, no_shutdown_delay: bool = False
) -> Record:
    """Let an allocation move away from where it is; answer what the endpoint answers."""
    store, now = state.store, state.now()
    alloc = store.get(Table.ALLOCS, alloc_id)
    if alloc is None:
        raise Refusal(404, "allocation not found")
    job = store.get(Table.JOBS, (alloc["Namespace"], alloc["JobID"])) or alloc["Job"]
    with store.transaction(Cause.ALLOCATION_UPDATE_DESIRED):
        transition = _transition(alloc) | {"Migrate": True, "NoShutdownDelay": no_shutdown_delay}
        store.put(Table.ALLOCS, alloc_id, {**alloc, "DesiredTransition": transition, "ModifyTime": now})
        evaluation = state.put_evals([new_evaluation(fresh_id(), job, Trigger.ALLOC_STOP, now)])[0]
    return {"EvalID": evaluation["ID"], "Index": evaluation["CreateIndex"]}
