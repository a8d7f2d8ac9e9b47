"""Certificates: a trio of CA bundle, certificate and key is proven before it is swapped in, and proven again when served.

Nomad answers a reload with a wrong trio by a log line and goes on with the old one, so the proof comes first; and a
handshake afterwards, because nothing else tells that it was taken over. The folder behind `current` is swapped by one rename.
"""

from __future__ import annotations

import hashlib
import re
import ssl
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import TYPE_CHECKING

from keepernode.machine import File, ensure_all
from keepernode.places import TLS
from keepernode.problems import NodeError, Unreachable, Unsafe
from keepernode.wire import Trust

if TYPE_CHECKING:
    from keepernode.machine import Machine

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.DOTALL)
_KEY = re.compile(r"-----BEGIN (?:EC |RSA )?PRIVATE KEY-----.+?-----END (?:EC |RSA )?PRIVATE KEY-----\n?", re.DOTALL)
LEAST_LIFE = 3600
"""Seconds: a certificate with less than this left is not taken over."""
OLD = 4
"""A certificate is old when less than this part of its life is left."""
PROOF_TRIES = 20
PROOF_PAUSE = 1.0


@dataclass(frozen=True, slots=True)
class Trio:
    """What an agent serves and trusts. `leaf` is the certificate with its chain."""

    bundle: str
    leaf: str
    key: str = field(repr=False)

    def digest(self) -> str:
        """Name these three by what they are."""
        return hashlib.sha256(f"{self.bundle}\0{self.leaf}\0{self.key}".encode()).hexdigest()[:20]

    def der(self) -> bytes:
        """Return the certificate itself as it is served."""
        first = _CERTIFICATE.search(self.leaf)
        return ssl.PEM_cert_to_DER_cert(first.group()) if first else b""


@dataclass(frozen=True, slots=True)
class Service:
    """One agent that serves a certificate: who reads the key, which name it must carry, where it is served."""

    name: str
    owner: str
    expected_name: str
    port: int


def split_pem(text: str, bundle: str) -> Trio:
    """Take Key Vault's PEM of a certificate (key and chain in one) apart; Unsafe when a part is missing."""
    key, leaves, authorities = _KEY.search(text), _CERTIFICATE.findall(text), _CERTIFICATE.findall(bundle)
    missing = [
        what
        for what, found in (("a private key", key), ("a certificate", leaves), ("a CA in the bundle", authorities))
        if not found
    ]
    if missing or key is None:
        raise Unsafe(f"the certificate from Key Vault lacks {', '.join(missing)}; the one in use stays")
    return Trio("".join(map(_ended, authorities)), "".join(map(_ended, leaves)), _ended(key.group()))


def _ended(pem: str) -> str:
    return pem.rstrip("\n") + "\n"


def stage(machine: Machine, service: Service, trio: Trio) -> str:
    """Lay the trio beside the one in use and prove it; return its folder. Unsafe when it fails: nothing is swapped."""
    folder = f"{TLS}/{service.name}/{trio.digest()}"
    machine.ensure_folder(f"{TLS}/{service.name}", mode=0o755)
    machine.ensure_folder(folder, mode=0o755, owner=service.owner)
    ensure_all(
        machine,
        [
            File(f"{folder}/ca.pem", trio.bundle, 0o644, service.owner),
            File(f"{folder}/cert.pem", trio.leaf, 0o644, service.owner),
            File(f"{folder}/key.pem", trio.key, 0o600, service.owner),
        ],
    )
    try:
        _prove(machine, service, folder)
    except NodeError:
        machine.remove(folder)
        raise
    return folder


def _prove(machine: Machine, service: Service, folder: str) -> None:
    def ask(*argv: str) -> str:
        done = machine.run(["openssl", *argv])
        if done.code != 0:
            raise Unsafe(f"the new {service.name} certificate is not sound: {done.last_words()}; the one in use stays")
        return done.out

    leaf = f"{folder}/cert.pem"
    ask("verify", "-CAfile", f"{folder}/ca.pem", "-untrusted", leaf, leaf)
    ask("x509", "-in", leaf, "-noout", "-checkend", str(LEAST_LIFE))
    if ask("x509", "-in", leaf, "-noout", "-pubkey") != ask("pkey", "-in", f"{folder}/key.pem", "-pubout"):
        raise Unsafe(f"the new {service.name} certificate and its key do not belong together; the ones in use stay")
    named = ask("x509", "-in", leaf, "-noout", "-checkhost", service.expected_name)
    if "does match certificate" not in named:
        raise Unsafe(f"the new {service.name} certificate is not for {service.expected_name}; the one in use stays")


def in_use(service: Service) -> str:
    """Return the link that the agent's configuration names."""
    return _link(service.name)


def _link(name: str) -> str:
    return f"{TLS}/{name}/current"


@dataclass(frozen=True, slots=True)
class Life:
    """From when until when a certificate counts."""

    start: datetime
    end: datetime

    def is_old(self, now: datetime) -> bool:
        """Tell whether so little is left that its renewal must have failed: the keeper renews at a third."""
        return self.end - now < (self.end - self.start) / OLD


def life(machine: Machine, name: str) -> Life | None:
    """Return the life of the certificate that the agent `name` uses; None when there is none."""
    argv = ["openssl", "x509", "-in", f"{_link(name)}/cert.pem", "-noout", "-startdate", "-enddate"]
    told = dict(line.split("=", 1) for line in machine.run(argv).out.splitlines() if "=" in line)
    if set(told) != {"notBefore", "notAfter"}:
        return None
    start, end = (ssl.cert_time_to_seconds(told[each]) for each in ("notBefore", "notAfter"))
    return Life(datetime.fromtimestamp(start, tz=timezone.utc), datetime.fromtimestamp(end, tz=timezone.utc))


def is_served(machine: Machine, service: Service, trio: Trio) -> bool:
    """Tell whether the agent on this machine serves just this certificate, and it verifies by the bundle."""
    trust = Trust(f"{in_use(service)}/ca.pem", service.expected_name)
    try:
        return machine.served_certificate("127.0.0.1", service.port, trust) == trio.der()
    except Unreachable:
        return False


def take_over(machine: Machine, service: Service, trio: Trio, folder: str) -> None:
    """Swap the folder in, reload the running agent, prove what it serves; swap back and say so when it does not."""
    before = machine.real_path(in_use(service))
    machine.ensure_link(in_use(service), folder)
    if machine.run(["systemctl", "is-active", "--quiet", service.name]).code != 0:
        return
    machine.run(["systemctl", "reload", service.name])
    for _ in range(PROOF_TRIES):
        if is_served(machine, service, trio):
            _forget_old(machine, service)
            return
        machine.pause(PROOF_PAUSE)
    if before is not None:
        machine.ensure_link(in_use(service), before)
        machine.run(["systemctl", "reload", service.name])
    raise NodeError(
        f"{service.name} does not serve its new certificate after a reload; the old one is back: look at its log"
    )


def _forget_old(machine: Machine, service: Service) -> None:
    """Keep the folder in use and leave no key of an older certificate behind."""
    home = f"{TLS}/{service.name}"
    used = machine.real_path(in_use(service))
    for name in machine.names_in(home):
        if name != "current" and machine.real_path(f"{home}/{name}") != used:
            machine.remove(f"{home}/{name}")
