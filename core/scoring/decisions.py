"""From probabilities to decisions: peak of the file, calibration, gate, penalty, boost and threshold.

The published solution subtracts 0.4 times each species' share of the training recordings and decides at the
0.85 quantile of all probabilities of the test set. The quantile needs the whole set, so decisions are made
once, after every file is predicted. `core.scoring.fitting` fits them, `core.scoring.judging` judges them and
writes tuned.json.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import expit

from core.config import ValidConfig, require, require_probability
from core.config_checks import naming, require_finite
from core.config_values import from_dict
from core.files import read_json


@dataclass(frozen=True, kw_only=True)
class DecisionConfig:
    """From probabilities to decisions. Steps apply in the order of the fields."""

    file_peak: float = 0.0
    """Multiply a window's probability by the highest of its soundscape, of that species, to this power: a
    species that is sure somewhere in a file is likelier everywhere in it. 0: off."""
    calibration: Literal["off", "logistic", "isotonic"] = "off"
    """A rising function of the probability: of its logit (temperature or Platt scaling), or by points."""
    calibration_slope: float = 1.0
    """Of the logistic calibration: what the logit is multiplied by."""
    calibration_shift: float = 0.0
    """Of the logistic calibration: what is added then."""
    calibration_points: tuple[float, ...] = ()
    """Of the isotonic calibration: probabilities as trained, rising."""
    calibration_values: tuple[float, ...] = ()
    """Of the isotonic calibration: what each of the points means; straight lines between them."""
    gate: Literal["off", "hard", "soft"] = "off"
    """No-call gating: drop windows below `gate_threshold`, or multiply by p(bird) ** `gate_power`."""
    gate_threshold: float = 0.5
    """Of the hard gate."""
    gate_power: float = 1.0
    """Of the soft gate."""
    penalty: float = 0.0
    """Subtract this times a species' share of the training recordings; the published solution's is 0.4."""
    rare_boost: float = 0.0
    """Multiply by (recordings of a species / mean over scored species) ** -rare_boost."""
    threshold: Literal["quantile", "fixed", "class_wise"] = "quantile"
    """The rule of the decision."""
    quantile: float = ValidConfig.threshold_quantile
    """Of all probabilities of the whole test set, pooled over species."""
    fixed: float = 0.1
    """One probability for every species."""
    class_wise: dict[str, float] = field(default_factory=dict)
    """A probability per species."""

    def __post_init__(self) -> None:
        """Check ranges."""
        require_finite(self, "post.")
        for name in ("gate_threshold", "quantile"):
            require_probability(f"post.{name}", getattr(self, name))
        for name in ("file_peak", "gate_power", "penalty"):
            require(getattr(self, name) >= 0, f"post.{name}={getattr(self, name)}: 0 or more")
        require(
            self.calibration_slope > 0,
            f"post.calibration_slope={self.calibration_slope}: above 0, or the order turns round",
        )
        require(
            len(self.calibration_points) == len(self.calibration_values)
            and (self.calibration != "isotonic" or len(self.calibration_points) > 0),
            "post.calibration=isotonic needs as many post.calibration_points as post.calibration_values",
        )
        require(
            self.threshold != "class_wise" or len(self.class_wise) > 0,
            "post.threshold=class_wise needs post.class_wise, such as `analysis.thresholds` writes",
        )


def clipped_logit(probability: np.ndarray) -> np.ndarray:
    """Return the logits of probabilities kept 1e-12 from 0 and 1."""
    clipped = np.clip(probability, 1e-12, 1 - 1e-12)
    return np.log(clipped) - np.log1p(-clipped)


def scale_by_peak(probability: np.ndarray, file: np.ndarray, power: float) -> np.ndarray:
    """Return probabilities times the highest of their file and species to a power, (window, species).

    Parameters
    ----------
    probability
        (window, species).
    file
        (window,) the soundscape, whatever names it.
    power
        0 leaves them as they are.

    Examples
    --------
    >>> windows = np.array([[0.5], [0.8], [0.5]])
    >>> print(scale_by_peak(windows, np.array(["a", "a", "b"]), power=1.0).ravel())
    [0.4  0.64 0.25]
    """
    if power == 0 or len(probability) == 0:
        return probability
    _, place = np.unique(file, return_inverse=True)
    peak = np.zeros((int(place.max()) + 1, probability.shape[1]))
    np.maximum.at(peak, place, probability)
    return np.asarray(probability * peak[place] ** power)


def calibrate(probability: np.ndarray, config: DecisionConfig) -> np.ndarray:
    """Return calibrated probabilities, of any shape; the order of a species' rows stays, but for ties.

    Examples
    --------
    Temperature 2 halves the logit:

    >>> halved = DecisionConfig(calibration="logistic", calibration_slope=0.5)
    >>> print(calibrate(np.array([0.5, 0.9, 0.99]), halved).round(3))
    [0.5   0.75  0.909]
    """
    if config.calibration == "logistic":
        logit = clipped_logit(probability)
        return np.asarray(expit(config.calibration_slope * logit + config.calibration_shift))
    if config.calibration == "isotonic":
        return np.interp(probability, config.calibration_points, config.calibration_values)
    return probability


def subtract_penalty(probability: np.ndarray, counts: np.ndarray, strength: float) -> np.ndarray:
    """Return probabilities minus `strength` times each species' share of the recordings; may be negative.

    Parameters
    ----------
    probability
        (window, species).
    counts
        (species,) recordings that trained; or (window, species), where other networks judged other windows.
    strength
        0.4 in the published solution.

    Examples
    --------
    >>> print(subtract_penalty(np.array([[0.5, 0.5]]), np.array([30, 10]), strength=0.4))
    [[0.2 0.4]]
    """
    return probability - strength * counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)


def _boost_rare(probability: np.ndarray, counts: np.ndarray, power: float) -> np.ndarray:
    """Return probabilities times (recordings / mean over species) ** -power; no recordings count as one."""
    counts = np.maximum(counts, 1)
    return probability * (counts / counts.mean(axis=-1, keepdims=True)) ** -power


def adjust(
    probability: np.ndarray,
    config: DecisionConfig,
    counts: np.ndarray,
    file: np.ndarray,
    bird: np.ndarray | None = None,
) -> np.ndarray:
    """Return the values that are compared with the threshold, (window, species).

    Parameters
    ----------
    probability
        (window, species).
    config
        Which steps.
    counts
        (species,) recordings that trained the models, or (window, species).
    file
        (window,) the soundscape of each, whatever names it.
    bird
        (window,) p(bird); needed by the gates.
    """
    probability = calibrate(scale_by_peak(probability, file, config.file_peak), config)
    if config.gate != "off":
        assert bird is not None, "the configuration asks for --nocall with post.gate"
        passed = bird >= config.gate_threshold if config.gate == "hard" else bird**config.gate_power
        probability = probability * passed[:, None]
    if config.penalty > 0:
        probability = subtract_penalty(probability, counts, config.penalty)
    if config.rare_boost > 0:
        probability = _boost_rare(probability, counts, config.rare_boost)
    return probability


def thresholds(adjusted: np.ndarray, config: DecisionConfig, species: Sequence[str]) -> np.ndarray:
    """Return the threshold of each species, (species,).

    Parameters
    ----------
    adjusted
        (window, species) of `adjust`, of the whole set: the quantile is pooled over it.
    config
        The rule.
    species
        Codes of the columns.

    Raises
    ------
    ValueError
        If class-wise thresholds lack a species.
    """
    if config.threshold == "class_wise":
        return np.array([_of(config.class_wise, code) for code in species])
    if config.threshold == "fixed":
        return np.full(len(species), config.fixed)
    return np.full(len(species), np.quantile(adjusted, config.quantile))


def describe_decision(config: DecisionConfig) -> str:
    """Return such as `penalty 0.4, 0.85 quantile`."""
    words = {
        "off": [],
        "logistic": [f"logit times {config.calibration_slope:.3g} plus {config.calibration_shift:.3g}"],
        "isotonic": [f"{len(config.calibration_points)} points of calibration"],
    }[config.calibration]
    if config.file_peak:
        words.insert(0, f"peak of the file to the power {config.file_peak:g}")
    if config.penalty:
        words.append(f"penalty {config.penalty:g}")
    if config.rare_boost:
        words.append(f"rare boost {config.rare_boost:g}")
    rules = {
        "quantile": f"{config.quantile:g} quantile",
        "fixed": f"threshold {config.fixed:.3f}",
        "class_wise": f"{len(config.class_wise)} thresholds",
    }
    return ", ".join([*words, rules[config.threshold]])


def _of(class_wise: Mapping[str, float], code: str) -> float:
    if code not in class_wise:
        message = f"post.class_wise: no threshold for {code}; it has those of {', '.join(sorted(class_wise))}"
        raise ValueError(message)
    return class_wise[code]


def read_tuned(file: Path) -> DecisionConfig:
    """Return the settings of a tuned.json.

    Raises
    ------
    ValueError
        If the file is not such a json.
    """
    with naming("tuned"):
        content = read_json(file)
        require("post" in content, f"{file}: no post; name what `python -m analysis.thresholds` wrote")
        with naming(file):
            return from_dict(DecisionConfig(), content["post"], "post.")
