from collections.abc import Mapping

import requests

class Requester:
    def __init__(
        self,
        *,
        address: str | None = None,
        timeout: float | tuple[float, float] = 5,
        verify: bool | str = False,
        session: requests.Session | None = None,
    ) -> None: ...
    def request(
        self,
        *args: str,
        method: str,
        params: Mapping[str, str] | None = None,
        json: object = None,
    ) -> requests.Response: ...
