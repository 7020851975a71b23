"""The metrics of BirdCLEF: their definitions.

Nothing is averaged per batch, and a species without a positive or without a negative row is nan, not silently
0 or 1. `core.scoring.weighted_metrics` has all of them for thousands of weightings of the recordings; here is
what else needs them of single rows. Definitions:

- 2021: micro F1 by row, the mean over rows of F1 between the sets of true and of called birds, in which no
  bird at all is the label `nocall`.
- 2022: the host's score is the macro mean over scored species of balanced accuracy,
  (true positive rate + true negative rate) / 2; all True and all False give 0.5.
- 2023: padded cmAP, the macro mean of average precision after five rows of ones were appended to truth and
  prediction, once over the whole set.
- 2024 to 2026: macro ROC-AUC over the species with at least one positive (and one negative) row.
"""

import numpy as np
from scipy.stats import rankdata

PADDING_ROWS = 5


def balanced_accuracy(truth: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """Return the 2022 score of each species, (species,).

    Parameters
    ----------
    truth, decision
        (row, species) bool.

    Examples
    --------
    One of two positive rows and both negative rows are right:

    >>> truth = np.array([[True], [True], [False], [False]])
    >>> decision = np.array([[True], [False], [False], [False]])
    >>> print(balanced_accuracy(truth, decision))
    [0.75]
    """
    truth, decision = truth.astype(bool), decision.astype(bool)
    with np.errstate(invalid="ignore", divide="ignore"):
        sensitivity = (truth & decision).sum(axis=0) / truth.sum(axis=0)
        specificity = (~truth & ~decision).sum(axis=0) / (~truth).sum(axis=0)
    return np.asarray((sensitivity + specificity) / 2)


def balanced_accuracy_at(
    truth: np.ndarray, probability: np.ndarray, thresholds: np.ndarray, known: np.ndarray | None = None
) -> np.ndarray:
    """Return the 2022 score of each species at many thresholds, (threshold, species).

    Parameters
    ----------
    truth, probability
        (row, species).
    thresholds
        (threshold,) for all species, or (threshold, species); a row is positive where it reaches it.
    known
        (row, species) bool, False where nobody said what is true; None: all.
    """
    negative = ~truth.astype(bool) if known is None else ~truth.astype(bool) & known
    grid = np.broadcast_to(thresholds.reshape(len(thresholds), -1), (len(thresholds), truth.shape[1]))
    below = np.empty((len(thresholds), 2 * truth.shape[1]))
    for species, is_positive in enumerate(truth.astype(bool).T):
        for kind, side in enumerate((negative[:, species], is_positive)):
            ordered = np.sort(probability[side, species])
            below[:, 2 * species + kind] = np.searchsorted(ordered, grid[:, species])
    positives = truth.astype(bool).sum(axis=0)
    totals = np.stack([negative.sum(axis=0), positives], axis=1)
    return balanced_accuracy_below(below, totals.ravel())


def balanced_accuracy_below(below: np.ndarray, totals: np.ndarray) -> np.ndarray:
    """Return the 2022 score (..., species) from how many rows lie below a threshold, and how many there are.

    Both are (..., 2 species): the negative rows of a species, then its positive ones.

    Examples
    --------
    Two of three negative rows lie below, and one of two positive rows:

    >>> print(balanced_accuracy_below(np.array([2, 1]), np.array([3, 2])).round(3))
    [0.583]
    """
    with np.errstate(invalid="ignore", divide="ignore"):
        rejected = below[..., 0::2] / totals[..., 0::2]
        missed = below[..., 1::2] / totals[..., 1::2]
        score = np.asarray(1 - missed)
        score += rejected
        score /= 2
        return score


def row_f1(truth: np.ndarray, decision: np.ndarray) -> np.ndarray:
    """Return the F1 of each row's set of birds, 2 |true and called| / (|true| + |called|), (row,).

    A set without a bird is the set of the label `nocall`, as in 2021, whose metric is the mean.

    Parameters
    ----------
    truth, decision
        (row, species) bool.

    Examples
    --------
    One of two birds called, a bird called where there is none, and silence that is heard as such:

    >>> truth = np.array([[True, True], [False, False], [False, False]])
    >>> decision = np.array([[True, False], [False, True], [False, False]])
    >>> print(row_f1(truth, decision).round(3))
    [0.667 0.    1.   ]
    """
    truth, decision = (
        np.concatenate([one, ~one.any(axis=1, keepdims=True)], axis=1) for one in (truth > 0, decision > 0)
    )
    return np.asarray(2 * (truth & decision).sum(axis=1) / (truth.sum(axis=1) + decision.sum(axis=1)))


def roc_auc(truth: np.ndarray, probability: np.ndarray) -> np.ndarray:
    """Return the area under the ROC curve of each species, ties counted half, (species,).

    Parameters
    ----------
    truth
        (row, species) bool.
    probability
        (row, species) scores of any scale.

    Examples
    --------
    Three of the four pairs of a positive and a negative row are in order:

    >>> truth = np.array([[True], [True], [False], [False]])
    >>> print(roc_auc(truth, np.array([[0.9], [0.4], [0.5], [0.1]])))
    [0.75]
    """
    truth = truth.astype(bool)
    positives = truth.sum(axis=0)
    ranks = np.where(truth, rankdata(probability, axis=0), 0.0).sum(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((ranks - positives * (positives + 1) / 2) / (positives * (len(truth) - positives)))


def quantile_of_known(probability: np.ndarray, share: float, known: np.ndarray | None = None) -> float:
    """Return the quantile of all probabilities about which somebody said what is true.

    Parameters
    ----------
    probability
        (row, species).
    share
        The quantile, 0 to 1.
    known
        (row, species) bool; None: all.
    """
    return float(np.quantile(probability if known is None else probability[known], share))


def macro(values: np.ndarray) -> np.ndarray:
    """Return the mean over the species that are defined, (...), of (..., species); nan where none is.

    Examples
    --------
    >>> print(macro(np.array([0.5, np.nan, 1.0])))
    0.75
    """
    defined = ~np.isnan(values)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(np.where(defined, values, 0.0).sum(axis=-1) / defined.sum(axis=-1))
