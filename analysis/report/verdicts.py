"""Which of two runs is better on the same clips, with the interval of the difference."""

from dataclasses import dataclass

import numpy as np

from analysis.report.selection import Group
from analysis.report.tables import Axis, Estimate
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.intervals import Interval
from core.scoring.metric_names import LABELS, MetricName

ALL_PAIRS = 5
"""Up to as many runs each pair is compared; beyond, each run with the first."""
COMPARED: tuple[MetricName, ...] = ("score", "macro_auc", "padded_cmap")
SMALLEST_REACH = 0.02
FLIPS = 5000


@dataclass(frozen=True)
class Verdict:
    """Two runs on the same clips by one metric.

    Attributes
    ----------
    run, base
        Names.
    difference
        `run` minus `base`.
    p
        Of the sign-flip test, corrected for the number of pairs of this metric.
    better
        `run`, `base`, or None where no difference was found.
    detectable
        Smallest true difference that such a comparison finds in 4 of 5 cases.
    """

    run: str
    base: str
    difference: Estimate
    p: float
    better: str | None
    detectable: float


@dataclass(frozen=True)
class Verdicts:
    """All comparisons of a group.

    Attributes
    ----------
    rows
        One a pair: a verdict by each metric.
    columns
        Label of a metric and the axis of its differences.
    """

    rows: list[tuple[Verdict, ...]]
    columns: list[tuple[str, Axis]]

    @property
    def num_found(self) -> int:
        """Comparisons that found a difference."""
        return sum(verdict.better is not None for row in self.rows for verdict in row)

    @property
    def num_all(self) -> int:
        """Comparisons."""
        return len(self.rows) * len(self.columns)


def comparisons(group: Group) -> list[list[Comparison]]:
    """Return every pair by each of `COMPARED`; the first run's `valid` settings are those of all."""
    config = group.runs[0].valid
    return [
        compare_pairs(
            group.predictions,
            metric,
            pairs="all" if len(group.runs) <= ALL_PAIRS else "first",
            num_resamples=config.num_resamples,
            num_flips=FLIPS,
            confidence=config.confidence,
            quantile=config.threshold_quantile,
        )
        for metric in COMPARED
    ]


def judge(group: Group) -> Verdicts:
    """Return every pair's verdict by each metric."""
    found = comparisons(group)
    axes = [symmetric([one.difference for one in pairs]) for pairs in found]
    by_metric = [[verdict_of(one, axis) for one in pairs] for pairs, axis in zip(found, axes, strict=True)]
    columns = list(zip((LABELS[metric] for metric in COMPARED), axes, strict=True))
    return Verdicts(list(zip(*by_metric, strict=True)), columns)


def verdict_of(found: Comparison, axis: Axis) -> Verdict:
    """Return a comparison as the page shows it."""
    better = None
    if found.is_distinguishable:
        better = found.run if found.difference.value > 0 else found.base
    return Verdict(
        found.run, found.base, axis.interval(found.difference), found.p_holm, better, found.detectable
    )


def symmetric(found: list[Interval]) -> Axis:
    """Return an axis around 0 that holds some differences."""
    known = [abs(bound) for one in found for bound in (one.value, one.low, one.high) if np.isfinite(bound)]
    step = 0.05 if max(known, default=0.0) > SMALLEST_REACH else SMALLEST_REACH
    reach = max(float(np.ceil(max(known, default=0.0) / step - 1e-9)), 1.0) * step
    return Axis(-round(reach, 6), round(reach, 6), 0.0)
