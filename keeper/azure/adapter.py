"""What every adapter over one of Azure's SDKs is made of."""

from typing import TYPE_CHECKING

from keeper.settings import AzureSettings

if TYPE_CHECKING:
    from azure.core.credentials import TokenCredential

    from keeper.azure.arm import Transport


class SdkAdapter:
    """Settings and the identity to call with; the SDK's client is made when it is first used. `transport` replaces the network."""

    def __init__(
        self, settings: AzureSettings, *, credential: "TokenCredential", transport: "Transport | None" = None
    ) -> None:
        self._settings = settings
        self._credential = credential
        self._transport = transport
