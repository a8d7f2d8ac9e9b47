"""What the watcher asks of this server's own Nomad agent."""

from __future__ import annotations

import json
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from typing import TYPE_CHECKING

from keepernode.problems import Misconfigured, Unreachable
from keepernode.shapes import Json, as_object, child, objects_of, text_or
from keepernode.watch.events import Overview
from keepernode.wire import Answer, Line, Trust

if TYPE_CHECKING:
    from collections.abc import Iterator
    from http.client import HTTPResponse

    from keepernode.watch.config import WatchConfig

SILENCE_LIMIT = 75.0
"""Seconds without a line before the stream counts as lost: Nomad sends a heartbeat every 30 s at least."""

OK = 200


@dataclass(slots=True)
class NomadAgent:
    """One thread's connection to the agent. Make one for the reader and one for the speaker."""

    config: WatchConfig
    line: Line

    @classmethod
    def of(cls, config: WatchConfig, *, timeout: float) -> NomadAgent:
        """Prepare a connection; nothing is dialled yet."""
        trust = Trust(config.nomad_ca_file, config.nomad_server_name)
        return cls(config, Line(config.nomad_address, trust, timeout))

    def leads(self) -> bool:
        """Tell whether this server is the leader now; no leader, or no answer that says so, means no."""
        if self.config.nomad_rpc_address is not None:
            answer = self.line.ask("GET", "/v1/status/leader")
            return answer.status == OK and answer.json() == self.config.nomad_rpc_address
        answer = self._ok("/v1/agent/self")
        stats = child(child(as_object(answer.json(), "/v1/agent/self"), "stats"), "nomad")
        return text_or(stats, "leader") == "true"

    def overview(self) -> Overview:
        """Read both lists with their indexes: all nodes, and the blocked evaluations of every namespace."""
        evaluations = self._ok("/v1/evaluations?status=blocked&namespace=*")
        nodes = self._ok("/v1/nodes")
        return Overview(
            nodes=objects_of(nodes.json()),
            nodes_index=_index(nodes),
            blocked=objects_of(evaluations.json()),
            evaluations_index=_index(evaluations),
        )

    def lines(self, index: int) -> Iterator[Json]:
        """Follow the event stream from `index`, line by line, until it breaks: then Unreachable, never a plain end."""
        path = f"/v1/event/stream?topic=Evaluation:*&topic=Node:*&namespace=*&index={index}"
        try:
            with self.line.stream(path, headers=self._headers()) as response:
                if response.status != OK:
                    raise _refused("/v1/event/stream", response.status, response.read(300).decode("utf-8", "replace"))
                yield from _parsed(response)
        finally:
            self.line.close()

    def _ok(self, path: str) -> Answer:
        answer = self.line.ask("GET", path, headers=self._headers())
        if answer.status != OK:
            raise _refused(path.partition("?")[0], answer.status, answer.text())
        return answer

    def _headers(self) -> dict[str, str]:
        if self.config.nomad_token_file is None:
            return {}
        try:
            token = Path(self.config.nomad_token_file).read_text(encoding="utf-8").strip()
        except OSError as exc:
            msg = f"cannot read the Nomad token file {self.config.nomad_token_file}: {exc.strerror}"
            raise Misconfigured(msg) from exc
        return {"X-Nomad-Token": token}


def _parsed(response: HTTPResponse) -> Iterator[Json]:
    while True:
        try:
            raw = response.readline()
        except (OSError, ValueError, HTTPException) as exc:
            raise Unreachable(f"the event stream broke: {exc}; connecting again") from exc
        if not raw:
            raise Unreachable("the event stream ended; connecting again")
        if raw.strip():
            try:
                yield as_object(json.loads(raw), "a line of the event stream")
            except ValueError as exc:
                raise Unreachable("a line of the event stream was cut; connecting again") from exc


def _refused(path: str, status: int, text: str) -> Unreachable:
    hint = ""
    if "Permission denied" in text or status in {401, 403}:
        hint = "; give the watcher's token node:read, namespace * read-job and agent:read"
    return Unreachable(f"Nomad answers {path} with HTTP {status} {' '.join(text.split())}{hint}", status=status)


def _index(answer: Answer) -> int:
    text = answer.headers.get("x-nomad-index", "")
    if not text.isdigit():
        raise Unreachable("Nomad sent a list without X-Nomad-Index; is nomad_address really a Nomad agent?")
    return int(text)
