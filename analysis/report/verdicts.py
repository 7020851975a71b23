"""Which of two runs is better on the same clips, with the interval of the difference."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from analysis.report.panels import valid_config
from analysis.report.selection import Group
from analysis.report.tables import METRICS, Axis, Estimate
from core.bootstrap import Resampler, summarise
from core.metrics import balanced_accuracy, macro, padded_average_precision, roc_auc

ALL_PAIRS = 5
"""Up to as many runs each pair is compared; beyond, each run with the first."""
COMPARED = ("score", "macro_auc", "padded_cmap")
Metric = Callable[[np.ndarray | None], np.ndarray]


@dataclass(frozen=True)
class Verdict:
    """Two runs on the same clips by one metric.

    Attributes
    ----------
    one, other
        Numbers of the runs in their group.
    metric
        Its name.
    difference
        `one` minus `other`.
    p
        Probability of such a difference, or a larger one, between equals, after Holm's correction over all
        verdicts of the group.
    better
        `one`, `other`, or None where no difference was found.
    """

    one: int
    other: int
    metric: str
    difference: Estimate
    p: float
    better: int | None


def verdicts(group: Group, num_resamples: int) -> tuple[list[Verdict], dict[str, Axis]]:
    """Return every pair's verdict by each metric, and the axis of each metric's differences."""
    aligned = group.aligned
    numbers = range(len(group.runs))
    pairs = [pair for pair in combinations(numbers, 2) if len(group.runs) <= ALL_PAIRS or pair[0] == 0]
    resampler = Resampler(aligned.recording, aligned.primary, num_resamples)
    drawn = [draws(resampler, metrics_of(group, number)) for number in numbers]
    confidence = valid_config(group.runs[0]).confidence
    found = []
    for one, other in pairs:
        for metric in COMPARED:
            difference = drawn[one][metric] - drawn[other][metric]
            interval = summarise(float(difference[0]), difference[1:], confidence)
            found.append((one, other, metric, interval, probability(difference[1:])))
    corrected = holm([p for *_, p in found])
    axes = {
        m: symmetric([b for _, _, name, i, _ in found if name == m for b in (i.low, i.high)])
        for m in COMPARED
    }
    return [
        Verdict(
            one, other, METRICS[metric], axes[metric].estimate(i.value, i.low, i.high), p,
            None if p > 1 - confidence else (one if i.value > 0 else other),
        )
        for (one, other, metric, i, _), p in zip(found, corrected, strict=True)
    ], {METRICS[name]: axis for name, axis in axes.items()}  # fmt: skip


def metrics_of(group: Group, number: int) -> dict[str, Metric]:
    """Return a run's metrics as functions of the rows' weights."""
    truth, probability_ = group.aligned.truth, group.aligned.probability[number]
    threshold = np.quantile(probability_, valid_config(group.runs[number]).threshold_quantile)
    decision = probability_ >= threshold
    return {
        "score": lambda w: macro(balanced_accuracy(truth, decision, w)),
        "macro_auc": lambda w: macro(roc_auc(truth, probability_, w)),
        "padded_cmap": lambda w: macro(padded_average_precision(truth, probability_, w)),
    }


def draws(resampler: Resampler, metrics: dict[str, Metric]) -> dict[str, np.ndarray]:
    """Return each metric on the rows themselves, then in every resample, (1 + resample,)."""
    return {
        name: np.concatenate([metric(None), *(metric(weights) for weights in resampler.chunks())])
        for name, metric in metrics.items()
    }


def probability(difference: np.ndarray) -> float:
    """Return twice the smaller share of resamples on one side of 0, at least one of them counted."""
    known = difference[~np.isnan(difference)]
    smaller = min((known <= 0).sum(), (known >= 0).sum())
    return float(min(2 * (smaller + 1) / (len(known) + 1), 1.0))


def holm(p: list[float]) -> list[float]:
    """Return probabilities corrected for their number after Holm (1979)."""
    order = np.argsort(p)
    steps = np.maximum.accumulate([min((len(p) - i) * p[k], 1.0) for i, k in enumerate(order)])
    corrected = np.empty(len(p))
    corrected[order] = steps
    return [float(value) for value in corrected]


def symmetric(numbers: list[float]) -> Axis:
    """Return an axis around 0 that holds some differences."""
    known = [abs(number) for number in numbers if np.isfinite(number)]
    reach = float(np.ceil(max(known, default=0.05) / 0.05) * 0.05) or 0.05
    return Axis(-reach, reach, 0.0)
