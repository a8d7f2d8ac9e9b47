"""The certificate files of an agent."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class TlsFiles:
    """The files of a server's certificate, and whether callers must show one of the same CA."""

    def __init__(self, certificate: Path, key: Path, ca: Path, *, verify_https_client: bool = False) -> None:
        self.certificate, self.key, self.ca = certificate, key, ca
        self.verify_https_client = verify_https_client

    def context(self) -> ssl.SSLContext:
        """Load the files; raises when they do not fit each other."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.load_cert_chain(self.certificate, self.key)
        context.load_verify_locations(self.ca)
        if self.verify_https_client:
            context.verify_mode = ssl.CERT_REQUIRED
        return context
