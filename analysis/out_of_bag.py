"""Out-of-bag score: the threshold is picked on the drawn recordings, the left-out ones are scored.

A threshold that is picked on the rows it is judged on looks better than it is. Every resample leaves about a
third of the recordings out; they judge the threshold that the drawn ones picked. The mean over resamples is
an honest score of the rule "pick it on such a set", and how much lower it is than the score on the drawn
recordings themselves is the optimism.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from core.scoring.resampling import Resampler
from core.scoring.threshold_ladder import ThresholdLadder

Rule = Literal["quantile", "best"]


@dataclass(frozen=True)
class OutOfBag:
    """Outcome of one rule.

    Attributes
    ----------
    rule
        "quantile": the quantile of the drawn probabilities; "best": what scores best on them.
    score
        Mean 2022 score of the left-out recordings.
    low, high
        Between which the given share of resamples lies. Each scores a third of the recordings only, so this
        is wider than an interval of the score.
    drawn_score
        Mean 2022 score of the drawn recordings at the same thresholds.
    threshold_low, threshold_high
        Between which the same share of thresholds lies.
    num_lacking
        Resamples that left out no positive (or no negative) row of some species; that species then counts
        with its mean over the others.
    num_resamples
        In all.
    """

    rule: Rule
    score: float
    low: float
    high: float
    drawn_score: float
    threshold_low: float
    threshold_high: float
    num_lacking: int
    num_resamples: int

    @property
    def optimism(self) -> float:
        """How much better the recordings look that picked the threshold."""
        return self.drawn_score - self.score


def out_of_bag(
    truth: np.ndarray,
    probability: np.ndarray,
    resampler: Resampler,
    rule: Rule,
    quantile: float = 0.85,
    confidence: float = 0.95,
) -> OutOfBag:
    """Score a rule that picks one threshold for all species.

    Parameters
    ----------
    truth, probability
        (row, species).
    resampler
        Draws recordings; what a resample lacks is left out.
    rule
        How the threshold is picked.
    quantile
        Of the rule "quantile".
    confidence
        Share of resamples between `low` and `high`.
    """
    ladder = ThresholdLadder(truth, probability, resampler.cluster_of_row)
    thresholds, drawn, left = [], [], []
    for weights in resampler.blocks():
        below = ladder.below(weights)
        picked = ladder.best(below)[0] if rule == "best" else ladder.quantile(weights, below, quantile)
        rest = (weights == 0).astype(np.float32)
        thresholds.append(picked)
        drawn.append(ladder.score_at(picked, weights, below))
        left.append(ladder.score_at(picked, rest, ladder.below(rest)))
    defined = truth.any(axis=0) & ~truth.all(axis=0)
    left_scores, num_lacking = _macro(np.concatenate(left)[:, defined])
    drawn_scores, _ = _macro(np.concatenate(drawn)[:, defined])
    tails = [(1 - confidence) / 2, (1 + confidence) / 2]
    low, high = np.quantile(left_scores, tails)
    threshold_low, threshold_high = np.quantile(np.concatenate(thresholds), tails)
    return OutOfBag(
        rule=rule,
        score=float(left_scores.mean()),
        low=float(low),
        high=float(high),
        drawn_score=float(drawn_scores.mean()),
        threshold_low=float(threshold_low),
        threshold_high=float(threshold_high),
        num_lacking=num_lacking,
        num_resamples=len(left_scores),
    )


def _macro(scores: np.ndarray) -> tuple[np.ndarray, int]:
    """Return the macro mean of each resample, gaps filled with the species' mean, and how many had gaps."""
    missing = np.isnan(scores)
    kept = ~missing.all(axis=0)  # a species of one recording is never left out
    if not kept.any():
        return np.full(len(scores), np.nan), 0
    scores, missing = scores[:, kept], missing[:, kept]
    filled = np.where(missing, np.nanmean(scores, axis=0), scores)
    return filled.mean(axis=1), int(missing.any(axis=1).sum())
