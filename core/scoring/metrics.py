"""The metrics of BirdCLEF, per species, for one or many weightings of the rows at once.

A bootstrap resample is a weight per row, so every function takes `weights` of shape (resample, row) and
returns (resample, species), nan where a species has no positive or no negative row. Nothing is averaged
per batch, nothing silently scored 0 or 1. Definitions:

- 2022: the host's score is the macro mean over scored species of balanced accuracy,
  (true positive rate + true negative rate) / 2; all True and all False give 0.5.
- 2023: padded cmAP, the macro mean of average precision after five rows of ones were appended to truth and
  prediction, once over the whole set.
- 2024 to 2026: macro ROC-AUC over the species with at least one positive (and one negative) row.
"""

import numpy as np

PADDING_ROWS = 5


def unit_weights(num_rows: int) -> np.ndarray:
    """Return the weighting that counts each row once, (1, row)."""
    return np.ones((1, num_rows))


def balanced_accuracy(
    truth: np.ndarray, decision: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the 2022 score of each species, (resample, species).

    Parameters
    ----------
    truth, decision
        (row, species) bool.
    weights
        (resample, row); None: each row once.
    """
    weights = unit_weights(len(truth)) if weights is None else weights
    truth, decision = truth.astype(bool), decision.astype(bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = weights @ (truth & decision) / (weights @ truth)
        specificity = weights @ (~truth & ~decision) / (weights @ ~truth)
    return (sensitivity + specificity) / 2


def balanced_accuracy_at(truth: np.ndarray, score: np.ndarray, thresholds: np.ndarray) -> np.ndarray:
    """Return the 2022 score of each species at many thresholds, (threshold, species); rows count once.

    Parameters
    ----------
    truth
        (row, species) bool.
    score
        (row, species); a row is positive where it reaches the threshold.
    thresholds
        (threshold,) for all species, or (threshold, species).
    """
    thresholds = np.broadcast_to(np.atleast_2d(thresholds.T).T, (len(thresholds), truth.shape[1]))
    values = np.full(thresholds.shape, np.nan)
    for species in range(truth.shape[1]):
        is_positive = truth[:, species].astype(bool)
        positive, negative = np.sort(score[is_positive, species]), np.sort(score[~is_positive, species])
        if len(positive) and len(negative):
            below = np.searchsorted(positive, thresholds[:, species]) / len(positive)
            rejected = np.searchsorted(negative, thresholds[:, species]) / len(negative)
            values[:, species] = (1 - below + rejected) / 2
    return values


def roc_auc(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return the area under the ROC curve of each species, ties counted half, (resample, species).

    Parameters
    ----------
    truth
        (row, species) bool.
    probability
        (row, species) scores of any scale.
    weights
        (resample, row); None: each row once.
    """
    weights = unit_weights(len(truth)) if weights is None else weights
    areas = np.empty((len(weights), truth.shape[1]))
    for species in range(truth.shape[1]):
        order, last_of_tie = sort_with_ties(probability[:, species])
        is_positive = truth[order, species].astype(bool)
        ordered = weights[:, order]
        positive = np.cumsum(ordered * is_positive, axis=1)[:, last_of_tie]
        negative = np.cumsum(ordered * ~is_positive, axis=1)[:, last_of_tie]
        with np.errstate(invalid="ignore", divide="ignore"):
            areas[:, species] = _trapezoid(positive, negative) / (positive[:, -1] * negative[:, -1])
    return areas


def average_precision(
    truth: np.ndarray,
    probability: np.ndarray,
    weights: np.ndarray | None = None,
    padding: int = 0,
) -> np.ndarray:
    """Return the average precision of each species, (resample, species).

    Parameters
    ----------
    truth
        (row, species) bool.
    probability
        (row, species) scores at most 1.
    weights
        (resample, row); None: each row once.
    padding
        Rows of truth 1 and probability 1 to append, `PADDING_ROWS` for the padded cmAP of 2023. A species
        without a positive row is nan unless padded.
    """
    weights = unit_weights(len(truth)) if weights is None else weights
    if padding:
        ones = np.ones((padding, truth.shape[1]))
        truth = np.concatenate([truth.astype(bool), ones.astype(bool)])
        probability = np.concatenate([probability, ones])
        weights = np.concatenate([weights, np.ones((len(weights), padding))], axis=1)
    precisions = np.empty((len(weights), truth.shape[1]))
    for species in range(truth.shape[1]):
        order, last_of_tie = sort_with_ties(probability[:, species])
        is_positive = truth[order, species].astype(bool)
        ordered = weights[:, order]
        positive = np.cumsum(ordered * is_positive, axis=1)[:, last_of_tie]
        retrieved = np.cumsum(ordered, axis=1)[:, last_of_tie]
        gained = np.diff(positive, axis=1, prepend=0.0)
        with np.errstate(invalid="ignore", divide="ignore"):
            # a resample may hold no row above some threshold: nothing was gained there either
            precision = np.where(retrieved > 0, positive / retrieved, 0.0)
            precisions[:, species] = (gained * precision).sum(axis=1) / positive[:, -1]
    return precisions


def padded_average_precision(
    truth: np.ndarray, probability: np.ndarray, weights: np.ndarray | None = None
) -> np.ndarray:
    """Return the padded average precision of 2023 of each species, (resample, species)."""
    return average_precision(truth, probability, weights, PADDING_ROWS)


def top_one(truth: np.ndarray, probability: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
    """Return how often the highest score is a true one, over rows with a positive, (resample,)."""
    weights = unit_weights(len(truth)) if weights is None else weights
    has_positive = truth.any(axis=1)
    hit = truth[np.arange(len(truth)), probability.argmax(axis=1)] & has_positive
    with np.errstate(invalid="ignore", divide="ignore"):
        return (weights @ hit) / (weights @ has_positive)


def macro(values: np.ndarray) -> np.ndarray:
    """Return the mean over the species that are defined, (resample,); nan where none is."""
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(defined, values, 0.0).sum(axis=1) / defined.sum(axis=1)


def sort_with_ties(scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the descending order of scores and the last position of each group of equal ones."""
    order = np.argsort(-scores, kind="stable")
    descending = scores[order]
    last_of_tie = np.flatnonzero(np.append(descending[1:] != descending[:-1], True))
    return order, last_of_tie


def best_threshold(truth: np.ndarray, probability: np.ndarray) -> float:
    """Return the one threshold with the highest 2022 score on these very rows: optimistic by design."""
    candidates = np.unique(probability)
    if len(candidates) > MAX_CANDIDATES:
        candidates = np.quantile(candidates, np.linspace(0, 1, MAX_CANDIDATES))
    scores = macro(balanced_accuracy_at(truth, probability, candidates))
    return float(candidates[int(np.nanargmax(scores))])


MAX_CANDIDATES = 500


def _trapezoid(height: np.ndarray, width: np.ndarray) -> np.ndarray:
    """Return the area under the line through (width, height), starting at the origin, per row."""
    before = np.concatenate([np.zeros_like(height[:, :1]), height[:, :-1]], axis=1)
    return (np.diff(width, axis=1, prepend=0.0) * (height + before) / 2).sum(axis=1)
