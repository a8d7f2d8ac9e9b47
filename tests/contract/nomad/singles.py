"""Several clusters of one server each, at addresses of their own: what the snapshot recording was made on."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

from tests.contract.nomad.real import RealNomad, binary
from tests.contract.nomad.standin import StandIn

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.nomad.player import Player
    from tests.contract.nomad.recorded import Step
    from tests.contract.nomad.subjects import ClientSpec, Observed, Subject

SOURCE, FRESH, SECOND = "127.0.3.1:4646", "127.0.3.2:4646", "127.0.3.3:4646"
NAMES = {SOURCE: "nomad-server-snap", FRESH: "nomad-server-fresh", SECOND: "nomad-server-fresh2"}


class Singles:
    """Dispatches by address. `only` makes just one of the servers."""

    def __init__(self, kind: str, only: str = "") -> None:
        self.title, self.real = kind, kind == "real"
        self._subjects: dict[str, Subject] = {}
        try:
            for number, (address, name) in enumerate(NAMES.items()):
                if only in {"", address}:
                    self._subjects[address] = self._make(address, name, number)
        except BaseException:
            self.close()
            raise

    def _make(self, address: str, name: str, number: int) -> Subject:
        host = address.split(":", maxsplit=1)[0]
        found = binary()
        if self.real and found is not None:
            subject = RealNomad(found)
            subject.single(name, host)
            return subject
        return StandIn({name: host}, seed=number + 20)

    def send(  # noqa: PLR0917 - a request has these parts
        self, method: str, path: str, query: dict[str, Any], headers: dict[str, str], body: bytes, agent: str
    ) -> Observed:
        return self._subjects[agent].send(method, path, query, headers, body, agent)

    def play(self, player: Player, step: Step, raw: bytes | None) -> Observed:
        """Send the request of a step; `raw` is its body when the recording only describes it."""
        request = step.request
        agent = request.get("agent") or SOURCE
        headers = {name: player.header(value) for name, value in (request.get("headers") or {}).items()}
        if raw is None:
            given = request.get("body")
            raw = given.encode() if isinstance(given, str) else b"" if given is None else json.dumps(given).encode()
        path = player.outward(request["path"])
        return self.send(request["method"], path, request.get("query") or {}, headers, raw, agent)

    def fill(self, player: Player) -> None:
        """Give the source what the recorded one had: two narrow tokens, 200 jobs, 12 variables."""
        for policy in ("operator-read", "operator-write"):
            rules = f'operator {{ policy = "{policy.split("-")[1]}" }}'
            self._manage(player, "PUT", f"/v1/acl/policy/{policy}", {"Name": policy, "Rules": rules})
            token = {"Name": policy, "Type": "client", "Policies": [policy]}
            made = self._manage(player, "PUT", "/v1/acl/token", token)
            player.tokens[f"snap-{policy}"] = made.json()["SecretID"]
        for number in range(200):
            self._manage(player, "POST", "/v1/jobs", _job(number))
        for number in range(12):
            variable = {"Path": f"app/{number}", "Items": {"k": f"v{number}"}}
            self._manage(player, "PUT", f"/v1/var/app/{number}", variable)

    def _manage(self, player: Player, method: str, path: str, body: dict[str, Any]) -> Observed:
        headers = {"X-Nomad-Token": player.tokens["snap-management"]}
        return self.send(method, path, {}, headers, json.dumps(body).encode(), SOURCE)

    def copy_keystore(self, player: Player) -> None:
        """Put the source's root keys onto the second fresh server's disk, and bootstrap that server."""
        source, second = self._subjects[SOURCE], self._subjects[SECOND]
        if isinstance(source, StandIn) and isinstance(second, StandIn):
            second.region.keyring.keystore |= source.region.keyring.keystore
        elif isinstance(source, RealNomad) and isinstance(second, RealNomad):
            name = NAMES[SECOND]
            second.stop_single(name)
            store = source.directory / NAMES[SOURCE] / "data" / "server" / "keystore"
            shutil.copytree(store, second.directory / name / "data" / "server" / "keystore", dirs_exist_ok=True)
            second.single(name, SECOND.split(":", maxsplit=1)[0])
        made = self.send("PUT", "/v1/acl/bootstrap", {}, {}, b"", SECOND)
        player.tokens["fresh2"] = made.json()["SecretID"]

    def version(self) -> object:
        return None

    def clock(self) -> float:
        return next(iter(self._subjects.values())).clock()

    def rest(self, seconds: float) -> None:
        for subject in self._subjects.values():
            subject.rest(seconds)

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        raise NotImplementedError("nothing here happens later")

    def start_server(self, number: int) -> None:
        raise NotImplementedError("every server runs from the beginning")

    def kill_server(self, number: int) -> None:
        raise NotImplementedError("no server dies here")

    def start_client(self, spec: ClientSpec, *, fresh: bool = False) -> None:
        raise NotImplementedError("there are no clients here")

    def kill_client(self, name: str, *, politely: bool = False) -> None:
        raise NotImplementedError("there are no clients here")

    def reset_file(self, content: str) -> None:
        raise NotImplementedError("nothing is bootstrapped again here")

    def close(self) -> None:
        for subject in self._subjects.values():
            subject.close()


def _job(number: int) -> dict[str, Any]:
    task = {"Name": "main", "Driver": "raw_exec", "Config": {"command": "/bin/sleep", "args": ["3600"]}}
    group = {"Name": "g", "Count": 1, "Tasks": [task]}
    name = f"job-{number:03d}"
    return {"Job": {"ID": name, "Name": name, "Type": "service", "Datacenters": ["*"], "TaskGroups": [group]}}
