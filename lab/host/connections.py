"""Queue clients for the connections that bindings name, from the same app settings that Azure reads."""

from __future__ import annotations

import json
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit
from urllib.request import Request, urlopen

from azure.core.credentials import AccessToken
from azure.storage.queue import QueueClient

from lab.host.model import HostError

if TYPE_CHECKING:
    from collections.abc import Mapping

STORAGE = "https://storage.azure.com"


class SettingsIdentity:
    """Managed identity as the app's settings describe it (App Service protocol).

    The SDK's own credential reads this process's environment, but the settings belong to the app, so it is no help here.
    """

    def __init__(self, settings: Mapping[str, str], connection: str) -> None:
        if "IDENTITY_ENDPOINT" not in settings:
            raise HostError(f"connection {connection}: a managed identity needs the setting IDENTITY_ENDPOINT")
        query = {"api-version": "2019-08-01", "resource": STORAGE}
        if client := settings.get(f"{connection}__clientId"):
            query["client_id"] = client
        self._request = Request(  # noqa: S310 - the lab's own endpoint, http or https
            f"{settings['IDENTITY_ENDPOINT']}?{urlencode(query)}",
            headers={"X-IDENTITY-HEADER": settings.get("IDENTITY_HEADER", "")},
        )
        bundle = settings.get("REQUESTS_CA_BUNDLE")
        https = urlsplit(self._request.full_url).scheme == "https"
        self._context = ssl.create_default_context(cafile=bundle) if https else None

    def get_token(self, *_scopes: str, **_options: object) -> AccessToken:
        """Fetch a token for storage; the client caches it until it expires."""
        with urlopen(self._request, context=self._context, timeout=10) as reply:  # noqa: S310 - as above
            document = json.load(reply)
        return AccessToken(document["access_token"], int(document["expires_on"]))


def queue_client(queue: str, connection: str, settings: Mapping[str, str]) -> QueueClient:
    """Return a client for a queue by a connection's settings: a connection string, or `__queueServiceUri`.

    It does not retry: the listener that uses it polls again anyway. HostError when the settings are missing.
    """
    verify = settings.get("REQUESTS_CA_BUNDLE") or True
    if text := settings.get(connection):
        return QueueClient.from_connection_string(text, queue, connection_verify=verify, retry_total=0)
    if url := settings.get(f"{connection}__queueServiceUri"):
        credential = SettingsIdentity(settings, connection)
        return QueueClient(url, queue, credential=credential, connection_verify=verify, retry_total=0)
    raise HostError(f"queue {queue}: neither {connection} nor {connection}__queueServiceUri is an app setting")
