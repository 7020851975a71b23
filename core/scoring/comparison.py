"""Two runs on the same clips: their difference with its interval, a test, a verdict in words."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import combinations
from typing import Any, Literal

import numpy as np

from core.config import MetricName, require
from core.scoring.draws import draw_metrics
from core.scoring.intervals import CONFIDENCE, QUANTILE, Draws, Interval, Method
from core.scoring.metric_names import IN_CORE, LABELS
from core.scoring.power import detectable_difference, recordings_needed
from core.scoring.predictions import UNITS, Predictions, Unit, require_same_clips
from core.scoring.resampling import RESAMPLES
from core.scoring.sign_flips import flip_test, holm

EFFECTS = (0.005, 0.01, 0.02, 0.05)
POWER = 0.8
NUM_FLIPS = 5000
Pairs = Literal["first", "all", "best"] | Sequence[tuple[int, int]]
LEAST_P, MOST_P = 1e-4, 0.499
"""Between which the p of an equivalence is found."""


@dataclass(frozen=True)
class Comparison:
    """What the data say about one run against another.

    Attributes
    ----------
    base, run
        Labels; the difference is run minus base.
    metric
        As in `core.scoring.metric_names`.
    base_value, value
        Of the two.
    difference
        With its paired interval.
    p, p_corrected
        Of the sign-flip test, by itself; and corrected for the number of pairs, or the choice of the best.
    standard_error
        Of the difference.
    num_recordings, num_folds
        Units that were drawn, and folds they lie in.
    confidence
        Of interval and verdict.
    unit
        What was drawn.
    margin
        Difference that was named beforehand as too small to matter; None: none was.
    p_equal, p_equal_corrected
        Of the two one-sided tests that the difference is within the margin; see `equivalence_p`.
    is_planned
        Whether a plan asked for this comparison.

    Examples
    --------
    >>> truth = np.repeat(np.eye(2, dtype=bool), 10, axis=0)
    >>> names = np.array([f"{i}.ogg" for i in range(20)])
    >>> noise = np.random.default_rng(0).normal(size=(2, 20, 2))
    >>> values = 1 / (1 + np.exp(-noise - 2 * truth * np.array([0.2, 2.0])[:, None, None]))
    >>> runs = [Predictions.of("ab", p, truth, names, name=n) for p, n in zip(values, ("weak", "strong"))]
    >>> (found,) = compare_pairs(runs, "macro_auc", num_resamples=500, num_flips=500)
    >>> found.verdict[:33], found.is_distinguishable
    ('strong is better than weak: macro', True)
    """

    base: str
    run: str
    metric: str
    base_value: float
    value: float
    difference: Interval
    p: float
    p_corrected: float
    standard_error: float
    num_recordings: int
    num_folds: int
    confidence: float
    unit: Unit = "recording"
    margin: float | None = None
    p_equal: float = 1.0
    p_equal_corrected: float = 1.0
    is_planned: bool = False

    @property
    def is_equal(self) -> bool:
        """Whether the corrected tests find the difference within the margin."""
        return self.margin is not None and self.p_equal_corrected <= 1 - self.confidence

    @property
    def is_distinguishable(self) -> bool:
        """Whether the corrected test finds a difference."""
        return self.p_corrected <= 1 - self.confidence

    @property
    def detectable(self) -> float:
        """Smallest true difference found with 80 % power by one such test."""
        return detectable_difference(self.standard_error, self.confidence, POWER)

    def needed(self, effect: float) -> int | None:
        """Return how many recordings (authors) like these find a true difference with 80 % power."""
        return recordings_needed(effect, self.standard_error, self.num_recordings, self.confidence, POWER)

    def needed_folds(self, effect: float) -> int | None:
        """Return the same in folds of the size of these."""
        number = self.needed(effect)
        return None if number is None else int(np.ceil(number * self.num_folds / self.num_recordings))

    @property
    def verdict(self) -> str:
        """The result in words."""
        label, d = LABELS[self.metric], self.difference
        numbers = f"{label} {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}], p = {show_p(self.p_corrected)}"
        if self.is_distinguishable:
            word = "better" if d.value > 0 else "worse"
            less = f", by less than {self.margin:g}" if self.is_equal else ""
            return f"{self.run} is {word} than {self.base}{less}: {numbers}."
        if self.is_equal:
            numbers = numbers.partition(", p = ")[0]
            p = show_p(self.p_equal_corrected)
            return f"equal within {self.margin:g}: {self.run} and {self.base}, {numbers}, p = {p}."
        text = (
            f"not distinguishable: {self.run} and {self.base}, {numbers}. These {self.num_recordings} "
            f"{UNITS[self.unit]} show true differences from {self.detectable:.3f} on in 4 of 5 cases"
        )
        if self.margin is not None:
            text = f"cannot tell, nor are they equal within {self.margin:g}; {text}"
        needed = self.needed(d.value)
        if needed is None or abs(d.value) < 0.0005:
            return text + "."
        return text + f"; one of {abs(d.value):.3f} would take about {needed:,} {UNITS[self.unit]}."

    def as_row(self) -> dict[str, Any]:
        """Return what a table holds of it."""
        return {
            "metric": self.metric,
            "base": self.base,
            "run": self.run,
            "base_value": self.base_value,
            "value": self.value,
            "difference": self.difference.value,
            "low": self.difference.low,
            "high": self.difference.high,
            "p": self.p,
            "p_corrected": self.p_corrected,
            "margin": self.margin,
            "p_equal": self.p_equal,
            "p_equal_corrected": self.p_equal_corrected,
            "is_planned": self.is_planned,
            "detectable": self.detectable,
            **{f"needed_for_{effect:g}": self.needed(effect) for effect in EFFECTS},
            "verdict": self.verdict,
        }


def compare_pairs(
    runs: Sequence[Predictions],
    metric: MetricName = "score",
    drawn: Sequence[Draws] | None = None,
    *,
    pairs: Pairs = "first",
    margin: float | None = None,
    by: Unit = "recording",
    num_resamples: int = RESAMPLES,
    num_flips: int = NUM_FLIPS,
    confidence: float = CONFIDENCE,
    quantile: float = QUANTILE,
    repicked: bool = True,
    method: Method = "adjusted",
    seed: int = 0,
) -> list[Comparison]:
    """Compare runs in pairs by a macro metric.

    Parameters
    ----------
    runs
        Their predictions of the same clips.
    metric
        What is compared, a macro mean.
    drawn
        (run,) the metric of each on the same resamples, where it is known already.
    pairs
        "first": every run against the first; "all": every run against every earlier one; "best": every run
        against the one with the highest value here, see `selection_p`; or (base, run) positions.
    margin
        A difference below it does not matter; None: no equivalence is looked for.
    by
        What is drawn, and exchanged, as a whole.
    num_resamples, num_flips, seed, confidence, method
        Of the bootstrap and of the test, of intervals and verdicts.
    quantile, repicked
        Each run's threshold of the 2022 score is this quantile of its probabilities, in every resample anew.

    Raises
    ------
    ValueError
        If there are fewer than two runs, or they judged other clips.
    """
    require(len(runs) > 1, "comparing takes two runs at least")
    require_same_clips(runs)
    truth, known, name = runs[0].truth, runs[0].known, IN_CORE[metric]
    if drawn is None:
        resampler = runs[0].resampler(by, num_resamples, seed)
        draw = partial(draw_metrics, names=(name,), quantile=quantile, repicked=repicked, known=known)
        drawn = [draw(truth, one.probability, resampler)[name].mean() for one in runs]
    units = np.unique(runs[0].exchanged_units(by), return_inverse=True)[1]
    test = partial(flip_test, truth, num_flips=num_flips, seed=seed, quantile=quantile, known=known)
    found = []
    chosen = _chosen_pairs([float(one.values[0]) for one in drawn], pairs)
    for a, b in chosen:
        p = test(runs[a].probability, runs[b].probability, units, name).p
        one = _compared((runs[a], runs[b]), (drawn[a], drawn[b]), metric, p, confidence, method, by)
        p_equal = 1.0 if margin is None else equivalence_p(drawn[b] - drawn[a], margin, method)
        found.append(replace(one, margin=margin, p_equal=p_equal))
    return _corrected(found, selection_p(drawn)[[b for _, b in chosen]] if pairs == "best" else None)


def _corrected(found: Sequence[Comparison], selected: np.ndarray | None) -> list[Comparison]:
    """Return comparisons with p-values corrected for their number, or as they were `selected`, (pair,)."""
    p, p_equal = (holm(np.array([getattr(one, name) for one in found])) for name in ("p", "p_equal"))
    if selected is not None:
        p = np.maximum([one.p for one in found], selected)
    return [
        replace(one, p_corrected=float(p[i]), p_equal_corrected=float(p_equal[i]))
        for i, one in enumerate(found)
    ]


def _chosen_pairs(values: Sequence[float], pairs: Pairs) -> Sequence[tuple[int, int]]:
    """Return the positions of what is compared, see `compare_pairs`; `values` are those of the runs."""
    if not isinstance(pairs, str):
        return pairs
    if pairs == "best":
        best = int(np.nanargmax(values))
        return [(best, other) for other in range(len(values)) if other != best]
    return [pair for pair in combinations(range(len(values)), 2) if pairs == "all" or pair[0] == 0]


def selection_p(drawn: Sequence[Draws]) -> np.ndarray:
    """Return how often chance alone puts the best of equal runs as far before another as here, (run,).

    The best was picked on the clips that judge it, so every pair could have been the one that is looked at.
    p is the share of resamples in which highest and lowest of the runs, each less its own value, lie as far
    apart as the best and this run do (after Tukey's range test).

    Parameters
    ----------
    drawn
        (run,) one macro metric of each on the same resamples.

    Examples
    --------
    >>> truth = np.repeat(np.eye(2, dtype=bool), 20, axis=0)
    >>> names = np.array([f"{i}.ogg" for i in range(40)])
    >>> noise = np.random.default_rng(0).normal(size=(3, 40, 2))
    >>> skill = np.array([0.2, 0.3, 3.0])[:, None, None]
    >>> runs = [Predictions.of("ab", p, truth, names) for p in 1 / (1 + np.exp(-noise - skill * truth))]
    >>> resampler = runs[0].resampler(num_resamples=999)
    >>> drawn = [draw_metrics(truth, one.probability, resampler, ("auc",))["auc"].mean() for one in runs]
    >>> print(selection_p(drawn).round(3))
    [0.001 0.001 1.   ]
    """
    values = np.array([float(one.values[0]) for one in drawn])
    centred = np.stack([one.drawn[:, 0] for one in drawn], axis=1) - values
    spread = np.nanmax(centred, axis=1) - np.nanmin(centred, axis=1)
    behind = np.nanmax(values) - values
    return np.asarray((1 + (spread[:, None] >= behind).sum(axis=0)) / (1 + len(spread)))


def equivalence_p(difference: Draws, margin: float, method: Method = "adjusted") -> float:
    """Return the p of two one-sided tests that a difference is within a margin, between `LEAST_P` and 1.

    It is the smallest level a at which the 1 - 2a interval lies within the margin (Schuirmann, Journal of
    Pharmacokinetics and Biopharmaceutics 15, 1987).

    Parameters
    ----------
    difference
        Of one quantity.
    margin
        Above 0.
    method
        Of the interval.
    """

    def is_within(level: float) -> bool:
        interval = difference.interval(1 - 2 * level, method)
        return bool(-margin < interval.low and interval.high < margin)

    low, high = LEAST_P, MOST_P
    if not is_within(high):
        return 1.0
    if is_within(low):
        return low
    for _ in range(16):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if is_within(middle) else (middle, high)
    return high


def _compared(
    runs: tuple[Predictions, Predictions],
    drawn: tuple[Draws, Draws],
    metric: MetricName,
    p: float,
    confidence: float,
    method: Method,
    by: Unit,
) -> Comparison:
    """Return what is said of two runs, before a correction of p."""
    base, run = drawn
    difference = run - base
    return Comparison(
        runs[0].name, runs[1].name, metric, float(base.values[0]), float(run.values[0]),
        difference.interval(confidence, method), p, p, float(difference.standard_error[0]),
        difference.resampler.num_clusters, len(np.unique(runs[0].fold)), confidence, by,
    )  # fmt: skip


def show_p(p: float) -> str:
    """Return a p-value in the digits that mean something."""
    return f"{p:.1g}" if p < 0.01 else f"{p:.2f}"
