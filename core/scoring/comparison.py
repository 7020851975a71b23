"""Two runs on the same clips: their difference with its interval, a test, a verdict in words."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from core.config import require
from core.scoring.draws import draw_metrics
from core.scoring.intervals import CONFIDENCE, QUANTILE, Interval, Method
from core.scoring.metric_names import IN_CORE, LABELS, MetricName
from core.scoring.power import detectable_difference, recordings_needed
from core.scoring.predictions import UNITS, Predictions, Unit, require_same_clips
from core.scoring.resampling import RESAMPLES
from core.scoring.sign_flips import flip_test, holm

EFFECTS = (0.005, 0.01, 0.02, 0.05)
POWER = 0.8


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
    p, p_holm
        Of the sign-flip test, by itself and corrected for the number of pairs.
    standard_error
        Of the difference.
    num_recordings, num_folds
        Units that were drawn, and folds they lie in.
    confidence
        Of interval and verdict.
    unit
        What was drawn.

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
    p_holm: float
    standard_error: float
    num_recordings: int
    num_folds: int
    confidence: float
    unit: Unit = "recording"

    @property
    def is_distinguishable(self) -> bool:
        """Whether the corrected test finds a difference."""
        return self.p_holm <= 1 - self.confidence

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
        numbers = f"{label} {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}], p = {show_p(self.p_holm)}"
        if self.is_distinguishable:
            word = "better" if d.value > 0 else "worse"
            return f"{self.run} is {word} than {self.base}: {numbers}."
        text = (
            f"not distinguishable: {self.run} and {self.base}, {numbers}. These {self.num_recordings} "
            f"{UNITS[self.unit]} show true differences from {self.detectable:.3f} on in 4 of 5 cases"
        )
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
            "p_holm": self.p_holm,
            "detectable": self.detectable,
            **{f"needed_for_{effect:g}": self.needed(effect) for effect in EFFECTS},
            "verdict": self.verdict,
        }


def compare_pairs(
    runs: Sequence[Predictions],
    metric: MetricName = "score",
    *,
    pairs: Literal["first", "all"] = "first",
    by: Unit = "recording",
    num_resamples: int = RESAMPLES,
    num_flips: int = 5000,
    confidence: float = CONFIDENCE,
    quantile: float = QUANTILE,
    repicked: bool = True,
    method: Method = "adjusted",
    seed: int = 0,
) -> list[Comparison]:
    """Compare runs in pairs by a macro metric; what the options mean is said in `analysis.compare`.

    Parameters
    ----------
    runs
        Their predictions of the same clips.
    metric
        What is compared.
    pairs
        "first": every run against the first; "all": every run against every earlier one.

    Raises
    ------
    ValueError
        If there are fewer than two runs, or they judged other clips.
    """
    require(len(runs) > 1, "comparing takes two runs at least")
    require_same_clips(runs)
    first, name = runs[0], IN_CORE[metric]
    resampler = first.resampler(by, num_resamples, seed)
    options: dict[str, Any] = {"quantile": quantile, "repicked": repicked}
    drawn = [draw_metrics(first.truth, one.probability, resampler, (name,), **options) for one in runs]
    means = [one[name].mean() for one in drawn]
    chosen = pairs_of(len(runs), pairs)
    units = np.unique(first.exchanged_units(by), return_inverse=True)[1]
    tests = [
        flip_test(
            first.truth, runs[a].probability, runs[b].probability, units, name,
            num_flips=num_flips, seed=seed, quantile=quantile,
        )
        for a, b in chosen
    ]  # fmt: skip
    corrected = holm(np.array([test.p for test in tests]))
    found = []
    for (a, b), test, p_holm in zip(chosen, tests, corrected, strict=True):
        change, names = means[b] - means[a], (runs[a].name, runs[b].name)
        difference, error = change.interval(confidence, method), float(change.standard_error[0])
        base_value, value = (float(means[i].values[0]) for i in (a, b))
        found.append(
            Comparison(
                *names, base_value=base_value, value=value, difference=difference, p=test.p,
                p_holm=float(p_holm), standard_error=error, metric=metric, confidence=confidence, unit=by,
                num_recordings=resampler.num_clusters, num_folds=len(np.unique(first.fold)),
            )
        )  # fmt: skip
    return found


def pairs_of(number: int, pairs: Literal["first", "all"]) -> list[tuple[int, int]]:
    """Return which of `number` runs are compared: all pairs, or those with the first."""
    chosen = list(itertools.combinations(range(number), 2))
    return chosen if pairs == "all" else [pair for pair in chosen if pair[0] == 0]


def show_p(p: float) -> str:
    """Return a p-value in the digits that mean something."""
    return f"{p:.1g}" if p < 0.01 else f"{p:.2f}"
