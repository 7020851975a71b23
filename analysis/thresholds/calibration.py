"""Whether probabilities mean what they say, and whether that can be put right without touching the order.

Temperature scaling divides the logit by one number (Guo et al. 2017), Platt scaling also shifts it (Platt
1999), isotonic regression learns any rising curve (Zadrozny and Elkan 2002). Each is fitted to all species
pooled and judged on recordings that did not fit it. All three keep the order of a species' clips, but for
ties, so neither ROC-AUC nor the score at a quantile gains from them: they matter where a probability is read
or a threshold is carried to another network.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import numpy as np
from scipy.optimize import minimize_scalar
from scipy.special import expit
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

from core.inference.config import TuneConfig
from core.inference.ensemble import logit
from core.scoring.cross_fit import Observations, parts_of
from core.scoring.metrics import unit_weights
from core.scoring.resampling import Interval, Resampler
from core.scoring.score_curves import Reliability, reliability

LOG_RANGE = (-4.0, 4.0)
"""Of the logarithm of the temperature."""
Calibrator = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Calibrated:
    """Probabilities after a method.

    Attributes
    ----------
    name
        Of the method.
    reliability
        Of probabilities that the method made on recordings it was not fitted to.
    gain
        Its Brier score minus that of the probabilities as trained, paired; below 0 is better.
    fitted
        What was learned from all rows, in words.
    """

    name: str
    reliability: Reliability
    gain: Interval
    fitted: str


def fit_temperature(probability: np.ndarray, truth: np.ndarray) -> tuple[Calibrator, str]:
    """Return the calibrator with the temperature of the smallest log loss, and its words."""
    logits, labels = logit(probability.ravel()), truth.ravel()

    def loss(log_temperature: float) -> float:
        return float(log_loss(labels, expit(logits / np.exp(log_temperature)), labels=[False, True]))

    temperature = float(np.exp(minimize_scalar(loss, bounds=LOG_RANGE, method="bounded").x))
    return lambda p: expit(logit(p) / temperature), f"temperature {temperature:.3g}"


def fit_platt(probability: np.ndarray, truth: np.ndarray) -> tuple[Calibrator, str]:
    """Return the calibrator with the slope and shift of the smallest log loss, and its words."""
    if truth.all() or not truth.any():
        return lambda p: p, "nothing: all labels are equal"
    model = LogisticRegression(C=1e6).fit(logit(probability.ravel())[:, None], truth.ravel())
    slope, shift = float(model.coef_[0, 0]), float(model.intercept_[0])
    return lambda p: expit(slope * logit(p) + shift), f"{slope:.3g} times the logit, plus {shift:.3g}"


def fit_isotonic(probability: np.ndarray, truth: np.ndarray) -> tuple[Calibrator, str]:
    """Return the calibrator with the rising curve of the smallest squared error, and its words."""
    model = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip")
    model.fit(probability.ravel(), truth.ravel())

    def calibrate(values: np.ndarray) -> np.ndarray:
        return np.asarray(model.predict(values.ravel())).reshape(values.shape)

    return calibrate, f"{len(model.X_thresholds_)} points"


METHODS: Mapping[str, Callable[[np.ndarray, np.ndarray], tuple[Calibrator, str]]] = {
    "temperature": fit_temperature,
    "Platt": fit_platt,
    "isotonic": fit_isotonic,
}


def calibrate_in_parts(method: str, observed: Observations, config: TuneConfig) -> np.ndarray:
    """Return probabilities (row, species), each by a calibrator fitted on other recordings.

    Parameters
    ----------
    method
        A key of `METHODS`.
    observed
        Rows with their truth.
    config
        Number and seed of the parts.
    """
    found = np.empty_like(observed.probability)
    for others, held in parts_of(observed, config):
        calibrator, _ = METHODS[method](observed.probability[others], observed.truth[others])
        found[held] = calibrator(observed.probability[held])
    return found


def compare_calibrations(
    observed: Observations, config: TuneConfig, resampler: Resampler
) -> tuple[Reliability, list[Calibrated]]:
    """Return reliability as trained, and after each method.

    Parameters
    ----------
    observed
        Rows with their truth.
    config
        Number and seed of the parts.
    resampler
        Of the rows' recordings.
    """
    truth = observed.truth
    before = ((observed.probability - truth) ** 2).mean(axis=1)
    results = []
    for name, method in METHODS.items():
        probability = calibrate_in_parts(name, observed, config)
        change = ((probability - truth) ** 2).mean(axis=1) - before
        results.append(
            Calibrated(
                name,
                reliability(truth, probability, resampler),
                resampler.interval(partial(mean_of, change)),
                method(observed.probability, truth)[1],
            )
        )
    return reliability(truth, observed.probability, resampler), results


def mean_of(values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the weighted mean (resample,) of values (row,)."""
    weights = unit_weights(len(values)) if weights is None else weights
    return np.asarray(weights @ values / weights.sum(axis=1))
