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
    drawn: Sequence[Draws] | None = None,
    *,
    pairs: Literal["first", "all"] = "first",
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
        "first": every run against the first; "all": every run against every earlier one.
    by
        What is drawn, and exchanged, as a whole.
    num_resamples, num_flips, seed
        Of the bootstrap and of the test.
    confidence, method
        Of intervals and verdicts.
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
    for a, b in combinations(range(len(runs)), 2):
        if a == 0 or pairs == "all":
            p = test(runs[a].probability, runs[b].probability, units, name).p
            found.append(
                _compared((runs[a], runs[b]), (drawn[a], drawn[b]), metric, p, confidence, method, by)
            )
    corrected = holm(np.array([one.p for one in found]))
    return [replace(one, p_holm=float(p)) for one, p in zip(found, corrected, strict=True)]


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
