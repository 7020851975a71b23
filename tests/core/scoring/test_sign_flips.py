"""The sign-flip test exchanges what it says and counts as it says."""

import itertools

import numpy as np
import pytest
from scipy.stats import rankdata

from core.scoring.metrics import balanced_accuracy, macro, roc_auc
from core.scoring.sign_flips import flip_test, holm
from tests.definitions import average_precision, micro_f1


@pytest.fixture
def two() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return truth, probability of two models and cluster: 8 recordings of two clips, two species."""
    generator = np.random.default_rng(4)
    clusters = np.repeat(np.arange(8), 2)
    truth = (np.arange(16)[:, None] // 4) == np.array([0, 2])
    noise = generator.normal(size=(2, 16, 2))
    return truth, 1 / (1 + np.exp(-noise - truth * np.array([0.5, 1.8])[:, None, None])), clusters


def test_p_is_that_of_all_exchanges(two: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    """All 256 exchanges, made by hand on ranks or decisions and scored row by row."""
    truth, probability, clusters = two
    ranks = np.stack([rankdata(one, axis=0) for one in probability])
    decisions = np.stack([one >= np.quantile(one, 0.85) for one in probability])
    for name, values, metric in (
        ("score", decisions, balanced_accuracy),
        ("micro_f1", decisions, lambda *rows: np.array([micro_f1(*rows)])),
        ("auc", ranks, roc_auc),
        ("average_precision", ranks, average_precision),
    ):
        found = []
        for kept in itertools.product([True, False], repeat=8):
            is_kept = np.array(kept)[clusters][:, None]
            first, second = np.where(is_kept, *values), np.where(is_kept, *values[::-1])
            found.append(macro(metric(truth, second)) - macro(metric(truth, first)))
        exact = np.mean(np.abs(found) >= abs(found[0]) - 1e-9)
        test = flip_test(truth, probability[0], probability[1], clusters, name, num_flips=20_000)
        assert test.difference == pytest.approx(found[0], abs=1e-6)
        assert test.p == pytest.approx(exact, abs=0.015)
        assert 0 < exact < 1


def test_a_model_does_not_differ_from_itself(two: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, probability, clusters = two
    test = flip_test(truth, probability[0], probability[0], clusters, "auc", num_flips=100)
    assert (test.difference, test.p) == (0, 1)


def test_the_scale_of_probabilities_does_not_matter(two: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, probability, clusters = two
    other = np.stack([probability[0], probability[1] ** 5 / 100])
    for name in ("score", "auc", "average_precision"):
        tests = [flip_test(truth, p[0], p[1], clusters, name, num_flips=500) for p in (probability, other)]
        assert tests[0] == tests[1]


def test_exchanging_the_models_changes_the_sign_only(two: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    truth, probability, clusters = two
    one, other = (
        flip_test(truth, p[0], p[1], clusters, "top1", num_flips=500)
        for p in (probability, probability[::-1])
    )
    assert one.difference == pytest.approx(-other.difference)
    assert one.p == other.p


def test_p_is_never_zero() -> None:
    truth = np.eye(2, dtype=bool)[np.arange(200) % 2]
    probability = np.stack([np.where(truth, 0.4, 0.6), np.where(truth, 0.6, 0.4)])
    assert flip_test(
        truth, probability[0], probability[1], np.arange(200), "auc", num_flips=99
    ).p == pytest.approx(1 / 100)


def test_holm_by_hand() -> None:
    """Smallest times 3, next times 2, largest times 1, never falling, at most 1."""
    np.testing.assert_allclose(holm(np.array([0.04, 0.01, 0.03])), [0.06, 0.03, 0.06])
    np.testing.assert_allclose(holm(np.array([0.6, 0.7])), [1.0, 1.0])
