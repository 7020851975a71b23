"""How much a fitted threshold, penalty or boost moves when other recordings had been drawn.

Each is fitted anew to every bootstrap resample of the recordings. A setting that wanders was not learned
from the birds but from which of their recordings happened to be there.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from core.scoring.decisions import DecisionConfig, adjust
from core.scoring.draws import draw_quantity
from core.scoring.fitting import FitConfig
from core.scoring.intervals import CONFIDENCE, Interval
from core.scoring.metrics import macro
from core.scoring.predictions import Predictions
from core.scoring.resampling import Resampler
from core.scoring.score_curves import QUANTILES, CurveMetric
from core.scoring.threshold_ladder import RepickedMetric, ThresholdLadder, middle_of_best
from core.scoring.weighted_metrics import Truth

Refit = Callable[[np.ndarray], np.ndarray]
"""Maps weights (cluster, resample) to the fitted value of each resample, (resample,)."""


@dataclass(frozen=True)
class FittedSetting:
    """A fitted setting, on the rows and in resamples of them.

    Attributes
    ----------
    name
        Such as "one threshold"; "threshold of <species>" of class-wise ones.
    interval
        Fitted to the rows themselves, with its interval.
    drawn
        (resample,) fitted to each.
    is_choice
        Whether it is one of a few given values.
    """

    name: str
    interval: Interval
    drawn: np.ndarray = field(repr=False)
    is_choice: bool = False

    @property
    def shares(self) -> dict[float, float]:
        """How often each value was chosen, most often first."""
        values, counts = np.unique(self.drawn, return_counts=True)
        order = np.argsort(-counts, kind="stable")
        return {float(values[i]): float(counts[i] / len(self.drawn)) for i in order}


def refit(
    rows: Predictions, config: FitConfig, resampler: Resampler, confidence: float = CONFIDENCE
) -> list[FittedSetting]:
    """Return every setting by itself, fitted to the rows and to each resample.

    Parameters
    ----------
    rows, resampler
        With their truth, and what draws them.
    config
        Penalties and boosts to choose from, shrinkage of class-wise thresholds.
    confidence
        Of the intervals.
    """
    chosen = _choices(rows, config, resampler.cluster_of_row)
    fitters = chosen | _species_thresholds(rows, config, resampler.cluster_of_row)
    drawn = draw_quantity(
        lambda weights: np.stack([fit(weights) for fit in fitters.values()], axis=1), resampler
    )
    return [
        FittedSetting(name, interval, drawn.drawn[:, place], name in chosen and name != "one threshold")
        for place, (name, interval) in enumerate(zip(fitters, drawn.intervals(confidence), strict=True))
    ]


def _choices(rows: Predictions, config: FitConfig, cluster_of_row: np.ndarray) -> dict[str, Refit]:
    """Return the settings that hold for all species, by name: threshold, quantile, penalty, boost."""
    truth = Truth(rows.truth, cluster_of_row)
    ladder = ThresholdLadder(truth, rows.probability)
    curve = CurveMetric(ladder, QUANTILES)
    found: dict[str, Refit] = {
        "one threshold": lambda weights: ladder.best(ladder.below(weights)),
        "tuned quantile": lambda weights: QUANTILES[middle_of_best(curve.at_weights(weights))],
    }
    if not rows.counts.any():
        return found

    def best_of(options: tuple[float, ...], configs: list[DecisionConfig]) -> Refit:
        metrics = [
            RepickedMetric(truth, adjust(rows.probability, one, rows.counts, rows.recording), config.quantile)
            for one in configs
        ]

        def fit(weights: np.ndarray) -> np.ndarray:
            scores = [macro(metric.values(weights)["score"]) for metric in metrics]
            return np.array(options)[np.argmax(scores, axis=0)]

        return fit

    penalties = [DecisionConfig(penalty=strength) for strength in config.penalties]
    boosts = [DecisionConfig(rare_boost=power) for power in config.rare_boosts]
    return found | {
        f"penalty at the {config.quantile:g} quantile": best_of(config.penalties, penalties),
        f"boost at the {config.quantile:g} quantile": best_of(config.rare_boosts, boosts),
    }


def _species_thresholds(rows: Predictions, config: FitConfig, cluster_of_row: np.ndarray) -> dict[str, Refit]:
    """Return each species' own threshold, drawn to the common one where positives are few."""
    common = ThresholdLadder(Truth(rows.truth, cluster_of_row), rows.probability)

    def of_species(column: int) -> Refit:
        one = slice(column, column + 1)
        ladder = ThresholdLadder(Truth(rows.truth[:, one], cluster_of_row), rows.probability[:, one])
        positives = np.bincount(cluster_of_row, rows.truth[:, column])

        def fit(weights: np.ndarray) -> np.ndarray:
            below = ladder.below(weights)
            of_all = common.best(common.below(weights))
            is_defined = ~np.isnan(ladder.scores(below)[:, 0, 0])
            best = np.where(is_defined, ladder.best(below), of_all)
            number = positives @ weights
            share = number / np.maximum(number + config.shrinkage, 1e-12)
            return np.asarray(share * best + (1 - share) * of_all)

        return fit

    return {f"threshold of {code}": of_species(column) for column, code in enumerate(rows.species)}
