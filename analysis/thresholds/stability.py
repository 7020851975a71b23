"""How much a fitted threshold, penalty or boost moves when other recordings had been drawn.

Each is fitted anew to every bootstrap resample of the recordings. A setting that wanders was not learned
from the birds but from which of their recordings happened to be there.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from core.inference.config import PostConfig, TuneConfig
from core.scoring.cross_fit import Observations
from core.scoring.decisions import adjust
from core.scoring.metrics import macro, unit_weights
from core.scoring.resampling import Resampler
from core.scoring.score_curves import (
    QUANTILES,
    at_positions_of_quantiles,
    candidates_of,
    macro_of,
    middle_of_best,
    scores_at,
    scores_at_quantile,
)

QUANTILE = PostConfig().quantile


@dataclass(frozen=True)
class Spread:
    """A fitted setting, on the rows and in resamples of them.

    Attributes
    ----------
    name
        Such as "one threshold"; "threshold of <species>" of class-wise ones.
    value
        Fitted to the rows themselves.
    drawn
        (resample,) fitted to each.
    is_choice
        Whether it is one of a few given values.
    """

    name: str
    value: float
    drawn: np.ndarray = field(repr=False)
    is_choice: bool = False

    @property
    def low(self) -> float:
        """Lower end of 95 % of the resamples."""
        return float(np.quantile(self.drawn, 0.025))

    @property
    def high(self) -> float:
        """Upper end of 95 % of the resamples."""
        return float(np.quantile(self.drawn, 0.975))

    @property
    def shares(self) -> dict[float, float]:
        """Return how often each value was chosen, most often first."""
        values, counts = np.unique(self.drawn, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {float(values[i]): float(counts[i] / len(self.drawn)) for i in order}


def refit(observed: Observations, config: TuneConfig, resampler: Resampler) -> list[Spread]:
    """Return every setting by itself, fitted to the rows and to each resample.

    Parameters
    ----------
    observed
        Rows with their truth.
    config
        Penalties and boosts to choose from, shrinkage of class-wise thresholds.
    resampler
        Of the rows' recordings.
    """
    own = dict(fit_weighted(observed, config, unit_weights(len(observed.truth))))
    pieces = [dict(fit_weighted(observed, config, weights)) for weights in resampler.chunks()]
    choices = ("penalty", "boost", "tuned quantile")
    return [
        Spread(name, float(own[name][0]), np.concatenate([p[name] for p in pieces]), name.startswith(choices))
        for name in own
    ]


def fit_weighted(
    observed: Observations, config: TuneConfig, weights: np.ndarray
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield (name, (resample,) fitted values) of each setting for weights (resample, row)."""
    truth, probability = observed.truth, observed.probability
    candidates = candidates_of(probability)
    score, below = scores_at(truth, probability, candidates, weights)
    means = macro_of(score)
    common = candidates[middle_of_best(means)]
    yield "one threshold", common
    by_quantile = at_positions_of_quantiles(means, below, weights.sum(axis=1) * truth.shape[1])
    yield "tuned quantile", QUANTILES[middle_of_best(by_quantile)]
    if observed.counts.any():
        penalties = [PostConfig(penalty=strength) for strength in config.penalties]
        boosts = [PostConfig(rare_boost=power) for power in config.rare_boosts]
        for name, options, posts in (
            ("penalty", config.penalties, penalties),
            ("boost", config.rare_boosts, boosts),
        ):
            adjusted = [adjust(probability, post, observed.counts) for post in posts]
            scores = [macro(scores_at_quantile(truth, values, QUANTILE, weights)) for values in adjusted]
            yield f"{name} at the 0.85 quantile", np.array(options)[np.argmax(scores, axis=0)]
    for column, code in enumerate(observed.species):
        one = slice(column, column + 1)
        candidates = candidates_of(probability[:, one])
        score, _ = scores_at(truth[:, one], probability[:, one], candidates, weights)
        positives = weights @ truth[:, column]
        best = np.where(np.isnan(score[:, 0, 0]), common, candidates[middle_of_best(score[:, :, 0])])
        share = positives / np.maximum(positives + config.shrinkage, 1e-12)
        yield f"threshold of {code}", share * best + (1 - share) * common
