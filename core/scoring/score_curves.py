"""How good every threshold, or every quantile, would be: the 2022 score over settings of the decision.

The curve shows how sharp the choice of one is: its band is over recordings, and so is the stretch in which
the best setting lies.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from core.scoring.draws import MeasuredQuantity, draw
from core.scoring.intervals import CONFIDENCE, Draws, Interval, bounds_of
from core.scoring.resampling import Resampler
from core.scoring.threshold_ladder import ThresholdLadder, middle_of_best
from core.scoring.weighted_metrics import Truth

QUANTILES = np.round(np.arange(0.50, 0.995, 0.01), 2)
CurveKind = Literal["threshold", "quantile"]


@dataclass(frozen=True)
class ScoreCurve:
    """The 2022 score over a range of settings of the decision.

    Attributes
    ----------
    kind
        "threshold" (a probability) or "quantile" (of all values, pooled over species).
    positions
        (point,) rising.
    score, low, high
        (point,) the score on these rows, and its pointwise interval over recordings.
    best
        Where the score is highest on these very rows (optimistic), with its interval.
    confidence
        Of the band and of where the best is.
    """

    kind: CurveKind
    positions: np.ndarray
    score: np.ndarray = field(repr=False)
    low: np.ndarray = field(repr=False)
    high: np.ndarray = field(repr=False)
    best: Interval
    confidence: float = CONFIDENCE


class CurveMetric:
    """Macro 2022 scores over thresholds or quantiles, as a `WeightedMetric` with a quantity a point.

    Parameters
    ----------
    ladder
        The sorted probabilities.
    quantiles
        (point,) each picked anew for every weighting; None: the ladder's thresholds.
    """

    names: tuple[str, ...] = ("curve",)

    def __init__(self, ladder: ThresholdLadder, quantiles: np.ndarray | None = None) -> None:
        self.ladder, self.quantiles = ladder, quantiles

    def at_weights(self, weights: np.ndarray) -> np.ndarray:
        """Return the scores (resample, point)."""
        below = self.ladder.below(weights)
        scores = self.ladder.macro_scores(below)
        if self.quantiles is None:
            return scores
        return np.take_along_axis(scores, self._places(below), axis=1)

    def _places(self, below: np.ndarray) -> np.ndarray:
        """Return which threshold is each quantile of the weighted values, (resample, point)."""
        assert self.quantiles is not None
        share = self.ladder.share_below(below)
        reached = [(share <= quantile + 1e-9).sum(axis=1) - 1 for quantile in self.quantiles]
        return np.stack(reached, axis=1)

    def values(self, weights: np.ndarray) -> dict[str, np.ndarray]:
        """Return the scores."""
        return {"curve": self.at_weights(weights)}

    def gradients(self) -> dict[str, np.ndarray]:
        """Return their derivatives at the settled thresholds."""
        gradients = self.ladder.macro_gradients()
        if self.quantiles is not None:
            gradients = gradients[:, self._places(self.ladder.own_below)[0]]
        return {"curve": gradients}


def draw_curve(
    kind: CurveKind, truth: np.ndarray, probability: np.ndarray, resampler: Resampler
) -> tuple[np.ndarray, Draws, Draws]:
    """Return the 2022 score over thresholds or quantiles, and where it is highest, on all resamples.

    Parameters
    ----------
    kind
        "threshold": some hundred between which the values lie; "quantile": `QUANTILES` of all values, taken
        anew in each resample.
    truth, probability
        (row, species) bool and float.
    resampler
        Of the rows' recordings.

    Returns
    -------
    positions
        (point,) the thresholds or quantiles.
    curve
        A quantity a point.
    best
        The best position.
    """
    ladder = ThresholdLadder(Truth(truth, resampler.cluster_of_row), probability)
    positions = ladder.thresholds if kind == "threshold" else QUANTILES
    metric = CurveMetric(ladder, None if kind == "threshold" else QUANTILES)

    def best_of(scores: np.ndarray) -> np.ndarray:
        """Return the best position (resample, 1) of scores (resample, point)."""
        return positions[middle_of_best(scores)][:, None]

    curve = draw([metric], resampler)["curve"]
    changes = MeasuredQuantity("best", lambda weights: best_of(metric.at_weights(weights)), resampler)
    gradient = changes.gradients()["best"]
    best = Draws(resampler, best_of(curve.values[None])[0], best_of(curve.drawn), gradient)
    return positions, curve, best


def score_curve(
    kind: CurveKind,
    truth: np.ndarray,
    probability: np.ndarray,
    resampler: Resampler,
    confidence: float = CONFIDENCE,
) -> ScoreCurve:
    """Return the 2022 score over thresholds or quantiles with its band.

    Parameters
    ----------
    kind, truth, probability, resampler
        See `draw_curve`.
    confidence
        Of the band, and of where the best is.

    Examples
    --------
    >>> truth = np.array([[False], [False], [True], [True]])
    >>> probability = np.array([[0.1], [0.3], [0.6], [0.9]])
    >>> curve = score_curve("threshold", truth, probability, Resampler(range(4), truth[:, 0]))
    >>> print(curve.positions, curve.score, curve.best.value)
    [0.1 0.3 0.6 0.9] [0.5  0.75 1.   0.75] 0.6
    """
    positions, curve, best = draw_curve(kind, truth, probability, resampler)
    score, low, high = bounds_of(curve.intervals(confidence))
    return ScoreCurve(kind, positions, score, low, high, best.interval(confidence), confidence)
