"""The one interval of every number.

A quantity is measured on the rows, on bootstrap resamples of their recordings (`core.scoring.resampling`),
and by its derivative to each recording's weight; `Draws` holds the three. Differences, means over species and
functions of them are `Draws` again, and `Draws.intervals` is the only place that makes an interval:

- adjusted, the default: bca whose normal quantile is that of Student's t with the effective number of
  clusters less one as its degrees of freedom (after Hesterberg 2015, who takes n - 1). The effective number
  is (sum u^2)^2 / sum u^4 over the clusters' influences u: where five recordings of a rare species carry most
  of the variance of a macro mean, hundreds of others do not make that variance known.
- bca: bias-corrected and accelerated (Efron 1987), the acceleration from the infinitesimal jackknife.
- percentile: the quantiles of the drawn values.

`benchmarks.coverage` measures how often each holds the truth.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from scipy.special import ndtr, ndtri, stdtrit

from core.config import ValidConfig
from core.scoring.resampling import Influence, Resampler
from core.wording import counted

Method = Literal["adjusted", "bca", "percentile"]
METHODS: tuple[Method, ...] = get_args(Method)
CONFIDENCE = ValidConfig.confidence
QUANTILE = ValidConfig.threshold_quantile
FAR_TOO_FEW, TOO_FEW = 4, 10
"""Recordings of a species below which it has no interval, or one with a note.

