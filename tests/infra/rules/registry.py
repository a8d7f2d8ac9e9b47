"""A rule is a question to predicted resources; its answers are violations. Each brings a fault that it must notice."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from tools.infra_prediction import Prediction

type Question = Callable[[Prediction], Iterable[str]]
type Plant = Callable[[Prediction], object]


@dataclass(frozen=True, slots=True)
class Rule:
    """A named question, and the fault that shows that it asks."""

    name: str
    ask: Question
    plant: Plant
    on: str

    def violations(self, world: Prediction) -> list[str]:
        """What is wrong in this world, one line each."""
        return list(self.ask(world))


RULES: list[Rule] = []


def rule(plant: Plant, *, on: str = "everything-on") -> Callable[[Question], Question]:
    """Register a rule; `plant` breaks a copy of the prediction named `on`."""

    def register(question: Question) -> Question:
        RULES.append(Rule(question.__name__, question, plant, on))
        return question

    return register
