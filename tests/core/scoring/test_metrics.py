"""The metrics against hand-worked cases, scikit-learn, and the known wrong ways to compute them."""

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, f1_score, roc_auc_score

from core.scoring.metrics import balanced_accuracy, balanced_accuracy_at, macro, roc_auc, row_f1
from tests.definitions import micro_f1


@pytest.mark.parametrize("digits", [1, 8], ids=["ties", "distinct"])
def test_ranks_equal_scikit_learn(digits: int) -> None:
    generator = np.random.default_rng(0)
    truth = generator.random((300, 4)) < 0.2
    scores = np.round(generator.random((300, 4)) + 0.3 * truth, digits) / 2
    expected = [roc_auc_score(truth[:, species], scores[:, species]) for species in range(4)]
    np.testing.assert_allclose(roc_auc(truth, scores), expected)


def test_the_score_at_many_thresholds_is_the_score_at_each() -> None:
    generator = np.random.default_rng(0)
    truth, scores = generator.random((60, 3)) < 0.3, generator.random((60, 3))
    truth[:, 2] = False
    candidates = np.array([0.0, 0.2, 0.5, scores[3, 0], 1.1])
    for row, threshold in zip(balanced_accuracy_at(truth, scores, candidates), candidates, strict=True):
        np.testing.assert_allclose(row, balanced_accuracy(truth, scores >= threshold))
    own = np.stack([candidates, candidates / 2, candidates], axis=1)
    found = balanced_accuracy_at(truth, scores, own)[2]
    np.testing.assert_allclose(found, balanced_accuracy(truth, scores >= own[2]))


def test_balanced_accuracy_by_hand() -> None:
    truth = np.array([[1, 1], [1, 0], [0, 0], [0, 0], [0, 0]], dtype=bool)
    decision = np.array([[1, 1], [0, 1], [0, 1], [0, 0], [1, 0]], dtype=bool)
    # species 0: 1 of 2 found, 2 of 3 rejected; species 1: 1 of 1 found, 2 of 4 rejected
    np.testing.assert_allclose(balanced_accuracy(truth, decision), [(1 / 2 + 2 / 3) / 2, (1 + 1 / 2) / 2])


@pytest.mark.parametrize("answer", [True, False])
def test_saying_the_same_always_scores_one_half(answer: bool) -> None:
    truth = np.random.default_rng(0).random((50, 3)) < 0.3
    assert macro(balanced_accuracy(truth, np.full_like(truth, answer))) == pytest.approx(0.5)


def test_the_copied_implementation_differs() -> None:
    """Dividing by the columns of the confusion matrix gives (precision + NPV) / 2, another number."""
    generator = np.random.default_rng(3)
    truth = generator.random(2000) < 0.05
    decision = generator.random(2000) < np.where(truth, 0.8, 0.2)
    right = balanced_accuracy(truth[:, None], decision[:, None])[0]
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
    score = macro(balanced_accuracy(truth, decision))
    assert score == pytest.approx((1 + 0.5) / 2)
    whole = f1_score(truth, decision, average="micro")
    parts = [slice(start, start + 100) for start in range(0, 400, 100)]
    batches = [f1_score(truth[part], decision[part], average="micro", zero_division=0) for part in parts]
    assert whole > 0.98  # rows of the common species outweigh
    assert abs(np.mean(batches) - whole) > 0.4  # and a batch without it counts as a failure


def test_micro_f1_by_hand_and_by_scikit_learn() -> None:
    """Both birds and a third, one of two, a bird in silence, silence for a bird, silence heard as such."""
    truth = np.array([[1, 1, 0], [1, 1, 0], [0, 0, 0], [0, 1, 0], [0, 0, 0]], dtype=bool)
    decision = np.array([[1, 1, 1], [0, 1, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]], dtype=bool)
    np.testing.assert_allclose(row_f1(truth, decision), [4 / 5, 2 / 3, 0, 0, 1])
    assert micro_f1(truth, decision) == pytest.approx((4 / 5 + 2 / 3 + 1) / 5)


def test_a_species_without_positives_is_undefined_and_left_out_of_the_mean() -> None:
    truth = np.array([[1, 0], [0, 0], [1, 0]], dtype=bool)
    scores = np.array([[0.9, 0.1], [0.2, 0.2], [0.8, 0.3]])
    for metric in (roc_auc(truth, scores), balanced_accuracy(truth, scores > 0.5)):
        assert np.isnan(metric[1])
        assert macro(metric) == pytest.approx(1.0)


def test_constant_scores_have_no_skill() -> None:
    truth = np.array([[1], [0], [0], [0]], dtype=bool)
    scores = np.full((4, 1), 0.3)
    assert roc_auc(truth, scores)[0] == pytest.approx(0.5)
