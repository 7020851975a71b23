"""Settings of the decision that suit rows whose truth is known: thresholds, penalty, boost, calibration.

What is fitted looks better on the rows that fitted it: `core.scoring.cross_fit` says by how much. Temperature
scaling divides the logit by one number (Guo et al. 2017), Platt scaling also shifts it (Platt 1999), isotonic
regression learns any rising curve (Zadrozny and Elkan 2002); each is fitted to all species pooled. All three
keep the order of a species' clips, but for ties, so neither ROC-AUC nor the score at a quantile gains from
them: they matter where a probability is read, or a threshold is carried to another network.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from core.config import ValidConfig, require
from core.scoring.decisions import DecisionConfig, adjust, clipped_logit, thresholds
from core.scoring.metrics import balanced_accuracy, balanced_accuracy_at, macro
from core.scoring.predictions import Predictions
from core.scoring.score_curves import QUANTILES
from core.scoring.threshold_ladder import middle_of_best

NUM_THRESHOLDS = 200
LOG_TEMPERATURES = (-4.0, 4.0)
"""Of the logarithm of the temperature."""
ThresholdRule = Literal["untuned", "quantile", "fixed", "class_wise"]
Calibration = Literal["off", "temperature", "Platt", "isotonic"]
CALIBRATIONS: tuple[Calibration, ...] = ("temperature", "Platt", "isotonic")


@dataclass(frozen=True, kw_only=True)
class FitConfig:
    """What settings of the decision are fitted, and to what choices."""

    file_peaks: tuple[float, ...] = (0.0,)
    """Powers of the peak of the file to choose from."""
    penalties: tuple[float, ...] = (0.0, 0.1, 0.2, 0.4, 0.8)
    """Strengths of the count penalty to choose from where it is tuned."""
    rare_boosts: tuple[float, ...] = (0.0, 0.25, 0.5)
    """Powers of the rare-species boost to choose from where it is tuned."""
    shrinkage: float = 10.0
    """Class-wise thresholds move towards the common one as if it had this many positives."""
    calibration: Calibration = "off"
    """How probabilities are calibrated before anything else."""
    quantile: float = ValidConfig.threshold_quantile
    """Of all values, where the threshold is not tuned."""

    def __post_init__(self) -> None:
        """Check ranges."""
        for name in ("file_peaks", "penalties", "rare_boosts"):
            values = getattr(self, name)
            require(len(values) > 0 and min(values) >= 0, f"{name}={values}: one at least, 0 or more each")
        require(self.shrinkage >= 0, f"shrinkage={self.shrinkage}: 0 or more")


def decide_rows(predictions: Predictions, config: DecisionConfig) -> np.ndarray:
    """Return the decisions (row, species) bool of some settings about all rows of a set."""
    adjusted = adjust(predictions.probability, config, predictions.counts, predictions.recording)
    return adjusted >= thresholds(adjusted, config, predictions.species)


def decision_score(predictions: Predictions, config: DecisionConfig) -> float:
    """Return the macro 2022 score of some settings on these rows."""
    return float(macro(balanced_accuracy(predictions.truth, decide_rows(predictions, config))))


def fit_decision(rules: Sequence[ThresholdRule], rows: Predictions, config: FitConfig) -> DecisionConfig:
    """Return the settings that score best on these rows, of some threshold rules and all adjustments.

    Parameters
    ----------
    rules
        "untuned" (the 0.85 quantile), "quantile", "fixed" or "class_wise".
    rows
        With their truth.
    config
        What to choose from.
    """
    base = replace(fit_calibration(config.calibration, rows), quantile=config.quantile)
    found = [
        fit_threshold(
            rule, rows, replace(base, file_peak=peak, penalty=penalty, rare_boost=boost), config.shrinkage
        )
        for rule in rules
        for peak in config.file_peaks
        for penalty in config.penalties
        for boost in config.rare_boosts
    ]
    if len(found) == 1:
        return found[0]
    return max(found, key=lambda one: decision_score(rows, one))


def fit_threshold(
    rule: ThresholdRule, rows: Predictions, base: DecisionConfig, shrinkage: float
) -> DecisionConfig:
    """Return `base` with the threshold of a rule that scores best on these rows.

    Parameters
    ----------
    rule
        See `fit_decision`.
    rows
        With their truth.
    base
        What happens before the decision.
    shrinkage
        Of class-wise thresholds; see `FitConfig`.
    """
    if rule == "untuned":
        return base
    adjusted = adjust(rows.probability, base, rows.counts, rows.recording)
    if rule == "quantile":
        candidates = np.quantile(adjusted[rows.known], QUANTILES)
        best = _best_of(macro(balanced_accuracy_at(rows.truth, adjusted, candidates, rows.known)))
        return replace(base, threshold="quantile", quantile=float(QUANTILES[best]))
    common = np.unique(np.quantile(adjusted[rows.known], np.linspace(0, 1, NUM_THRESHOLDS)))
    fixed = float(common[_best_of(macro(balanced_accuracy_at(rows.truth, adjusted, common, rows.known)))])
    if rule == "fixed":
        return replace(base, threshold="fixed", fixed=fixed)
    own = _fit_class_wise(rows, adjusted, fixed, shrinkage)
    return replace(base, threshold="class_wise", class_wise=dict(zip(rows.species, own, strict=True)))


def _fit_class_wise(rows: Predictions, adjusted: np.ndarray, common: float, shrinkage: float) -> list[float]:
    """Return each species' best threshold, drawn to the common one where positives are few."""
    grid = np.quantile(adjusted, np.linspace(0, 1, NUM_THRESHOLDS), axis=0)  # (threshold, species)
    scores = balanced_accuracy_at(rows.truth, adjusted, grid, rows.known)
    found = []
    for species, positives in enumerate(rows.truth.sum(axis=0)):
        if np.isnan(scores[:, species]).all():
            found.append(common)
            continue
        best = grid[_best_of(scores[:, species]), species]
        found.append(float((positives * best + shrinkage * common) / (positives + shrinkage)))
    return found


def _best_of(scores: np.ndarray) -> int:
    """Return the middle of the candidates, (candidate,), that share the highest score."""
    return int(middle_of_best(scores[None])[0])


def fit_calibration(method: Calibration, rows: Predictions) -> DecisionConfig:
    """Return the settings of a calibration, species pooled.

    Parameters
    ----------
    method
        "off", "temperature", "Platt" (both of the smallest log loss) or "isotonic" (smallest squared error).
    rows
        With their truth.
    """
    probability, truth = rows.probability.ravel(), rows.truth.ravel()
    if method == "off" or truth.all() or not truth.any():
        return DecisionConfig()
    if method == "isotonic":
        model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(probability, truth)
        return DecisionConfig(
            calibration="isotonic",
            calibration_points=tuple(map(float, model.X_thresholds_)),
            calibration_values=tuple(map(float, model.y_thresholds_)),
        )
    logits = clipped_logit(probability)
    if method == "Platt":
        line = LogisticRegression(C=1e6).fit(logits[:, None], truth)
        slope, shift = float(line.coef_[0, 0]), float(line.intercept_[0])
        if slope > 0:
            return DecisionConfig(calibration="logistic", calibration_slope=slope, calibration_shift=shift)

    def loss(log_temperature: float) -> float:
        return float(log_loss(truth, expit(logits / np.exp(log_temperature)), labels=[False, True]))

    log_temperature = float(minimize_scalar(loss, bounds=LOG_TEMPERATURES, method="bounded").x)
    return DecisionConfig(calibration="logistic", calibration_slope=float(np.exp(-log_temperature)))
