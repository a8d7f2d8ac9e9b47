"""Errors, named by what the caller should do.

    KeeperError
    ├── SettingsError    the settings are wrong: all problems at once, at start-up
    ├── Refused          unsafe or forbidden now; a person or a later tick may succeed (HTTP 409)
    ├── Transient        the world may mend by itself: end the tick, come back after `retry_after`
    │   ├── Throttled        Azure or Nomad asked for patience
    │   ├── Unreachable      no answer, no leader
    │   ├── LostLease        another tick holds the lease, or took it over
    │   └── Changed          the thing was changed since it was read (HTTP 412): observe again
    ├── Permanent        retrying is pointless
    │   ├── Forbidden        the identity lacks a right
    │   └── Gone             the thing no longer exists
    └── GuardBroken      our bug: a plan broke a named rule; nothing of it is applied

Bad input is a `core.problems.FieldError`: doors answer it with 400, the worker lets it go to the poison queue.

Adapters translate vendor errors, always `from exc`. Controllers catch only `Transient`.
"""

from collections.abc import Sequence
from datetime import timedelta


class KeeperError(Exception):
    """The root. Its text is one sentence for a person."""


class SettingsError(KeeperError):
    """Every problem of the settings, in one error."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Refused(KeeperError):
    """Unsafe or forbidden now."""


class Transient(KeeperError):
    """The world may mend by itself."""

    def __init__(self, what: str, *, retry_after: timedelta = timedelta(minutes=1)) -> None:
        super().__init__(what)
        self.retry_after = retry_after


class Throttled(Transient):
    """Too many requests; `retry_after` is what the service asked for."""


class Unreachable(Transient):
    """No answer in time, a broken connection, or a cluster without a leader."""


class LostLease(Transient):
    """Somebody else holds the lease."""


class Changed(Transient):
    """A conditional write was refused because the thing changed since it was read."""


class Permanent(KeeperError):
    """Retrying is pointless until a person changes something."""


class Forbidden(Permanent):
    """The keeper's identity or token lacks a right; the text names it."""


class Gone(Permanent):
    """The thing no longer exists."""


class GuardBroken(KeeperError):
    """A plan broke a named rule. This is a bug of the keeper; nothing of the plan is applied."""

    def __init__(self, guard: str, what: str) -> None:
        super().__init__(f"guard {guard} is broken: {what}")
        self.guard = guard
