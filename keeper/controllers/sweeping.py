"""Deletes expired snapshots, the manifest first. What a policy still protects stays, and is no error."""

from collections import Counter

from keeper.controllers.taking import storing
from keeper.core import retention
from keeper.core.retention import Listing, RetentionRules, Sweep
from keeper.core.snapshots import Part, Tier
from keeper.errors import GuardBroken
from keeper.ports import Lease
from keeper.snapshot_ports import Deletion, SnapshotStore

DELETIONS_AT_ONCE = 50
"""Snapshots deleted in one tick, the oldest first: a mistake stays small, and the rest is not forgotten. Of a tier whose policy keeps so
many no more are tried; they keep no other tier's from going."""

ORDER = (Part.MANIFEST, Part.KEYSTORE, Part.ARCHIVE)


def sweep(
    store: SnapshotStore, planned: Sweep, listing: Listing, rules: RetentionRules, lease: Lease
) -> Counter[Deletion]:
    """Carry the plan out; counts the snapshots by what became of them. A blob that may not go keeps the rest of its snapshot."""
    for guard, what in retention.broken(planned, listing, rules):
        raise GuardBroken(guard, what)
    done: Counter[Deletion] = Counter()
    kept: Counter[Tier] = Counter()
    for held in planned.goes:
        if done.total() - done[Deletion.IMMUTABLE] == DELETIONS_AT_ONCE:
            break
        if kept[held.tier] == DELETIONS_AT_ONCE:
            continue
        outcome = Deletion.GONE
        for part in ORDER:
            if part in held.parts:
                lease.confirm()
                with storing():
                    outcome = store.delete(held.tier, held.name.blob(part))
                if outcome is Deletion.IMMUTABLE:
                    break
        done[outcome] += 1
        kept[held.tier] += outcome is Deletion.IMMUTABLE
    return done
