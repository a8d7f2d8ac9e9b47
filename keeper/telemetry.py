"""What the keeper says while it works: one JSON object per line, in the message itself.

The Functions worker drops logging's `extra` (azure-functions-python-worker#1327), so everything is in the text. Info: a state
changed. Warning: fell back. Error: a goal was missed. `docs/events.md` lists every event; a test compares it with the code.
"""

import json
import logging
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import Enum

_log = logging.getLogger("keeper")
logging.getLogger("azure").setLevel(logging.WARNING)  # the SDKs tell every request and its headers at INFO
_log.setLevel(logging.INFO)  # the root of a worker is at WARNING until the host says otherwise


class Event(Enum):
    """Every event: its dotted name in the past tense, its level, and what it means."""

    TICK_PLANNED = ("tick.planned", logging.INFO, "A controller looked and decided; the decision record in short.")
    TICK_DONE = ("tick.done", logging.INFO, "A tick ended; how long it took.")
    TICK_STOPPED = (
        "tick.stopped",
        logging.WARNING,
        "A tick ended early on a transient error; what was done stays done.",
    )
    TICK_SATISFIED = ("tick.satisfied", logging.INFO, "A message was older than the last look and cost nothing.")
    TICK_TURN_LOST = (
        "tick.turn_lost",
        logging.INFO,
        "Another tick holds the lease; the queue or the timer comes back.",
    )
    READ_FAILED = ("read.failed", logging.WARNING, "Something could not be read; nothing that depends on it shrinks.")
    ACTION_DONE = ("action.done", logging.INFO, "One action was carried out.")
    ACTION_REFUSED = ("action.refused", logging.WARNING, "Azure said no to a growth; the pool is set aside.")
    ALERT_ACCEPTED = ("alert.accepted", logging.INFO, "An alert was validated and put on the queue.")
    EVENT_ACCEPTED = ("event.accepted", logging.INFO, "An Event Grid event was validated and put on the queue.")
    EVENT_IGNORED = ("event.ignored", logging.INFO, "An Event Grid event is not about any of the keeper's resources.")
    OPERATION_ACCEPTED = ("operation.accepted", logging.INFO, "An operation was stored and put on the queue.")
    OPERATION_ENDED = ("operation.ended", logging.INFO, "An operation reached its end; how.")
    REQUEST_REFUSED = ("request.refused", logging.WARNING, "A door refused a request; which field and why.")
    SNAPSHOT_COMMITTED = (
        "snapshot.committed",
        logging.INFO,
        "A verified snapshot and its manifest are in place; name, tier, index, sizes, time.",
    )
    SNAPSHOT_COPIED = ("snapshot.copied", logging.INFO, "A snapshot is in the second account, and was read back there.")
    SNAPSHOT_READ_BACK = (
        "snapshot.read_back",
        logging.INFO,
        "A snapshot was read back; every byte is as it was written.",
    )
    SNAPSHOT_FINISHED = (
        "snapshot.finished",
        logging.WARNING,
        "A run had been cut; its committed archive got its manifest.",
    )
    SNAPSHOT_SWEPT = (
        "snapshot.swept",
        logging.INFO,
        "Expired snapshots were deleted; how many, and how many a policy kept.",
    )
    SNAPSHOT_SWEEP_STOPPED = ("snapshot.sweep_stopped", logging.WARNING, "Nothing was deleted, and why.")
    SNAPSHOT_AGE = (
        "snapshot.age",
        logging.INFO,
        "Seconds since the last verified snapshot of a product. The alert rule fires when these lines tell too much, or cease.",
    )
    SNAPSHOT_RIGHT_TOO_WIDE = (
        "snapshot.right_too_wide",
        logging.WARNING,
        "The token may do more than it needs at this version.",
    )
    SNAPSHOT_FAILED = (
        "snapshot.failed",
        logging.ERROR,
        "No snapshot, copy or read-back; reason code, one sentence, runbook.",
    )
    SNAPSHOT_OVERDUE = ("snapshot.overdue", logging.ERROR, "The last verified snapshot is too old, whatever the cause.")
    KEYSTORE_MISSING = (
        "keystore.missing",
        logging.ERROR,
        "A snapshot is without root keys that its archive lacks: no server has deposited them; which, and the runbook.",
    )
    TOKEN_FORMER_USED = (
        "token.former_used",
        logging.WARNING,
        "The servers do not know the newest token of a secret but a former one, as after a restore: rotate it anew.",
    )
    RESTORE_STEPPED = ("restore.stepped", logging.INFO, "A restore has done one of its steps; which.")
    RESTORE_FAILED = ("restore.failed", logging.ERROR, "A restore ended without its proof; why, and how to undo it.")
    CANARY_WRITTEN = (
        "canary.written",
        logging.INFO,
        "Nomad's canary job and variable, or Consul's canary key, were made or refreshed.",
    )
    CANARY_REFUSED = (
        "canary.refused",
        logging.WARNING,
        "The canaries could not be kept; the right that is missing. Rehearsals fail without them.",
    )
    REHEARSAL_STARTED = ("rehearsal.started", logging.INFO, "The drill of a snapshot was dispatched.")
    REHEARSAL_PASSED = (
        "rehearsal.passed",
        logging.INFO,
        "A snapshot was restored into a throw-away server, and all that its manifest counts was there.",
    )
    REHEARSAL_FAILED = (
        "rehearsal.failed",
        logging.ERROR,
        "A rehearsal found something missing, or left no verdict; what, and the runbook.",
    )
    REHEARSAL_REREAD = (
        "rehearsal.reread",
        logging.INFO,
        "An old snapshot was read, opened and checked whole once more.",
    )
    AUTHORITY_FOUNDED = (
        "authority.founded",
        logging.INFO,
        "A CA certificate was signed by the newest version of the CA key; its id, its end, and why.",
    )
    BUNDLE_PUBLISHED = ("bundle.published", logging.INFO, "A bundle of CAs was written; its place, and the CAs by id.")
    CERTIFICATE_ISSUED = (
        "certificate.issued",
        logging.INFO,
        "A machine's certificate was signed and put into its vault; place, names, issuer, and why.",
    )
    SECRET_WRITTEN = (
        "secret.written",
        logging.INFO,
        "A shared key or a token was written; its place and why, never its value.",
    )
    ACCESS_BOOTSTRAPPED = (
        "access.bootstrapped",
        logging.INFO,
        "The first management token of Nomad or Consul was made; the name of the secret that it stands in.",
    )
    CERTIFICATES_FAILED = (
        "certificates.failed",
        logging.ERROR,
        "A certificate or secret could not be read, made or written; which, why, runbook.",
    )
    MESSAGE_POISONED = ("message.poisoned", logging.ERROR, "A message could not be handled and was recorded.")

    def __init__(self, label: str, level: int, meaning: str) -> None:
        self.label = label
        self.level = level
        self.meaning = meaning


def event(what: Event, /, **facts: object) -> None:
    """Say that something happened. Ids are always named `node`, `instance`, `pool`, `operation`."""
    _log.log(what.level, "%s", json.dumps({"event": what.label, **facts}, default=_plain, separators=(",", ":")))


def _plain(value: object) -> object:
    match value:
        case datetime():
            return value.isoformat()
        case timedelta():
            return value.total_seconds()
        case Mapping():
            return {str(key): each for key, each in value.items()}  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- any mapping will do
        case frozenset() | set() | tuple():
            return sorted(str(each) for each in value)  # pyright: ignore[reportUnknownVariableType, reportUnknownArgumentType] -- the same
        case _:
            return str(value)
