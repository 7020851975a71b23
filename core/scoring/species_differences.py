"""Two runs species by species: which ones differ, at a controlled share of false discoveries.

Among many species some differ by chance. q is the share of false ones among all species that are called
different up to this one (Benjamini and Hochberg, Journal of the Royal Statistical Society B 57, 1995).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
from scipy.stats import false_discovery_control

from core.config import require
from core.scoring.draws import draw_metrics
from core.scoring.intervals import CONFIDENCE, Interval, Method
from core.scoring.metric_names import IN_CORE
from core.scoring.predictions import Predictions, Unit, require_same_clips
from core.scoring.resampling import RESAMPLES
from core.scoring.sign_flips import FlipTest, flip_test

RankedMetric = Literal["macro_auc", "cmap"]
"""Metrics of a species' own ranking, which no other species' probabilities move."""
PROFILE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)


@dataclass(frozen=True)
class SpeciesDifference:
    """One species by two runs.

    Attributes
    ----------
    species
        Its code.
    base_value, value
        Of the two runs.
    difference
        Run minus base, with its paired interval.
    p, q
        Of the sign-flip test, and the false discovery rate at it.
    """

    species: str
    base_value: float
    value: float
    difference: Interval
    p: float
    q: float

    def as_row(self) -> dict[str, Any]:
        """Return what a table holds of it."""
        d = self.difference
        values = {"species": self.species, "base": self.base_value, "run": self.value}
        return values | {"difference": d.value, "low": d.low, "high": d.high, "p": self.p, "q": self.q}


@dataclass(frozen=True)
class SpeciesComparison:
    """Two runs over all species that have positive and negative rows.

    Attributes
    ----------
    differences
        The smallest q first.
    improvement
        Probability of improvement: the share of species and resamples in which the run is better, ties half
        (Agarwal et al., NeurIPS 2021).
    profiles
        Threshold -> shares of species at or above it, of base and run.
    """

    differences: tuple[SpeciesDifference, ...]
    improvement: float
    profiles: dict[float, tuple[float, float]]


def compare_species(
    base: Predictions,
    run: Predictions,
    metric: RankedMetric = "macro_auc",
    *,
    by: Unit = "recording",
    num_resamples: int = RESAMPLES,
    num_flips: int = 5000,
    confidence: float = CONFIDENCE,
    method: Method = "adjusted",
    seed: int = 0,
) -> SpeciesComparison:
    """Compare two runs species by species.

    Parameters
    ----------
    base, run
        Their predictions of the same clips.
    metric
        Of a species' ranking.
    by, num_resamples, num_flips, seed, confidence, method
        What is drawn, and exchanged, as a whole; how often; and of the intervals.

    Raises
    ------
    ValueError
        If the runs judged other clips, or no species can be judged.

    Examples
    --------
    >>> truth = np.repeat(np.eye(3, dtype=bool), 10, axis=0)
    >>> names = np.array([f"{i}.ogg" for i in range(30)])
    >>> noise = np.random.default_rng(0).normal(size=(2, 30, 3))
    >>> skill = np.array([[0.5, 0.5, 0.5], [4.0, 0.5, 0.5]])[:, None]
    >>> runs = [Predictions.of("abc", p, truth, names) for p in 1 / (1 + np.exp(-noise - skill * truth))]
    >>> compare_species(*runs, num_resamples=300, num_flips=500).differences[0].species
    'a'
    """
    require_same_clips([base, run])
    truth, known, name = base.truth, base.known, IN_CORE[metric]
    resampler = base.resampler(by, num_resamples, seed)
    draw = partial(draw_metrics, truth, resampler=resampler, names=(name,), known=known)
    first, second = (draw(one.probability)[name] for one in (base, run))
    columns = np.flatnonzero(np.isfinite(first.values))
    require(len(columns) > 0, f"{run.name}: no species has positive and negative rows")
    difference = (second - first)[columns]
    units = np.unique(base.exchanged_units(by), return_inverse=True)[1]
    test = partial(flip_test, cluster_of_row=units, name=name, num_flips=num_flips, seed=seed)
    p = [_tested(test, base, run, int(column)) for column in columns]
    before, after = first.values[columns], second.values[columns]
    intervals, q = difference.intervals(confidence, method), false_discovery_control(p)
    rows = zip(np.array(base.species)[columns], before, after, intervals, p, q, strict=True)
    found = [SpeciesDifference(str(code), float(a), float(b), *told) for code, a, b, *told in rows]
    better = np.sign(difference.drawn[np.isfinite(difference.drawn)])
    return SpeciesComparison(
        differences=tuple(sorted(found, key=lambda one: (one.q, one.p))),
        improvement=float((better + 1).mean() / 2),
        profiles={at: (float((before >= at).mean()), float((after >= at).mean())) for at in PROFILE},
    )


def _tested(test: Callable[..., FlipTest], base: Predictions, run: Predictions, column: int) -> float:
    """Return the p of a test of one species."""
    one = [column]
    probability = (base.probability[:, one], run.probability[:, one])
    return test(base.truth[:, one], *probability, known=base.known[:, one]).p


def format_species(found: SpeciesComparison, base: str, run: str, level: float) -> str:
    """Return a comparison in words.

    Parameters
    ----------
    found
        Of two runs.
    base, run
        Their names.
    level
        Share of false discoveries that is accepted.
    """
    different = [one for one in found.differences if one.q <= level]
    count = f"{len(different)} of {len(found.differences)} species differ"
    lines = [
        f"  {run} minus {base}: {count}, at most {level:.0%} of them by chance",
        *(f"    {one.species}: {one.difference}, q = {one.q:.2g}" for one in different),
        f"    better in {found.improvement:.0%} of species and resamples; species at or above",
        *(f"      {at:g}: {before:.0%} -> {after:.0%}" for at, (before, after) in found.profiles.items()),
    ]
    return "\n".join(lines)


def species_difference_rows(
    comparisons: Sequence[tuple[str, str, SpeciesComparison]],
) -> list[dict[str, Any]]:
    """Return the rows of a table of (base, run, comparison)."""
    return [
        {"base_run": base, "compared_run": run, **one.as_row()}
        for base, run, found in comparisons
        for one in found.differences
    ]
