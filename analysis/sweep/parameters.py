"""The parameters that a sweep varies: listed values or a range, and where a value lies on an axis.

Read from a sweep file's `parameters`, whose keys https://docs.wandb.ai/models/sweeps/sweep-config-keys
defines. Numbers that are listed are levels, drawn and averaged one by one; a range is an axis, logarithmic
where the file draws from a logarithmic distribution.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.config import require

FOLD = "data.fold"
NAMES = (FOLD, "data.fold_seed", "seed")
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

    def value_of(self, given: Any) -> Any:
        """Return a value from its text, or as W&B gives it.

        Raises
        ------
        ValueError
            If the sweep cannot have proposed it.
        """
        if self.levels:
            for level in self.levels:
                if is_same(level, given):
                    return level
            shown = ", ".join(map(value_text, self.levels))
            message = f"{self.key}={given}: none of the sweep's values ({shown})"
            raise ValueError(message)
        number = number_of(given)
        require(math.isfinite(number), f"{self.key}={given}: must be a number")
        require(
            number > 0 or not self.is_log, f"{self.key}={given}: must be positive, its axis is logarithmic"
        )
        return number

    def coordinate(self, value: Any) -> float:
        """Return where a value lies: the place of a level, or a number, its logarithm if `is_log`."""
        if self.levels:
            return float(next(place for place, level in enumerate(self.levels) if is_same(level, value)))
        return math.log10(value) if self.is_log else float(value)

    def coordinates(self, values: Iterable[Any]) -> np.ndarray:
        """Return `coordinate` of several values."""
        return np.array([self.coordinate(value) for value in values], dtype=float)


def is_same(level: Any, given: Any) -> bool:
    """Return whether a value, or its text, is a level."""
    if str(level) == str(given):
        return True
    # True is no 1 here; other numbers may be written in several ways
    return (
        not isinstance(level, bool) and not isinstance(given, bool) and number_of(level) == number_of(given)
    )


def number_of(given: Any) -> float:
    """Return a value or text as a number; nan if it is none."""
    try:
        return float(given)
    except (TypeError, ValueError):
        return math.nan


def value_text(value: Any) -> str:
    """Return a value as it is shown, numbers with four digits."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def read_parameters(entries: Mapping[str, Any], prefix: str = "") -> list[SweptParameter]:
    """Return the parameters that a sweep file varies, nested ones under their dotted name.

    Parameters
    ----------
    entries
        The file's `parameters`.
    prefix
        In front of every name.
    """
    found: list[SweptParameter] = []
    for key, entry in entries.items():
        require(isinstance(entry, Mapping), f"parameters: {prefix}{key}: must be a mapping, found {entry}")
        if "parameters" in entry:
            found += read_parameters(entry["parameters"], f"{prefix}{key}.")
        else:
            parameter = read_parameter(prefix + str(key), entry)
            found += [] if parameter is None else [parameter]
    return found


def read_parameter(key: str, entry: Mapping[str, Any]) -> SweptParameter | None:
    """Return one parameter; None if it never varies, or is a seed that every trial draws anew."""
    if "value" in entry:
        return None
    distribution = str(entry.get("distribution", ""))
    values = entry.get("values")
    if values is None and whole_range(entry, distribution):
        values = list(range(entry["min"], entry["max"] + 1))
    if values is None:
        return None if key in NAMES else SweptParameter(key, is_log="log" in distribution)
    unique = [value for place, value in enumerate(values) if value not in values[:place]]
    if len(unique) < 2:
        return None
    numeric = all(isinstance(value, int | float) and not isinstance(value, bool) for value in unique)
    if numeric and key not in NAMES:
        return SweptParameter(key, tuple(sorted(unique)) if len(unique) <= MOST_LEVELS else ())
    return SweptParameter(key, tuple(unique), is_ordered=False)


def whole_range(entry: Mapping[str, Any], distribution: str) -> bool:
    """Return whether an entry draws from a few whole numbers."""
    low, high = entry.get("min"), entry.get("max")
    if not (isinstance(low, int) and isinstance(high, int)) or distribution not in ("", "int_uniform"):
        return False
    return high - low < MOST_LEVELS