`benchmarks.coverage` finds that adjusted 95 % intervals of single species hold the true 2022 score or ROC-AUC
in 92 to 98 % of data sets from ten recordings on, in 85 to 97 % with four to nine, with three in 73 to 82 %,
with two in half. Means over species do not suffer: 95 % with twenty species of 2 to 30 recordings, but for
cmAP: average precision of few positives is too high on average, which no interval makes good.
"""
ROUNDING_OF_SCORES = 1e-6
MANY = 1 / 3
"""Share of species with too few recordings from which on cmAP reads high."""


@dataclass(frozen=True)
class Interval:
    """A number with its interval.

    Attributes
    ----------
    value
        On the rows themselves.
    low, high
        Bounds; nan where the data cannot tell.
    num_dropped
        Resamples in which it was undefined, or lacked a species.
    note
        What keeps the interval from being trustworthy; empty if nothing is known to.
    """

    value: float
    low: float
    high: float
    num_dropped: int = 0
    note: str = ""

    def __str__(self) -> str:
        """Return such as `0.812 [0.774, 0.846]`; what is unknown is said."""
        if np.isnan(self.value):
            return "undefined"
        return f"{self.value:z.{self._decimals}f} {self.format_bounds()}"

    @property
    def _decimals(self) -> int:
        """Three; as many more as tell the largest number from 0, where it is more than rounding."""
        largest = float(np.nanmax(np.abs([self.value, self.low, self.high])))
        return 3 if not ROUNDING_OF_SCORES < largest < 0.0005 else 1 - math.floor(math.log10(largest))

    def format_bounds(self, sign: Literal["", "+"] = "") -> str:
        """Return such as `[0.774, 0.846]`, with a `sign` of both bounds where asked; or `(no interval)`."""
        if np.isnan(self.low):
            return "(no interval)"
        form = f"{sign}z.{self._decimals}f"
        return f"[{self.low:{form}}, {self.high:{form}}]"

    def as_dict(self) -> dict[str, float | None]:
        """Return `value`, `low` and `high`, with None for what is undefined."""
        numbers = {"value": self.value, "low": self.low, "high": self.high}
        return {name: None if np.isnan(number) else float(number) for name, number in numbers.items()}


@dataclass(frozen=True)
class Draws:
    """Quantities on the rows, on every resample, and how they depend on the clusters.

    Attributes
    ----------
    resampler
        What was drawn.
    values
        (quantity,) on the rows themselves; nan where undefined.
    drawn
        (resample, quantity), nan where undefined.
    gradient
        (cluster, quantity), derivative by the clusters' weights.
    support
        (quantity,) clusters with a positive row, where a quantity belongs to a species; else None.
    notes
        (quantity,) what keeps each from being trusted; empty: nothing.
    num_lacking
        Resamples that lacked a species, which counted there with its value on the rows.
    reads_high
        Whether few clusters make the values too high on average, as those of average precision.
    reach
        (quantity,) a number that each interval holds in any case, such as 0 where a test cannot tell the
        quantity from it; nan: none. None: for no quantity.
    is_difference
        Whether they are paired differences: where two decisions never differ, theirs is known to be 0.
    """

    resampler: Resampler
    values: np.ndarray
    drawn: np.ndarray
    gradient: np.ndarray
    support: np.ndarray | None = None
    notes: tuple[str, ...] = ()
    num_lacking: int = 0
    reads_high: bool = False
    reach: np.ndarray | None = None
    is_difference: bool = False

    def __sub__(self, other: "Draws") -> "Draws":
        """Return the paired differences of quantities on the same resamples."""
        return replace(
            self,
            values=self.values - other.values,
            drawn=self.drawn - other.drawn,
            gradient=self.gradient - other.gradient,
            notes=(),
            is_difference=True,
        )

    def apart_from(self, other: "Draws") -> "Draws":
        """Return the differences of quantities from those of another set, drawn by another seed."""
        return replace(
            self,
            resampler=self.resampler.beside(other.resampler),
            values=self.values - other.values,
            drawn=self.drawn - other.drawn,
            gradient=np.concatenate([self.gradient, -other.gradient]),
            support=None,
            notes=(),
        )

    def __getitem__(self, places: Sequence[int] | np.ndarray) -> "Draws":
        """Return some of the quantities."""
        return replace(
            self,
            values=self.values[places],
            drawn=self.drawn[:, places],
            gradient=self.gradient[:, places],
            support=None if self.support is None else self.support[places],
            reach=None if self.reach is None else self.reach[places],
            notes=tuple(np.array(self.notes, dtype=object)[places]) if self.notes else (),
        )

    @property
    def standard_error(self) -> np.ndarray:
        """Standard deviation of each quantity over the resamples, (quantity,)."""
        return np.asarray(np.nanstd(self.drawn, axis=0))

    def influence(self, place: int = 0) -> Influence:
        """Return what the clusters' influences on a quantity tell."""
        return self.resampler.influences(self.gradient[:, [place]])[0]

    def intervals(self, confidence: float = CONFIDENCE, method: Method = "adjusted") -> list[Interval]:
        """Return each quantity with its interval.

        A species of fewer than `FAR_TOO_FEW` recordings has none, nor has what no resample can change: a
        species whose recordings are all alike, or a mean over such species.

        Parameters
        ----------
        confidence
            Wanted coverage.
        method
            Which interval, see the module.
        """
        found = []
        influences = self.resampler.influences(self.gradient)
        for place, (value, influence) in enumerate(zip(self.values, influences, strict=True)):
            interval = _bounded(float(value), self.drawn[:, place], influence, confidence, method)
            if self.reach is not None and not np.isnan(self.reach[place]):
                reach = float(self.reach[place])
                interval = replace(interval, low=min(interval.low, reach), high=max(interval.high, reach))
            note = self.notes[place] if self.notes else ""
            interval = replace(interval, num_dropped=interval.num_dropped + self.num_lacking, note=note)
            if influence.standard_error == 0 and (self.support is not None or note):
                interval = _without_bounds(interval, self._all_alike)  # a point would be no interval
            if self.support is not None:
                interval = _few_noted(interval, int(self.support[place]), self.resampler.unit)
            found.append(interval)
        return found

    def interval(self, confidence: float = CONFIDENCE, method: Method = "adjusted") -> Interval:
        """Return the only quantity with its interval, see `intervals`."""
        (found,) = self.intervals(confidence, method)
        return found

    def mean(self) -> "Draws":
        """Return the mean over the species that are defined on the rows: the macro metric.

        A species that a resample lacks counts there with its value on the rows themselves: a mean over fewer
        species would be another quantity.
        """
        defined = ~np.isnan(self.values)
        if not defined.any():
            nothing = np.full((1, 1), np.nan)
            return replace(
                self, values=nothing[0], drawn=nothing, gradient=np.zeros((len(self.gradient), 1)),
                support=None, notes=("",),
            )  # fmt: skip
        drawn = self.drawn[:, defined]
        found = replace(
            self,
            values=self.values[defined].mean(keepdims=True),
            drawn=np.where(np.isnan(drawn), self.values[defined], drawn).mean(axis=1, keepdims=True),
            gradient=self.gradient[:, defined].mean(axis=1, keepdims=True),
            support=None,
            num_lacking=int(np.isnan(drawn).any(axis=1).sum()),
        )
        return replace(found, notes=(self._note_of_mean(found.influence(), defined),))

    @property
    def _all_alike(self) -> str:
        return f"{self.resampler.unit} all alike: no interval"

    def _note_of_mean(self, influence: Influence, defined: np.ndarray) -> str:
        """Return what the interval of a mean leaves out, or hangs on."""
        unit = self.resampler.unit
        if influence.standard_error == 0:
            return "" if self.is_difference else self._all_alike
        if influence.effective_clusters < FAR_TOO_FEW:
            return f"its variance hangs on about {counted(round(influence.effective_clusters), unit)}"
        if self.support is None:
            return ""
        number = self.support[defined]
        if (number == 1).any():
            return f"misses the uncertainty of {(number == 1).sum()} species with one of the {unit}"
        if self.reads_high and (number < TOO_FEW).mean() > MANY:
            return f"reads high: {(number < TOO_FEW).sum()} species with fewer than {TOO_FEW} {unit}"
        return ""

    def map(self, function: Callable[[np.ndarray], float]) -> "Draws":
        """Return a function of all quantities as one quantity.

        Its derivative is its change where the quantities change as if a cluster were left out.

        Parameters
        ----------
        function
            Maps (quantity,) to a number.
        """
        value = function(self.values)
        changed = [function(self.values - change) for change in self.gradient]
        return replace(
            self,
            values=np.array([value]),
            drawn=np.array([[function(one)] for one in self.drawn]),
            gradient=np.nan_to_num(value - np.array(changed))[:, None],
            support=None,
            notes=(),
        )


