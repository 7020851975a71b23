"""Where the values of the parameters that a sweep varies lie: listed ones, or along a range.

Numbers that are listed are levels, drawn and averaged one by one; a range is an axis, logarithmic where the
sweep file draws from a logarithmic distribution.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import require
from sweeps.parameters import RANGE, Parameter, is_number, value_text

FOLD = "data.fold"
FOLD_AND_SEEDS = (FOLD, "data.fold_seed", "seed")
"""Numbers that are names, not amounts: there is no trend over them."""
MOST_LEVELS = 8
"""More listed numbers than this are a range."""


@dataclass(frozen=True)
class SweptParameter:
    """One field that a sweep varies.

    Attributes
    ----------
    key
        Its dotted name.
    levels
        The listed values, numbers in rising order; empty for a range.
    is_ordered
        Whether larger and smaller mean something.
    is_log
        Whether a range is drawn from a logarithmic distribution.
    """

    key: str
    levels: tuple[Any, ...] = ()
    is_ordered: bool = True
    is_log: bool = False

    @property
    def has_trend(self) -> bool:
        """Whether a straight line over its coordinates means something."""
        return self.is_ordered or len(self.levels) == 2

    def coordinate(self, value: Any) -> float:
        """Return where a value lies: the place of a level, or a number, its logarithm if `is_log`.

        Raises
        ------
        ValueError
            If the sweep cannot have proposed it.
        """
        if self.levels:
            for place, level in enumerate(self.levels):  # 1 and 1.0 are the same, True is no 1
                if level == value and isinstance(level, bool) == isinstance(value, bool):
                    return float(place)
            shown = ", ".join(map(value_text, self.levels))
            message = f"{self.key}={value}: none of the sweep's values ({shown})"
            raise ValueError(message)
        require(is_number(value), f"{self.key}={value}: must be a number")
        positive = value > 0 or not self.is_log
        require(positive, f"{self.key}={value}: must be positive, its axis is logarithmic")
        return math.log10(value) if self.is_log else float(value)

    def value_at(self, coordinate: float) -> Any:
        """Return the value that lies at a coordinate."""
        return self.levels[int(coordinate)] if self.levels else 10**coordinate if self.is_log else coordinate

    def coordinates(self, values: Iterable[Any]) -> np.ndarray:
        """Return `coordinate` of several values, (value,) float64."""
        return np.array([self.coordinate(value) for value in values], dtype=float)

    def columns(self, coordinates: np.ndarray) -> np.ndarray:
        """Return what a model sees of (trial,) coordinates, (trial, column): these, or a column a name."""
        if self.levels and not self.is_ordered:
            indicators: np.ndarray = (coordinates[:, None] == np.arange(len(self.levels))).astype(float)
            return indicators
        return coordinates[:, None]


def swept_parameters(parameters: Iterable[Parameter]) -> list[SweptParameter]:
    """Return what a sweep file varies, without seeds that every trial draws anew."""
    found = []
    for parameter in parameters:
        values = _listed_values(parameter)
        if values is None and parameter.key not in FOLD_AND_SEEDS:
            found.append(SweptParameter(parameter.key, is_log="log" in parameter.distribution))
        elif values is not None and len(values) > 1:
            is_amount = all(map(is_number, values)) and parameter.key not in FOLD_AND_SEEDS
            levels = sorted(values) if is_amount else values
            is_range = is_amount and len(values) > MOST_LEVELS
            found.append(SweptParameter(parameter.key, () if is_range else tuple(levels), is_amount))
    return found


def _listed_values(parameter: Parameter) -> list[Any] | None:
    """Return the different values of a list or of a few whole numbers; None for a range."""
    if parameter.distribution == "int_uniform":
        low, high = (parameter.entry[end] for end in RANGE)
        return parameter.values if high - low < MOST_LEVELS else None
    if parameter.distribution not in ("constant", "categorical"):
        return None
    values = parameter.values or []
    return [value for place, value in enumerate(values) if value not in values[:place]]
