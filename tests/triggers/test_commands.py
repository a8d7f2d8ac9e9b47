"""Operations at a terminal: what a script can tell from the exit code, and a person from one line."""

import json
from collections.abc import Callable, Iterator

import pytest
from typer.testing import CliRunner, Result

from keeper.cli import client
from keeper.cli.commands import app
from lab.http import Request, Response, serve
from tests.triggers.doorway import Doorway
from tests.triggers.front import handle


class Terminal:
    """A person at a terminal in front of the doors; `ends` is what becomes of an operation when it is looked at."""

    def __init__(self, doorway: Doorway) -> None:
        self.records = doorway.records
        self.ends: list[str | int] = []
        self.asked: list[dict[str, object]] = []

    def handle(self, request: Request) -> Response:
        if request.method == "POST" and request.body:
            self.asked.append(json.loads(request.body))
        if request.method == "GET" and self.ends:
            become = self.ends.pop(0)
            if isinstance(become, int):
                return Response(become)
            self.end(request.path.rpartition("/")[2], become)
        return handle(request)

    def end(self, operation: str, status: str) -> None:
        name = f"operations/{operation}.json"
        stored = self.records.load(name)
        changed = json.loads(stored.body) | {"status": status, "outcome": f"it {status}"}
        self.records.save(name, json.dumps(changed).encode(), version=stored.version)


@pytest.fixture
def terminal(doorway: Doorway, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    monkeypatch.setattr(client.time, "sleep", lambda _: None)
    return Terminal(doorway)


@pytest.fixture
def keeper(terminal: Terminal) -> Iterator[Callable[..., Result]]:
    with serve(terminal.handle) as front:
        yield lambda *words: CliRunner(env={"COLUMNS": "200"}).invoke(app, ["--url", front.url, "--key", "k", *words])


@pytest.mark.parametrize(
    ("ends", "code"),
    [
        (["Succeeded"], 0),
        (["Running", "Running", "Succeeded"], 0),
        (["Failed"], 1),
        (["Canceled"], 1),
        (["Running"] * 9, 3),
        (["Running", 503, 502, "Succeeded"], 0),
        (["Running", 404], 2),
    ],
)
def test_the_exit_code_tells_how_a_snapshot_that_was_waited_for_ended(
    terminal: Terminal, keeper: Callable[..., Result], ends: list[str | int], code: int
) -> None:
    terminal.ends = list(ends)

    done = keeper("op", "snapshot", "--reason", "before an upgrade", "--wait", "4")

    assert done.exit_code == code
    assert terminal.asked == [{"operation": "snapshot", "reason": "before an upgrade", "dry_run": False}]


def test_what_is_accepted_of_a_snapshot_is_asked_for_by_its_reason(
    terminal: Terminal, keeper: Callable[..., Result]
) -> None:
    keeper("op", "snapshot", "--accept", "index_behind", "--wait", "0")
    wrong = keeper("op", "snapshot", "--accept", "anything", "--wait", "0")

    assert terminal.asked[0]["accept"] == ["index_behind"]
    assert (wrong.exit_code, "accept: expected a list of index_behind, size_absurd" in wrong.output) == (2, True)


def test_what_goes_on_is_said_with_how_to_see_it(terminal: Terminal, keeper: Callable[..., Result]) -> None:
    terminal.ends = ["Running"] * 9

    done = keeper("op", "snapshot", "--wait", "2")

    assert done.stderr.startswith("keeper: ")
    assert "goes on; see it with: op show " in done.stderr


def test_without_waiting_what_is_accepted_is_no_failure(keeper: Callable[..., Result]) -> None:
    done = keeper("op", "snapshot", "--wait", "0")

    assert (done.exit_code, " NotStarted" in done.output) == (0, True)


def test_a_dry_run_asks_for_one(terminal: Terminal, keeper: Callable[..., Result]) -> None:
    keeper("op", "snapshot", "--dry-run", "--wait", "0")

    assert terminal.asked[0]["dry_run"] is True


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["op", "scale", "swimming", "3"], "keeper: 400 pool: expected one of general, spot, got 'swimming'\n"),
        (["op", "show", "nobody"], "keeper: 404 id: expected the id of an operation, got 'nobody'\n"),
        (["op", "cancel", "nobody"], "keeper: 404 id: expected the id of an operation, got 'nobody'\n"),
        (["restore", "not a snapshot", "--dry-run"], "keeper: 400 snapshot: expected a name such as "),
    ],
)
def test_what_is_refused_is_one_line_and_exit_code_2(
    keeper: Callable[..., Result], words: list[str], said: str
) -> None:
    done = keeper(*words)

    assert done.exit_code == 2
    assert done.stderr.startswith(said)
    assert len(done.stderr.splitlines()) == 1


def test_an_app_that_does_not_answer_is_one_line_and_exit_code_2() -> None:
    done = CliRunner().invoke(app, ["--url", "http://127.0.0.1:9", "--key", "k", "status"])

    assert (done.exit_code, len(done.stderr.splitlines())) == (2, 1)
    assert done.stderr.startswith("keeper: http://127.0.0.1:9 does not answer: ")