def _bounded(
    value: float, drawn: np.ndarray, influence: Influence, confidence: float, method: Method
) -> Interval:
    """Return the interval of one quantity; nan bounds where none is defined, its own value always inside."""
    defined = drawn[~np.isnan(drawn)]
    num_dropped = len(drawn) - len(defined)
    if len(defined) == 0 or np.isnan(value):
        return Interval(value, np.nan, np.nan, num_dropped)
    tail = (1 - confidence) / 2
    levels = np.array([tail, 1 - tail])
    if method == "adjusted":
        half_width = -stdtrit(max(influence.effective_clusters - 1, 1), tail)
        levels = _corrected_levels(value, defined, influence, half_width)
    elif method == "bca":
        levels = _corrected_levels(value, defined, influence, -ndtri(tail))
    low, high = np.quantile(defined, levels)
    return Interval(value, min(float(low), value), max(float(high), value), num_dropped)


def _corrected_levels(value: float, drawn: np.ndarray, influence: Influence, half_width: float) -> np.ndarray:
    """Return which quantiles of the drawn values bound a bca interval of a half-width in deviations, (2,)."""
    close = np.abs(drawn - value) <= 1e-6  # rounding to float32 must not decide on which side a value lies
    share = ((drawn < value) & ~close).mean() + close.mean() / 2
    bias = ndtri(np.clip(share, 1 / len(drawn), 1 - 1 / len(drawn)))
    shifted = bias + np.array([-half_width, half_width])
    # the formula has a pole: behind it lies the end of the drawn values
    levels: np.ndarray = ndtr(bias + shifted / np.maximum(1 - influence.acceleration * shifted, 1e-9))
    return levels


def _few_noted(interval: Interval, number: int, unit: str) -> Interval:
    """Return an interval with a note where clusters are few, without bounds where they are far too few."""
    if number == 0:
        return _without_bounds(interval, f"no {unit}")
    if number < FAR_TOO_FEW:
        return _without_bounds(interval, f"{unit}: {number}, no interval")
    if number < TOO_FEW and not np.isnan(interval.low):
        return replace(interval, note=f"{unit}: {number}, interval may be too short")
    return interval


def bounds_of(intervals: Sequence[Interval]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, lower and upper bounds, (interval,) each.

    Examples
    --------
    >>> bounds_of([Interval(0.5, 0.25, 0.75)])
    (array([0.5]), array([0.25]), array([0.75]))
    """
    value, low, high = np.array([(one.value, one.low, one.high) for one in intervals]).reshape(-1, 3).T
    return value, low, high


def _without_bounds(interval: Interval, note: str) -> Interval:
    """Return an interval whose bounds are unknown."""
    return replace(interval, low=np.nan, high=np.nan, note=note)
