"""Thresholds picked anew in every resample equal those of the rows repeated by hand."""

import numpy as np
import pytest

from core.scoring.metrics import balanced_accuracy, macro
from core.scoring.threshold_ladder import RepickedMetric, ThresholdLadder, middle_of_best
from core.scoring.weighted_metrics import DecisionMetric, Truth
from tests.definitions import micro_f1

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
    ladder = ThresholdLadder(Truth(truth, clusters), probability)
    found = ladder.quantile(weights, ladder.below(weights), share)
    expected = [np.quantile(probability[rows], share) for rows in repeated(weights, clusters)]
    np.testing.assert_allclose(found, expected, atol=1e-12)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.85, 1.0])
def test_decisions_are_those_of_the_threshold_of_the_very_resample(case: Case, share: float) -> None:
    truth, probability, clusters, weights = case
    metric = RepickedMetric(Truth(truth, clusters), probability, share, ("score", "micro_f1"))
    found = metric.values(weights)
    for i, rows in enumerate(repeated(weights, clusters)):
        decision = probability[rows] >= np.quantile(probability[rows], share)
        np.testing.assert_allclose(found["score"][i], balanced_accuracy(truth[rows], decision), atol=1e-6)
        np.testing.assert_allclose(found["micro_f1"][i], micro_f1(truth[rows], decision), atol=1e-6)
    assert metric.gradients()["micro_f1"].shape == (120, 1)


def test_no_threshold_scores_more_than_the_best_and_each_what_it_says(case: Case) -> None:
    truth, probability, clusters, weights = case
    ladder = ThresholdLadder(Truth(truth, clusters), probability)
    below = ladder.below(weights)
    scores = ladder.macro_scores(below)
    found_by = zip(ladder.best(below), scores, ladder.share_below(below), strict=True)
    for (best, found, lower), rows in zip(found_by, repeated(weights, clusters), strict=True):
        of = [macro(balanced_accuracy(truth[rows], probability[rows] >= t)) for t in ladder.thresholds]
        np.testing.assert_allclose(found, of, atol=1e-6)
        assert max(of) == pytest.approx(of[int(np.searchsorted(ladder.thresholds, best))], abs=2e-6)
        share = [(probability[rows] < threshold).mean() for threshold in ladder.thresholds]
        np.testing.assert_allclose(lower, share, atol=1e-6)


def test_gradients_of_the_macro_score_are_those_of_the_decisions(case: Case) -> None:
    truth, probability, clusters, _ = case
    ladder = ThresholdLadder(Truth(truth, clusters), probability)
    gradients = ladder.macro_gradients()
    for place in (0, len(ladder.thresholds) // 3, len(ladder.thresholds) - 1):
        decision = probability >= ladder.thresholds[place]
        expected = DecisionMetric(Truth(truth, clusters), decision).gradients()["score"].mean(axis=1)
        np.testing.assert_allclose(gradients[:, place], expected, atol=1e-9)


def test_of_equally_good_candidates_the_middle_one_is_best() -> None:
    scores = np.array([[0.1, 0.7, 0.7, 0.7, 0.2], [np.nan, 0.5, 0.4, np.nan, np.nan]])
    assert middle_of_best(scores).tolist() == [2, 1]
