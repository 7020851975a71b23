"""Weighted by recording or row by row, with ties or without: the same numbers, and scikit-learn's."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, balanced_accuracy_score, roc_auc_score

from core.scoring.metrics import balanced_accuracy, roc_auc
from core.scoring.weighted_metrics import (
    DecisionMetric,
    MicroF1Metric,
    RankMetric,
    TopOneMetric,
    Truth,
    WeightedMetric,
)
from tests.definitions import average_precision, micro_f1, padded_average_precision, top_one

ROW_METRICS = {
    "auc": roc_auc,
    "average_precision": average_precision,
    "padded_average_precision": padded_average_precision,
}
Case = tuple[np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(params=[1, 8], ids=["ties", "distinct"])
def case(request: pytest.FixtureRequest) -> Case:
    """Return truth, probability (some exactly 1) and cluster of 300 rows of 4 species, 120 clusters."""
    generator = np.random.default_rng(0)
    clusters = np.concatenate([np.arange(120), generator.integers(0, 120, 180)])
    truth = generator.random((300, 4)) < 0.2
    truth[:, 3] = False
    truth[5, 3] = True
    probability = np.round(np.clip(generator.random((300, 4)) + 0.3 * truth, 0, 1), request.param)
    return truth, probability, clusters


def repeated(metric: Callable[..., Any], clusters: np.ndarray, weights: np.ndarray, *of: np.ndarray) -> Any:
    """Return a metric of rows repeated by the weights (cluster, resample) of their cluster."""
    rows = [np.repeat(np.arange(len(clusters)), column[clusters].astype(int)) for column in weights.T]
    return np.array([metric(*(one[chosen] for one in of)) for chosen in rows])


def test_ranks_decisions_and_top_one_equal_the_metrics_of_repeated_rows(case: Case) -> None:
    truth, probability, clusters = case
    weights, rows = (
        np.random.default_rng(1).integers(0, 4, (120, 9)).astype(np.float32),
        Truth(truth, clusters),
    )
    found = RankMetric(rows, probability).values(weights)
    for name, metric in ROW_METRICS.items():
        expected = repeated(metric, clusters, weights, truth, probability)
        np.testing.assert_allclose(found[name], expected, atol=1e-6)
    score = DecisionMetric(rows, probability > 0.5).values(weights)["score"]
    expected = repeated(balanced_accuracy, clusters, weights, truth, probability > 0.5)
    np.testing.assert_allclose(score, expected, atol=1e-12)
    found_f1 = MicroF1Metric(rows, probability > 0.5).values(weights)["micro_f1"][:, 0]
    expected = repeated(micro_f1, clusters, weights, truth, probability > 0.5)
    np.testing.assert_allclose(found_f1, expected, atol=1e-6)
    top1 = TopOneMetric(rows, probability).values(weights)["top1"][:, 0]
    np.testing.assert_allclose(top1, repeated(top_one, clusters, weights, truth, probability), atol=1e-12)


def test_a_large_set_equals_scikit_learn_within_a_millionth() -> None:
    """15,000 rows, weights that are no whole numbers: what float32 may cost at most."""
    generator = np.random.default_rng(2)
    truth = generator.random((15_000, 2)) < (0.001, 0.1)
    probability = 1 / (1 + np.exp(-generator.normal(size=truth.shape) - 2 * truth))
    weights = (generator.poisson(1, (15_000, 2)) * generator.uniform(1, 1.25, (15_000, 1))).astype(np.float32)
    rows = Truth(truth, np.arange(15_000))
    ranks = RankMetric(rows, probability).values(weights)
    score = DecisionMetric(rows, probability >= 0.6).values(weights)["score"]
    for species in range(2):
        for resample in range(2):
            of = truth[:, species], probability[:, species]
            weight = weights[:, resample].astype(float)
            area = roc_auc_score(*of, sample_weight=weight)
            assert ranks["auc"][resample, species] == pytest.approx(area, abs=1e-6)
            precision = average_precision_score(*of, sample_weight=weight)
            assert ranks["average_precision"][resample, species] == pytest.approx(precision, abs=1e-6)
            balanced = balanced_accuracy_score(of[0], of[1] >= 0.6, sample_weight=weight)
            assert score[resample, species] == pytest.approx(balanced, abs=1e-6)


def numerical(metric: WeightedMetric, name: str, number: int) -> np.ndarray:
    """Return the derivative by the weight of each cluster from differences, (cluster, species)."""
    step = 1e-2
    weights = np.ones((number, 2 * number), dtype=np.float32)
    weights[np.arange(number), np.arange(number)] += step
    weights[np.arange(number), number + np.arange(number)] -= step
    up, down = np.split(metric.values(weights)[name], 2)
    return np.asarray((up - down) / (2 * step))


def test_gradients_are_derivatives(case: Case) -> None:
    truth, probability, clusters = case
    rows = Truth(truth, clusters)
    for metric in (
        RankMetric(rows, probability),
        DecisionMetric(rows, probability > 0.5),
        MicroF1Metric(rows, probability > 0.5),
        TopOneMetric(rows, probability),
    ):
        for name, found in metric.gradients().items():
            np.testing.assert_allclose(found, numerical(metric, name, 120), atol=2e-5)


def test_area_by_hand() -> None:
    """Positive at .8 of weight 2 beats two of three negatives, the tie counts half: (1 + 1 + .5) / 3."""
    truth = np.array([[1], [0], [0], [0]], dtype=bool)
    probability = np.array([[0.8], [0.8], [0.5], [0.1]])
    weights = np.array([[2], [1], [1], [1]], dtype=np.float32)
    found = RankMetric(Truth(truth, np.arange(4)), probability).values(weights)
    assert found["auc"][0, 0] == pytest.approx(2.5 / 3)
    assert found["average_precision"][0, 0] == pytest.approx(2 / 3)
    # five rows of ones on top: (5 * 1 + 2 * 7 / 8) / 7
    assert found["padded_average_precision"][0, 0] == pytest.approx((5 + 2 * 7 / 8) / 7)


def test_species_without_positives_or_negatives_are_undefined() -> None:
    truth = np.array([[0, 1], [0, 1], [0, 1]], dtype=bool)
    probability = np.array([[0.2, 0.3], [0.1, 0.9], [0.7, 0.5]])
    metric = RankMetric(Truth(truth, np.arange(3)), probability)
    found = metric.values(np.ones((3, 1), dtype=np.float32))
    assert np.isnan(found["auc"]).all()
    assert np.isnan(found["average_precision"][0, 0])
    assert found["padded_average_precision"][0, 0] == pytest.approx(1.0)
    assert np.isnan(metric.gradients()["auc"]).all()
