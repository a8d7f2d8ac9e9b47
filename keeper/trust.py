"""How the keeper reaches servers of its own cluster: their CAs, their name, their token; no public CA, no proxy, no .netrc."""

import ssl
from typing import Any, override

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase
from urllib3.util.retry import Retry

from keeper.errors import Permanent

CONNECT_SECONDS = 3.0
POOLED = 4
READ_RETRIES = Retry(
    total=2, connect=2, read=1, status=0, other=0, redirect=0, allowed_methods={"GET"}, backoff_factor=0.1
)
"""A connection that was never made is tried again; one that broke is too, but for reads only: a write may have arrived."""


AROUND = " \t\r\n\ufeff"
"""What files and editors put around a secret."""


class TokenHeader(AuthBase):
    """Puts the ACL token into each request's header, `X-Nomad-Token` or `X-Consul-Token`; raises `Permanent` for what is none."""

    def __init__(self, token: str, header: str = "X-Nomad-Token") -> None:
        self._token = token.strip(AROUND)
        self._header = header
        if not (self._token.isascii() and self._token.isprintable()):  # the refusal of what is below would show it
            raise Permanent(
                f"the secret for {header} holds more than a token: line breaks, or characters that none has"
            )

    @override
    def __call__(self, r: requests.PreparedRequest) -> requests.PreparedRequest:
        r.headers[self._header] = self._token
        return r


class VerifiedTransport(HTTPAdapter):
    """TLS 1.2 or later, verified with exactly the given CAs, for exactly the given name, whatever address is dialled."""

    def __init__(self, ca: str, name: str, whose: str = "Nomad") -> None:
        self._context = _trusting(ca, whose)
        self._name = name
        super().__init__(pool_connections=1, pool_maxsize=POOLED, max_retries=READ_RETRIES)

    @override
    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **pool_kwargs: Any) -> None:
        tls = {"ssl_context": self._context, "server_hostname": self._name}
        super().init_poolmanager(connections, maxsize, block, **tls, **pool_kwargs)

    @override
    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """Leave the context alone: the inherited method would add the public CAs to it."""


def _trusting(ca: str, whose: str) -> ssl.SSLContext:
    """A context that trusts exactly these CAs. `ssl.create_default_context` would fall back on public ones without any."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN | ssl.VERIFY_X509_STRICT
    try:
        context.load_verify_locations(cadata=ca)
    except (ssl.SSLError, TypeError, ValueError) as exc:
        raise Permanent(f"the CA bundle for {whose}'s certificates holds no certificate (PEM)") from exc
    return context
