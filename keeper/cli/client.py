"""The keeper's HTTP API, as the commands need it."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import cast
from uuid import uuid4

import requests

TIMEOUT = 30
ENDED = {"Succeeded", "Failed", "Canceled"}
PASSING = {429, 500, 502, 503, 504}


class ApiError(Exception):
    """The API said no, or could not be reached; the text is for a person. `passing`: asking again may help."""

    def __init__(self, what: str, *, passing: bool) -> None:
        super().__init__(what)
        self.passing = passing


@dataclass(frozen=True, slots=True)
class Client:
    """Speaks to one function app with one function key. `url` is the app's base, without `/api`."""

    url: str
    key: str

    def get(self, path: str, **query: str | int) -> dict[str, object]:
        """The decoded answer; raises `ApiError`."""
        return self._ask("GET", path, params=query)

    def operate(self, body: Mapping[str, object]) -> dict[str, object]:
        """Start an operation and return its record. A repeated request after a lost answer finds the same one."""
        return self._ask("POST", "operations", json=dict(body), headers={"Idempotency-Key": str(uuid4())})

    def cancel(self, operation: str) -> dict[str, object]:
        """Ask for an operation's end; its record as it was."""
        return self._ask("POST", f"operations/{operation}/cancel")

    def wait(
        self, operation: str, seconds: float, shown: Callable[[Mapping[str, object]], None] | None = None
    ) -> dict[str, object]:
        """The operation's record once it has ended, or as it is after that time; `shown` is told each new progress.

        An API that does not answer for a while, as when its app is restarted, is asked again: the operation goes on meanwhile.
        """
        record = self.get(f"operations/{operation}")
        told: object = None
        for _ in range(max(1, round(seconds))):
            if shown is not None and record.get("progress") != told:
                told = record.get("progress")
                shown(record)
            if record["status"] in ENDED:
                break
            time.sleep(1)  # noqa: TID251 -- a person waits at a terminal; no tick does
            try:
                record = self.get(f"operations/{operation}")
            except ApiError as exc:
                if not exc.passing:
                    raise
        return record

    def _ask(
        self, method: str, path: str, headers: Mapping[str, str] | None = None, **more: object
    ) -> dict[str, object]:
        try:
            answer = requests.request(
                method,
                f"{self.url.rstrip('/')}/api/{path}",
                headers={"x-functions-key": self.key, **(headers or {})},
                timeout=TIMEOUT,
                **more,  # pyright: ignore[reportArgumentType] -- params or json, from the two methods above
            )
        except requests.RequestException as exc:
            raise ApiError(f"{self.url} does not answer: {exc}", passing=True) from exc
        if answer.ok:
            return cast("dict[str, object]", answer.json())
        passing = answer.status_code in PASSING
        raise ApiError(f"{answer.status_code} {_sentence(answer)}", passing=passing)


def _sentence(answer: requests.Response) -> str:
    """The message of an error answer, or its reason when it is not ours."""
    try:
        return str(answer.json()["error"]["message"])
    except (ValueError, KeyError, TypeError):
        return answer.reason
