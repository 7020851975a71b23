"""The smallest difference that a validation set shows, and how many recordings a small one takes.

A paired difference with standard error s is found significant at 1 - confidence, two-sided, with a given
power if it is at least (z_confidence + z_power) s; s shrinks with the root of the number of recordings, if
further ones resemble these.
"""

import math

from scipy.special import ndtri


def detectable_difference(standard_error: float, confidence: float = 0.95, power: float = 0.8) -> float:
    """Return the smallest true difference that is found with the given power.

    Parameters
    ----------
    standard_error
        Of the difference.
    confidence, power
        Of the test.

    Examples
    --------
    >>> print(round(detectable_difference(0.01), 4))
    0.028
    """
    return float((ndtri(1 - (1 - confidence) / 2) + ndtri(power)) * standard_error)


def recordings_needed(
    effect: float,
    standard_error: float,
    num_recordings: int,
    confidence: float = 0.95,
    power: float = 0.8,
) -> int | None:
    """Return how many recordings like these find an effect with the given power; None for no effect.

    Parameters
    ----------
    effect
        The true difference.
    standard_error
        Of the difference on the recordings at hand.
    num_recordings
        How many these are.
    confidence, power
        Of the test.

    Examples
    --------
    Half of the difference that 90 recordings show takes four times as many:

    >>> recordings_needed(detectable_difference(0.01) / 2, 0.01, 90)
    360
    """
    if effect == 0 or not math.isfinite(effect):
        return None
    smallest = detectable_difference(standard_error, confidence, power)
    return max(math.ceil(num_recordings * (smallest / effect) ** 2), 2)
