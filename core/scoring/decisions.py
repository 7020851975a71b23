"""From probabilities to decisions: small functions over a (window, species) table, and their order.

The published solution subtracts 0.4 times each species' share of the training recordings and decides at the
0.85 quantile of all probabilities of the test set. The quantile needs the whole set, so post-processing runs
once, after every file is predicted.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from core.inference.config import PostConfig


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
    """
    return probability - strength * counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1)


def boost_rare(probability: np.ndarray, counts: np.ndarray, power: float) -> np.ndarray:
    """Return probabilities times (recordings / mean over species) ** -power.

    A species without recordings counts as having one. Shapes as in `subtract_penalty`.
    """
    counts = np.maximum(counts, 1)
    return probability * (counts / counts.mean(axis=-1, keepdims=True)) ** -power


def gate_hard(probability: np.ndarray, bird: np.ndarray, threshold: float) -> np.ndarray:
    """Return probabilities, 0 in windows whose p(bird), (window,), is below `threshold`."""
    return np.where(bird[:, None] >= threshold, probability, 0.0)


def gate_soft(probability: np.ndarray, bird: np.ndarray, power: float) -> np.ndarray:
    """Return probabilities times p(bird) ** power."""
    return probability * bird[:, None] ** power


def quantile_threshold(probability: np.ndarray, quantile: float) -> float:
    """Return the quantile of all values, pooled over windows and species: it depends on the whole set."""
    return float(np.quantile(probability, quantile))


def adjust(
    probability: np.ndarray, config: PostConfig, counts: np.ndarray, bird: np.ndarray | None = None
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
    bird
        (window,) p(bird); needed by the gates.
    """
    if config.gate != "off":
        assert bird is not None, "the configuration asks for --nocall with post.gate"
        if config.gate == "hard":
            probability = gate_hard(probability, bird, config.gate_threshold)
        else:
            probability = gate_soft(probability, bird, config.gate_power)
    if config.penalty > 0:
        probability = subtract_penalty(probability, counts, config.penalty)
    if config.rare_boost > 0:
        probability = boost_rare(probability, counts, config.rare_boost)
    return probability


def thresholds(adjusted: np.ndarray, config: PostConfig, species: Sequence[str]) -> np.ndarray:
    """Return the threshold of each species, (species,).

    Raises
    ------
    ValueError
        If class-wise thresholds lack a species.
    """
    if config.threshold == "class_wise":
        return np.array([_of(config.class_wise, code) for code in species])
    if config.threshold == "fixed":
        return np.full(len(species), config.fixed)
    return np.full(len(species), quantile_threshold(adjusted, config.quantile))


def _of(class_wise: Mapping[str, float], code: str) -> float:
    if code not in class_wise:
        message = f"post.class_wise: no threshold for {code}; it has those of {', '.join(sorted(class_wise))}"
        raise ValueError(message)
    return class_wise[code]
