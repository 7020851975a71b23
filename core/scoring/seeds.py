"""Two settings over seeds and recordings at once: what another seed on other recordings would show.

A run's score varies with the recordings that judge it and with the seed that trained it. The recordings' part
of an interval is that of the mean over seeds, by the bootstrap, each side by itself. The seeds' part is the
variance of the difference of the seeds' means, from the variance within both settings: seeds of either are
taken to vary alike. Both variances are added, with Satterthwaite's degrees of freedom: those of the
recordings' part count as many, those of the seeds' part are the seeds less the two settings. What seeds and
recordings do together is in the scores of the seeds already, and is taken out of the recordings' part. (A
variance of each setting by itself, as in Welch's test, held the truth in up to 97.3 % with three seeds each.)
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from scipy.stats import norm
from scipy.stats import t as student_t

from core.config import MetricName, require
from core.scoring.draws import draw_metrics
from core.scoring.intervals import CONFIDENCE, QUANTILE, Draws, Interval, Method
from core.scoring.metric_names import IN_CORE, LABELS
from core.scoring.predictions import Predictions, Unit, require_same_clips
from core.scoring.resampling import RESAMPLES

LEAST_SEEDS = 2
TOGETHER = "both together"


@dataclass(frozen=True)
class SettingsComparison:
    """What runs of several seeds say about one setting against another.

    Attributes
    ----------
    base, setting
        Labels; the difference is setting minus base.
    metric
        As in `core.scoring.metric_names`.
    base_values, values
        (seed,) of each.
    difference
        Of the means, with an interval over seeds and recordings.
    probability
        That one new run of the setting scores above one of the base, both on new recordings, as many as here.
    shares
        Source -> its share of the variance of one run's score.
    """

    base: str
    setting: str
    metric: MetricName
    base_values: tuple[float, ...]
    values: tuple[float, ...]
    difference: Interval
    probability: float
    shares: Mapping[str, float]

    @property
    def verdict(self) -> str:
        """The result in words."""
        d = self.difference
        if d.low > 0 or d.high < 0:
            word = f"{self.setting} is {'better' if d.value > 0 else 'worse'} than {self.base}"
        else:
            word = f"not distinguishable: {self.setting} and {self.base}"
        sources = ", ".join(f"{name} {share:.0%}" for name, share in self.shares.items())
        return (
            f"{word}: {LABELS[self.metric]} {d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}] over seeds "
            f"({len(self.base_values)} and {len(self.values)}) and recordings. A new run of {self.setting} "
            f"scores above one of {self.base} with probability {self.probability:.2f}. A run's variance: "
            f"{sources}."
        )

    def as_row(self) -> dict[str, Any]:
        """Return what a table holds of it."""
        return {
            "metric": self.metric,
            "base": self.base,
            "setting": self.setting,
            "difference": self.difference.value,
            "low": self.difference.low,
            "high": self.difference.high,
            "seeds_of_base": len(self.base_values),
            "seeds": len(self.values),
            "probability": self.probability,
            **{f"share_of_{name.replace(' ', '_')}": share for name, share in self.shares.items()},
            "verdict": self.verdict,
        }


def compare_settings(
    base: Sequence[Predictions],
    setting: Sequence[Predictions],
    metric: MetricName = "macro_auc",
    *,
    by: Unit = "recording",
    num_resamples: int = RESAMPLES,
    confidence: float = CONFIDENCE,
    quantile: float = QUANTILE,
    repicked: bool = True,
    method: Method = "adjusted",
    seed: int = 0,
) -> SettingsComparison:
    """Compare two settings by runs of several seeds, a run a seed, that judged the same clips.

    Parameters
    ----------
    base, setting
        (seed,) predictions of each; their first names are the labels.
    metric
        A macro mean.
    by
        What is drawn as a whole.
    num_resamples, confidence, method, seed
        Of the bootstrap and the interval.
    quantile, repicked
        See `core.scoring.draws.build_metrics`.

    Raises
    ------
    ValueError
        If a setting has fewer than two seeds, or clips differ.

    Examples
    --------
    >>> truth = np.repeat(np.eye(2, dtype=bool), 30, axis=0)
    >>> names = np.array([f"{i}.ogg" for i in range(60)])
    >>> noise = np.random.default_rng(0).normal(size=(6, 60, 2))
    >>> skill = np.array([0.2, 0.3, 0.4, 2.0, 2.1, 1.9])[:, None, None]
    >>> values = 1 / (1 + np.exp(-noise - skill * truth))
    >>> runs = [Predictions.of("ab", p, truth, names, name=n) for p, n in zip(values, "wwwsss")]
    >>> found = compare_settings(runs[:3], runs[3:], num_resamples=500)
    >>> found.verdict[:20], found.probability > 0.95
    ('s is better than w: ', True)
    """
    for side in (base, setting):
        require(
            len(side) >= LEAST_SEEDS,
            f"{side[0].name}: runs of {len(side)} seed; a setting is compared over two seeds at least",
        )
    require_same_clips([*base, *setting])
    resampler, name = base[0].resampler(by, num_resamples, seed), IN_CORE[metric]
    draw = partial(draw_metrics, names=(name,), quantile=quantile, repicked=repicked, known=base[0].known)
    sides = [
        [draw(one.truth, one.probability, resampler)[name].mean() for one in side] for side in (base, setting)
    ]
    units = {"folds": base[0].fold.astype(str), "sites": base[0].site}
    several = {name: unit for name, unit in units.items() if len(set(unit.tolist()) - {""}) > 1}
    names = (base[0].name, setting[0].name)
    return _over_seeds(names, metric, sides, several, confidence, method)


def _over_seeds(
    names: tuple[str, str],
    metric: MetricName,
    sides: Sequence[Sequence[Draws]],
    units: Mapping[str, np.ndarray],
    confidence: float,
    method: Method,
) -> SettingsComparison:
    """Return what the draws of two settings, (setting, seed), say; see `compare_settings`.

    `units` are what recordings may have in common, (row,) each.
    """
    gap = mean_of_draws(sides[1]) - mean_of_draws(sides[0])
    recordings = gap.interval(confidence, method)
    values = [np.array([one.values[0] for one in side], dtype=float) for side in sides]
    parts = np.array([one.var(ddof=1) / len(one) for one in values])
    shares = [_variances(side, units) for side in sides]
    together = sum(one[TOGETHER] / len(side) for one, side in zip(shares, sides, strict=True))
    alone = np.sqrt(max(1 - together / max(gap.standard_error[0] ** 2, 1e-24), 0.0))
    freedom = sum(len(one) - 1 for one in values)
    half = partial(_half_width, _of_means(values), freedom, confidence)
    low = recordings.value - half(alone * (recordings.value - recordings.low))
    high = recordings.value + half(alone * (recordings.high - recordings.value))
    total = {source: sum(one[source] for one in shares) for source in shares[0]}
    spread = np.sqrt(sum(total.values()) + parts.sum() + gap.standard_error[0] ** 2)
    return SettingsComparison(
        *names,
        metric=metric,
        base_values=tuple(values[0].tolist()),
        values=tuple(values[1].tolist()),
        difference=replace(recordings, low=float(low), high=float(high), note=""),
        probability=float(student_t.cdf(gap.values[0] / max(spread, 1e-12), freedom)),
        shares={source: value / max(sum(total.values()), 1e-12) for source, value in total.items()},
    )


def mean_of_draws(drawn: Sequence[Draws]) -> Draws:
    """Return the mean of quantities on the same resamples, such as of several seeds."""
    return replace(
        drawn[0],
        values=np.mean([one.values for one in drawn], axis=0),
        drawn=np.mean([one.drawn for one in drawn], axis=0),
        gradient=np.mean([one.gradient for one in drawn], axis=0),
        notes=(),
    )


def _of_means(values: Sequence[np.ndarray]) -> float:
    """Return the variance of the difference of means over seeds; each of `values` is (seed,)."""
    squares = sum(float(((one - one.mean()) ** 2).sum()) for one in values)
    return squares / sum(len(one) - 1 for one in values) * sum(1 / len(one) for one in values)


def _half_width(of_seeds: float, freedom: int, confidence: float, of_recordings: float) -> float:
    """Return how far one side of the interval reaches, over seeds and recordings.

    Parameters
    ----------
    of_seeds
        Variance of the difference over seeds alone.
    freedom
        Its degrees of freedom.
    confidence
        Of the interval.
    of_recordings
        How far it reaches over recordings alone.
    """
    if of_seeds == 0:
        return of_recordings
    total = (of_recordings / norm.isf((1 - confidence) / 2)) ** 2 + of_seeds
    quantile = student_t.ppf((1 + confidence) / 2, freedom * (total / of_seeds) ** 2)
    return float(quantile * np.sqrt(total))


def _variances(drawn: Sequence[Draws], units: Mapping[str, np.ndarray]) -> dict[str, float]:
    """Return the variance of one run's score by source.

    Its seed, its recordings, both together; and what recordings of a unit, such as a fold or site, vary
    together beyond what they vary alone.
    """
    mean = mean_of_draws(drawn)
    number = len(drawn)
    together = float(np.mean([(one - mean).standard_error[0] ** 2 for one in drawn])) * number / (number - 1)
    between = float(np.var([one.values[0] for one in drawn], ddof=1))
    return {
        "seed": max(between - together, 0.0),
        "recordings": max(float(mean.standard_error[0] ** 2) - together / number, 0.0),
        TOGETHER: together,
        **{name: _beyond_recordings(mean, unit) for name, unit in units.items()},
    }


def _beyond_recordings(drawn: Draws, unit_of_row: np.ndarray) -> float:
    """Return how much more a quantity varies where whole units of rows vary together, 0 at least."""
    resampler = drawn.resampler
    first = np.unique(resampler.cluster_of_row, return_index=True)[1]
    unit = np.unique(unit_of_row[first], return_inverse=True)[1]
    sums = np.bincount(unit, resampler.deviations(drawn.gradient[:, 0]))
    number = len(sums)
    together = (sums**2).sum() * number / max(number - 1, 1)
    return max(float(together - resampler.covariance(drawn.gradient)[0, 0]), 0.0)
