"""Thresholds picked anew in every resample equal those of the rows repeated by hand."""

import numpy as np
import pytest

from core.scoring.metrics import balanced_accuracy, macro
from core.scoring.threshold_ladder import RepickedMetric, ThresholdLadder

Case = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(params=[2, 8], ids=["ties", "distinct"])
def case(request: pytest.FixtureRequest) -> Case:
    """Return truth, probability, cluster of 300 rows of 4 species, and 40 weightings of 120 clusters."""
    generator = np.random.default_rng(0)
    clusters = np.concatenate([np.arange(120), generator.integers(0, 120, 180)])
    truth = generator.random((300, 4)) < 0.2
    probability = np.round(np.clip(generator.random((300, 4)) + 0.3 * truth, 0, 1), request.param)
    return truth, probability, clusters, generator.integers(0, 4, (120, 40)).astype(np.float32)


def repeated(weights: np.ndarray, clusters: np.ndarray) -> list[np.ndarray]:
    """Return the row numbers of every resample, each as often as it weighs."""
    return [np.repeat(np.arange(len(clusters)), column[clusters].astype(int)) for column in weights.T]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.85, 1.0])
def test_quantile_is_numpys_on_the_repeated_rows(case: Case, share: float) -> None:
    truth, probability, clusters, weights = case
    ladder = ThresholdLadder(truth, probability, clusters)
    found = ladder.quantile(weights, ladder.below(weights), share)
    expected = [np.quantile(probability[rows], share) for rows in repeated(weights, clusters)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


def test_score_is_that_of_the_threshold_of_the_very_resample(case: Case) -> None:
    truth, probability, clusters, weights = case
    found = RepickedMetric(truth, probability, clusters, 0.85).values(weights)["score"]
    for score, rows in zip(found, repeated(weights, clusters), strict=True):
        decision = probability[rows] >= np.quantile(probability[rows], 0.85)
        np.testing.assert_allclose(score, balanced_accuracy(truth[rows], decision)[0], atol=1e-6)


def test_best_threshold_scores_what_it_says_and_no_candidate_more(case: Case) -> None:
    truth, probability, clusters, weights = case
    ladder = ThresholdLadder(truth, probability, clusters)
    thresholds, scores = ladder.best(ladder.below(weights))
    tried = ladder.sorted[ladder.candidates]
    for threshold, score, rows in zip(thresholds, scores, repeated(weights, clusters), strict=True):
        of = [macro(balanced_accuracy(truth[rows], probability[rows] >= t))[0] for t in (threshold, *tried)]
        assert score == pytest.approx(of[0], abs=1e-6)
        assert max(of) <= score + 1e-6


def test_thresholds_can_score_other_rows_than_those_that_picked_them(case: Case) -> None:
    truth, probability, clusters, weights = case
    ladder = ThresholdLadder(truth, probability, clusters)
    left_out = (weights == 0).astype(np.float32)
    thresholds, _ = ladder.best(ladder.below(weights))
    found = ladder.score_at(thresholds, left_out, ladder.below(left_out))
    for score, threshold, rows in zip(found, thresholds, repeated(left_out, clusters), strict=True):
        expected = balanced_accuracy(truth[rows], probability[rows] >= threshold)[0]
        np.testing.assert_allclose(score, expected, atol=1e-6)
