"""The one way the model says no."""

from __future__ import annotations


class Refusal(Exception):  # it is an answer of the cluster, not a fault of the program
    """An operation was refused: the HTTP status and the text that Nomad 1.6.5 answers with.

    Many user errors are 500 in Nomad; the texts are held to the recordings. An HTTP face maps it one to one.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


def node_not_found() -> Refusal:
    """Answer what drain, eligibility and purge say of an unknown node."""
    return Refusal(500, "node not found")


def several(sentences: list[str]) -> Refusal:
    """Join validation sentences as Nomad's multierror prints them."""
    return Refusal(500, multierror(sentences))


def multierror(sentences: list[str]) -> str:
    """Format sentences as `N error(s) occurred:` with one bullet each and two closing line feeds."""
    count = f"{len(sentences)} error{'' if len(sentences) == 1 else 's'} occurred:"
    return count + "\n\t" + "\n\t".join(f"* {sentence}" for sentence in sentences) + "\n\n"
