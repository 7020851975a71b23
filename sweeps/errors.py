"""What is told to a person who wrote a sweep file."""


class SweepError(ValueError):
    """A sweep file, or words for its trials, that cannot run; the message names the file and the key."""


def demand(condition: bool, message: str) -> None:
    """Raise `SweepError` with `message` unless `condition` holds."""
    if not condition:
        raise SweepError(message)
