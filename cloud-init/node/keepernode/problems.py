"""What can go wrong on a machine, each as one sentence that says what to do.

NodeError
├── Misconfigured   the knobs or a file are wrong: a person must change something
├── Unreachable     a service did not answer, or not yet as it should: time may mend it
├── Waiting         somebody else has to do something first, and will: the machine is healthy meanwhile
└── Unsafe          going on could lose data or trust: nothing was touched
"""

from __future__ import annotations


class NodeError(Exception):
    """The step could not be done; the text is one line for the person who looks."""

    def __init__(self, what: str) -> None:
        super().__init__(" ".join(what.split()))


class Misconfigured(NodeError):
    """A knob, a file or a right is wrong and stays so until a person changes it."""


class Unreachable(NodeError):
    """A service did not answer as it should; trying again later may work.

    `status` is the HTTP status when there was an answer, else None.
    """

    def __init__(self, what: str, *, status: int | None = None) -> None:
        super().__init__(what)
        self.status = status


class Unsafe(NodeError):
    """Going on could lose data or trust something unproven."""


class Waiting(NodeError):
    """Not yet: `what` says what for, as in "waiting for ..."."""
