"""What of the lab is started and closed."""

from abc import ABC, abstractmethod
from typing import Self


class Lifetime(ABC):
    """As a context it is started, and closed in the end; a start that fails leaves nothing behind."""

    __slots__ = ()

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @abstractmethod
    def start(self) -> None:
        """Start, and return when all is up."""

    @abstractmethod
    def close(self) -> None:
        """End what was started, also when not all of it was; again is harmless."""
