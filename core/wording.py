"""How numbers of things are told."""


def counted(number: int, things: str) -> str:
    """Return a number with its noun.

    Parameters
    ----------
    number
        How many.
    things
        In the plural, which ends in s; words may follow it.

    Examples
    --------
    >>> counted(1200, "recordings"), counted(1, "days at a site")
    ('1,200 recordings', '1 day at a site')
    """
    noun, *others = things.split(" ", 1)
    return " ".join([f"{number:,}", noun.removesuffix("s") if number == 1 else noun, *others])
