"""Metrics by scikit-learn, as the competitions define them: what those of weighted rows are held to."""

import numpy as np
from sklearn.metrics import average_precision_score, f1_score

from core.scoring.metrics import PADDING_ROWS


def average_precision(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    columns = zip(truth.astype(bool).T, probability.T, strict=True)
    return np.array([average_precision_score(*one) if one[0].any() else np.nan for one in columns])


def padded_average_precision(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    ones = np.ones((PADDING_ROWS, truth.shape[1]))
    return average_precision(np.concatenate([truth, ones]), np.concatenate([probability, ones]))


def micro_f1(truth: np.ndarray, decision: np.ndarray) -> float:
    with_nocall = [np.column_stack([one, ~one.any(axis=1)]) for one in (truth > 0, decision > 0)]
    return float(f1_score(*with_nocall, average="samples"))


def top_one(truth: np.ndarray, probability: np.ndarray) -> float:
    rows = np.flatnonzero(truth.any(axis=1))
    return float(truth[rows, probability[rows].argmax(axis=1)].mean())
