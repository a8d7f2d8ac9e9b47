"""One tick of the certificates controller on its way: what both of its halves share."""

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from keeper.certificate_ports import Certificates
from keeper.core.certificates import Place
from keeper.errors import LostLease, Permanent, Transient
from keeper.ports import Lease, World
from keeper.settings_certificates import CertificateSettings
from keeper.telemetry import Event, event

RUNBOOK = "docs/runbooks/certificates-failed.md"
PEM, TEXT = "application/x-pem-file", "text/plain"
"""Content types of what is written."""


@dataclass(slots=True)
class Tick:
    """One tick on its way."""

    world: World
    parts: Certificates
    lease: Lease
    now: datetime
    done: list[dict[str, object]] = field(default_factory=list[dict[str, object]])
    problems: dict[str, str] = field(default_factory=dict[str, str])
    waits: list[str] = field(default_factory=list[str])
    """What has to happen first, in good health."""
    wrong: bool = False
    """Whether a problem will not mend by itself."""

    @property
    def rules(self) -> CertificateSettings:
        """The settings of this controller."""
        return self.world.settings.certificates

    @contextmanager
    def attempting(self, what: str) -> Generator[None]:
        """Do something that may fail without stopping the rest; a failure is said and recorded, once."""
        try:
            yield
        except LostLease:
            raise
        except (Transient, Permanent) as exc:
            if what not in self.problems:
                event(Event.CERTIFICATES_FAILED, what=what, why=str(exc), runbook=RUNBOOK)
            self.problems[what] = str(exc)
            self.wrong |= isinstance(exc, Permanent)

    def note(self, action: str, place: Place | None, because: str, **facts: object) -> None:
        """Record what was done; never a value."""
        self.done.append({"action": action, "place": str(place) if place else None, "because": because, **facts})
