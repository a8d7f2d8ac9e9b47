"""Restoring a snapshot: what must hold before, which steps there are, and what must be there afterwards. Pure.

A restore replaces the whole state of a cluster, so it is the one operation that asks for a phrase. What speaks against it is
refused by name, and only that name lets it through: `force` never means "whatever it is".
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from itertools import zip_longest

from keeper.core import versions
from keeper.core.canaries import Canary
from keeper.core.retention import CLOCKS_AGREE
from keeper.core.snapshots import Level, Manifest, Product

LATEST = {"latest": Product.NOMAD, "latest-consul": Product.CONSUL}
"""What a dry run may name instead of a snapshot: the newest verified one."""

KEYRING_IN_RAFT = "1.9.0"
"""Since then the root keys are in the archive (https://developer.hashicorp.com/nomad/docs/operations/key-management)."""

GROWING = frozenset({"jobs", "nodes"})
"""What a restored cluster adds to within moments: clients register, periodic jobs that are overdue launch."""

LIVING = {Product.CONSUL: frozenset({"nodes", "services", "sessions"})}
"""What running servers put right by themselves, up and down: Consul's leader drops, each minute, nodes that are not among its members,
with their services and sessions. It is compared where the server has not had the time, in a rehearsal."""


class Force(StrEnum):
    """What may be forced, each by its name."""

    NEWER_VERSION = "newer-version"
    """The snapshot is of a newer server than the cluster runs: it may kill the cluster (hashicorp/nomad#20072)."""
    OTHER_VERSION = "other-version"
    """Consul restores snapshots of its own version only."""
    OTHER_CLUSTER = "other-cluster"
    UNVERIFIED = "unverified"
    """No manifest says that all was proven."""
    WITHOUT_KEYSTORE = "without-keystore"
    """Variables will be unreadable unless the servers hold the root keys already."""
    WITHOUT_UNDO = "without-undo"
    """There is no pre-restore snapshot to go back to."""


class Step(StrEnum):
    """What is done already; a restore goes through them in this order, and any tick may take it up again."""

    ASKED = "asked"
    VERIFIED = "verified"
    """Every byte was read, opened and checked."""
    SAVED = "saved"
    """The state that is about to go has a snapshot of its own: the undo."""
    KEYED = "keyed"
    """Every server holds the root keys that the snapshot needs."""
    RESTORED = "restored"
    """The servers took the archive."""
    PROVEN = "proven"
    """Leader, counts and canaries are as they must be."""


STEPS = tuple(Step)


@dataclass(frozen=True, slots=True)
class Objection:
    """One thing that speaks against a restore, and the name that forces it."""

    force: Force
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What is known before a restore. `verified` tells whether a manifest blob says so; `version` is the cluster's."""

    manifest: Manifest
    verified: bool
    cluster: str
    version: str


def phrase(cluster: str, stem: str) -> str:
    """What a person must type to restore that snapshot into that cluster."""
    return f"restore {cluster} {stem}"


def objections(now: Situation) -> list[Objection]:
    """Everything that speaks against the restore."""
    manifest, found = now.manifest, list[Objection]()
    theirs, ours = manifest.server_version, now.version
    if manifest.name.cluster != now.cluster:
        found.append(Objection(Force.OTHER_CLUSTER, f"it is of cluster {manifest.name.cluster}, this is {now.cluster}"))
    if not now.verified or manifest.level < Level.SANE:
        found.append(Objection(Force.UNVERIFIED, "no manifest says that it was verified"))
    if manifest.name.product is Product.CONSUL and order(theirs, ours) != 0:
        found.append(Objection(Force.OTHER_VERSION, f"it is of Consul {theirs}, the servers run {ours}"))
    elif order(theirs, ours) > 0:
        found.append(Objection(Force.NEWER_VERSION, f"it is of {theirs}, the servers run the older {ours}"))
    if needs_keystore(manifest) and manifest.keystore_sha256 is None:
        what = f"before Nomad {KEYRING_IN_RAFT} the archive lacks the root keys, and no keystore lies beside it"
        found.append(Objection(Force.WITHOUT_KEYSTORE, what))
    return found


def refused(found: Sequence[Objection], forced: Collection[Force]) -> list[Objection]:
    """The objections that nobody forced."""
    return [objection for objection in found if objection.force not in forced]


def order(left: str, right: str) -> int:
    """Below, above or equal to 0 as the first version is older, newer or equal. What is no version is newer than all."""
    first, second = versions.parse(left, strict=False), versions.parse(right, strict=False)
    if first is None or second is None:
        return (first is None) - (second is None)
    pairs = zip_longest(first.segments, second.segments, fillvalue=0)
    numbers = next((a - b for a, b in pairs if a != b), 0)
    return numbers or (not first.prerelease) - (not second.prerelease)


def needs_keystore(manifest: Manifest) -> bool:
    """Whether the archive lacks the root keys."""
    return lacks_root_keys(manifest.name.product, manifest.server_version)


def lacks_root_keys(product: Product, version: str) -> bool:
    """Whether archives of that version hold no root keys."""
    return product is Product.NOMAD and order(version, KEYRING_IN_RAFT) < 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a restore has come; stored in its operation, so that any tick can go on with it. Sizes are bytes."""

    snapshot: str
    """Stem of the snapshot that is restored."""
    step: Step = Step.ASKED
    doing: str = ""
    """What is under way, in a few words."""
    done_bytes: int = 0
    total_bytes: int = 0
    """Of what is under way."""
    undo: str | None = None
    """Stem of the pre-restore snapshot."""
    restored: datetime | None = None
    """When the servers took the archive."""
    proof: Mapping[str, object] | None = None
    """What was found afterwards."""

    def past(self, step: Step) -> bool:
        """Whether that step is done."""
        return STEPS.index(self.step) >= STEPS.index(step)


@dataclass(frozen=True, slots=True)
class Found:
    """A cluster after a restore. `canary_job` and `canary` are None when missing, with the reason in `trouble`."""

    counts: Mapping[str, int]
    leader: str
    canary_job: str | None = None
    """When Nomad's canary job was refreshed last, as its meta says."""
    canary: Mapping[str, str] | None = None
    """The items of the canary variable, or key."""
    trouble: str = ""
    """What the server said when these could not be read."""


def differences(manifest: Manifest, found: Found, *, untouched: bool = False) -> list[str]:
    """Everything that is not as the snapshot promised, one short sentence each; nothing when all is there.

    `untouched`: the state is as the archive left it, seen before anybody worked on it.
    """
    wrong = [] if found.leader else ["nobody leads"]
    living = frozenset[str]() if untouched else LIVING.get(manifest.name.product, frozenset())
    for kind, (fewest, most) in manifest.counts.items():
        seen = found.counts.get(kind)
        if kind in living:
            continue
        if seen is None:
            wrong.append(f"{kind} could not be counted")
        elif seen < fewest or (seen > most and kind not in GROWING):
            wrong.append(f"{kind}: {seen} found, {_range(fewest, most)} expected")
    return wrong + _canaries(manifest, found)


def _range(fewest: int, most: int) -> str:
    return str(fewest) if fewest == most else f"{fewest} to {most}"


def _canaries(manifest: Manifest, found: Found) -> list[str]:
    nomad = manifest.name.product is Product.NOMAD
    what = "variable" if nomad else "key"
    wrong = ["the canary job is missing"] if nomad and found.canary_job is None else []
    if found.canary is None:
        return [*wrong, f"the canary {what} cannot be read: {found.trouble or 'it is missing'}"]
    canary = Canary.of(found.canary)
    if canary is None:
        return [*wrong, f"the canary {what} does not prove itself: its proof does not fit its content"]
    if canary.refreshed > manifest.name.taken + CLOCKS_AGREE:  # it may be refreshed while a snapshot is on its way
        return [*wrong, f"the canary {what} is from {canary.refreshed:%Y-%m-%dT%H:%M:%SZ}, after the snapshot"]
    return wrong
