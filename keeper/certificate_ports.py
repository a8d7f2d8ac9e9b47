"""What certificates and secrets need of the outside, as protocols; a part of `keeper.ports`.

Every method may raise `Transient` or `Permanent`, as there. No method logs a value, and no private key passes through any: the CA
key signs inside its vault, and a machine's key is made in the vault that the machine reads.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

from keeper.core.access import Entry, Kind, Token
from keeper.core.certificates import Audience, Authority, Leaf
from keeper.core.snapshots import Product


@dataclass(frozen=True, slots=True)
class Held:
    """A secret's newest value, and since when it is that."""

    value: str = field(repr=False)
    since: datetime


class Vault(Protocol):
    """The Key Vault of one audience."""

    def secret(self, name: str) -> Held | None:
        """The newest value, or None when there is none. One call."""
        ...

    def put(self, name: str, value: str, kind: str) -> None:
        """Write a new version of a secret; `kind` is its content type. Repeating makes one more version. One call."""
        ...

    def leaf(self, name: str) -> Leaf | None:
        """The certificate of that name, or None when there is none. One call."""
        ...

    def request(self, name: str, common_name: str, life: timedelta) -> bytes:
        """Have the vault make a key for the certificate `name`; the signing request (DER).

        One that was begun and never finished is taken up again: the same request. One or two calls.
        """
        ...

    def merge(self, name: str, chain: Sequence[bytes]) -> None:
        """Finish the certificate with what was signed (DER, leaf first); from now on it is the newest version. One call."""
        ...


class Authorities(Protocol):
    """The CA key and what it signs."""

    def newest(self) -> str:
        """Id of the authority that the newest version of the key would be. One call."""
        ...

    def made(self) -> frozenset[str]:
        """Ids of the authorities that any version of the key would be. One call, and one for each version."""
        ...

    def rotate(self) -> None:
        """Make a new version of the key. One call."""
        ...

    def found(self, now: datetime, life: timedelta) -> Authority:
        """Sign a CA certificate with the newest version; it ends no later than the key does. A few calls."""
        ...

    def read(self, bundle: str) -> tuple[Authority, ...]:
        """The authorities of a PEM bundle, oldest first. Raises ValueError for what is no bundle. No call."""
        ...

    def sign(
        self, request: bytes, names: frozenset[str], issuer: Authority, now: datetime, life: timedelta
    ) -> Sequence[bytes]:
        """Sign a machine's certificate for just these names; it ends no later than its issuer. DER, leaf first. A few calls."""
        ...


class AccessControl(Protocol):
    """Access control of one product's servers, as the management token in the keeper's vault, which is read anew each time."""

    @property
    def product(self) -> Product:
        """Whose it is."""
        ...

    def leads(self) -> bool:
        """Whether a server leads; asked without a token. Raises `Unreachable` while nobody answers. One call."""
        ...

    def bootstrap(self, secret: str) -> bool:
        """Make the first management token with that secret, a UUID; False when there has been one before. One call."""
        ...

    def manages(self) -> bool:
        """Whether the servers take the token for a management token. One call."""
        ...

    def version(self) -> str:
        """The release of the servers. One call."""
        ...

    def entries(self, wanted: Sequence[Entry]) -> Mapping[tuple[Kind, str], str]:
        """The bodies of those that exist, spelled as `wanted` spells them. A call or two each."""
        ...

    def write(self, entry: Entry) -> None:
        """Make or change it. Repeating is harmless. A few calls."""
        ...

    def granted(self, names: Sequence[str]) -> Mapping[str, str]:
        """The secrets of the tokens of those names, by name; the oldest where there are several. One call, and one for each."""
        ...

    def grant(self, token: Token) -> None:
        """Make a token of that name. Repeating makes another. One call."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificates:
    """All that the certificates controller touches besides records and leases."""

    vaults: Mapping[Audience, Vault]
    authorities: Authorities
    fresh: Callable[[], bytes]
    """32 random bytes."""
    access: Sequence[AccessControl] = ()
    """Nomad's first: what Consul needs depends on its version."""
