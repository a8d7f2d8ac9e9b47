"""What a submitted job goes through before it is a job: it is made full, judged as a whole, and warned about."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.nomad.model.canonical import canonical_job
from lab.nomad.model.errors import Refusal, several
from lab.nomad.model.job_rules import forbidden_drivers
from lab.nomad.model.store import Table
from lab.nomad.model.validate import problems_of
from lab.nomad.model.warnings import warnings_of

if TYPE_CHECKING:
    from lab.nomad.model.store import Record, Store


def judge(store: Store, submitted: Record) -> tuple[Record, list[str], str]:
    """Answer a submitted job in full, all that is wrong with it, and its warnings."""
    job = canonical_job({**submitted, "ID": submitted.get("ID") or ""})
    config = store.get(Table.SCHEDULER_CONFIG, "scheduler_config") or {}
    warnings = warnings_of(job, oversubscription=bool(config.get("MemoryOversubscriptionEnabled")))
    return job, [*_around(store, job), *problems_of(job)], warnings


def admit(store: Store, submitted: Record) -> tuple[Record, str]:
    """Answer a submitted job in full, and its warnings; refuse one that Nomad would not take."""
    job, problems, warnings = judge(store, submitted)
    if job["Region"] != "global":
        raise Refusal(500, "No path to region")
    if problems:
        raise several(problems)
    return job, warnings


def _around(store: Store, job: Record) -> list[str]:
    """Say what the cluster lacks for a job."""
    found = []
    if any(task["Vault"] for group in job["TaskGroups"] or () for task in group["Tasks"] or ()):
        found.append("Vault not enabled but used in the job")
    namespace = store.get(Table.NAMESPACES, job["Namespace"])
    if namespace is None:
        found.append(f'job "{job["ID"]}" is in nonexistent namespace "{job["Namespace"]}"')
    else:
        found += forbidden_drivers(job, namespace)
    if store.get(Table.NODE_POOLS, job["NodePool"]) is None:
        found.append(f'job "{job["ID"]}" is in nonexistent node pool "{job["NodePool"]}"')
    return found
