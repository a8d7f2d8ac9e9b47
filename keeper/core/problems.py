"""Bad input, said so that a person can mend it."""


class FieldError(ValueError):
    """A field of a message, a body or a record is not what was expected."""

    def __init__(self, field: str, expected: str, got: object = None) -> None:
        shown = "nothing" if got is None else f"{got!r:.100}"
        super().__init__(f"{field}: expected {expected}, got {shown}")
        self.field = field
        self.expected = expected


class NotOurs(FieldError):
    """Well-formed, but about something that is not the keeper's."""
