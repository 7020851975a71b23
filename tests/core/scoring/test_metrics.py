"""The metrics against hand-worked cases, scikit-learn, and the known wrong ways to compute them."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, confusion_matrix, f1_score, roc_auc_score

from core.scoring.metrics import (
    average_precision,
    balanced_accuracy,
    best_threshold,
    macro,
    padded_average_precision,
    roc_auc,
    top_one,
)


@pytest.fixture
def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    truth = generator.random((300, 4)) < 0.2
    scores = np.round(generator.random((300, 4)) + 0.3 * truth, 1) / 2  # with many ties
    weights = generator.integers(0, 4, (3, 300)).astype(float)
    return truth, scores, weights


def test_weighted_metrics_equal_scikit_learn(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, weights = rows
    areas, precisions = roc_auc(truth, scores, weights), average_precision(truth, scores, weights)
    for r, weight in enumerate(weights):
        for s in range(4):
            expected = roc_auc_score(truth[:, s], scores[:, s], sample_weight=weight)
            assert areas[r, s] == pytest.approx(expected)
            expected = average_precision_score(truth[:, s], scores[:, s], sample_weight=weight)
            assert precisions[r, s] == pytest.approx(expected)


def test_weights_equal_repeated_rows(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, weights = rows
    repeated = np.repeat(np.arange(300), weights[0].astype(int))
    for metric in (roc_auc, average_precision, padded_average_precision):
        weighted = metric(truth, scores, weights[:1])
        np.testing.assert_allclose(weighted, metric(truth[repeated], scores[repeated]))
    np.testing.assert_allclose(
        top_one(truth, scores, weights[:1]), top_one(truth[repeated], scores[repeated])
    )


def test_balanced_accuracy_by_hand() -> None:
    truth = np.array([[1, 1], [1, 0], [0, 0], [0, 0], [0, 0]], dtype=bool)
    decision = np.array([[1, 1], [0, 1], [0, 1], [0, 0], [1, 0]], dtype=bool)
    # species 0: 1 of 2 found, 2 of 3 rejected; species 1: 1 of 1 found, 2 of 4 rejected
    np.testing.assert_allclose(balanced_accuracy(truth, decision), [[(1 / 2 + 2 / 3) / 2, (1 + 1 / 2) / 2]])


@pytest.mark.parametrize("answer", [True, False])
def test_saying_the_same_always_scores_one_half(answer: bool) -> None:
    truth = np.random.default_rng(0).random((50, 3)) < 0.3
    assert macro(balanced_accuracy(truth, np.full_like(truth, answer)))[0] == pytest.approx(0.5)


def test_the_copied_implementation_differs() -> None:
    """Dividing by the columns of the confusion matrix gives (precision + NPV) / 2, another number."""
    generator = np.random.default_rng(3)
    truth = generator.random(2000) < 0.05
    decision = generator.random(2000) < np.where(truth, 0.8, 0.2)
    right = balanced_accuracy(truth[:, None], decision[:, None])[0, 0]
    matrix = confusion_matrix(truth, decision)
    wrong = (matrix[1, 1] / matrix[:, 1].sum() + matrix[0, 0] / matrix[:, 0].sum()) / 2
    assert right > 0.75
    assert wrong < 0.62


def test_micro_f1_of_batches_is_another_number() -> None:
    """A model that knows the common species alone: half right by species, nearly all right by rows."""
    truth = np.zeros((400, 2), dtype=bool)
    truth[:200, 0] = True
    truth[[50, 150, 250, 350], 1] = True
    decision = truth & np.array([True, False])
    score = macro(balanced_accuracy(truth, decision))[0]
    assert score == pytest.approx((1 + 0.5) / 2)
    whole = f1_score(truth, decision, average="micro")
    parts = [slice(start, start + 100) for start in range(0, 400, 100)]
    batches = [f1_score(truth[part], decision[part], average="micro", zero_division=0) for part in parts]
    assert whole > 0.98  # rows of the common species outweigh
    assert abs(np.mean(batches) - whole) > 0.4  # and a batch without it counts as a failure


def test_padded_precision_is_padded_once_not_per_batch() -> None:
    generator = np.random.default_rng(1)
    truth, scores = generator.random((40, 2)) < 0.2, generator.random((40, 2))
    padded = padded_average_precision(truth, scores)[0]
    for species in range(2):
        expected = average_precision_score(
            np.append(truth[:, species], np.ones(5)), np.append(scores[:, species], np.ones(5))
        )
        assert padded[species] == pytest.approx(expected)
    per_batch = np.mean(
        [padded_average_precision(truth[i : i + 10], scores[i : i + 10]) for i in (0, 10, 20, 30)]
    )
    assert per_batch > padded.mean() + 0.05


def test_a_species_without_positives_is_undefined_and_left_out_of_the_mean() -> None:
    truth = np.array([[1, 0], [0, 0], [1, 0]], dtype=bool)
    scores = np.array([[0.9, 0.1], [0.2, 0.2], [0.8, 0.3]])
    for metric in (
        roc_auc(truth, scores),
        average_precision(truth, scores),
        balanced_accuracy(truth, scores > 0.5),
    ):
        assert np.isnan(metric[0, 1])
        assert macro(metric)[0] == pytest.approx(1.0)


def test_constant_scores_have_no_skill() -> None:
    truth = np.array([[1], [0], [0], [0]], dtype=bool)
    scores = np.full((4, 1), 0.3)
    assert roc_auc(truth, scores)[0, 0] == pytest.approx(0.5)
    assert average_precision(truth, scores)[0, 0] == pytest.approx(0.25)


def test_top_one_counts_rows_with_a_positive_only() -> None:
    truth = np.array([[1, 0], [0, 1], [0, 0]], dtype=bool)
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.9, 0.0]])
    assert top_one(truth, scores)[0] == pytest.approx(0.5)


def test_best_threshold_is_the_best_on_these_rows(rows: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, scores, _ = rows
    best = macro(balanced_accuracy(truth, scores >= best_threshold(truth, scores)))[0]
    others = [macro(balanced_accuracy(truth, scores >= t))[0] for t in np.linspace(0, 0.7, 60)]
    assert best >= max(others) - 1e-12
