"""Curves of the score agree with the metric itself; calibration finds what was planted."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from core.scoring.metrics import balanced_accuracy, macro
from core.scoring.resampling import Resampler
from core.scoring.score_curves import (
    QUANTILES,
    candidates_of,
    middle_of_best,
    position_of_quantile,
    reliability,
    score_by_quantile,
    score_by_threshold,
    scores_at,
    scores_at_quantile,
)
from core.training.pictures import draw_reliability, draw_score_by_threshold


def rows(number: int = 120, species: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probability = generator.beta(1, 3, (number, species))
    return generator.random((number, species)) < probability, probability


def resampler(number: int, resamples: int = 300) -> Resampler:
    return Resampler(np.arange(number) // 2, np.zeros(number), resamples)


def test_scores_at_thresholds_are_those_of_the_metric_for_every_weighting() -> None:
    truth, probability = rows()
    truth[:, 2] = False
    weights = np.random.default_rng(1).integers(0, 3, (4, len(truth))).astype(float)
    thresholds = np.array([0.0, 0.2, probability[5, 0], 0.7, 1.1])
    score, below = scores_at(truth, probability, np.sort(thresholds), weights)
    for place, threshold in enumerate(np.sort(thresholds)):
        expected = balanced_accuracy(truth, probability >= threshold, weights)
        np.testing.assert_allclose(score[:, place], expected)
        share = (weights @ (probability < threshold)).mean(axis=1) / weights.sum(axis=1)
        np.testing.assert_allclose(below[:, place], share)
    assert np.isnan(score[:, :, 2]).all()


def test_the_curve_over_quantiles_decides_as_the_quantile_of_all_values_does() -> None:
    truth, probability = rows()
    curve = score_by_quantile(truth, probability, resampler(len(truth)))
    for quantile, score in zip(QUANTILES, curve.score, strict=True):
        decided = probability >= np.quantile(probability, quantile)
        assert score == pytest.approx(macro(balanced_accuracy(truth, decided))[0])
    repeated = np.repeat(probability, 2, axis=0)
    candidates = candidates_of(probability)
    doubled = scores_at(truth, probability, candidates, np.full((1, len(truth)), 2.0))[1]
    place = position_of_quantile(doubled, 0.85, repeated.size)[0]
    assert candidates[place] == candidates[candidates >= np.quantile(repeated, 0.85)][0]


def test_a_weighted_quantile_is_that_of_repeated_rows() -> None:
    truth, probability = rows(40)
    times = np.random.default_rng(2).integers(0, 4, 40)
    found = scores_at_quantile(truth, probability, 0.8, times[None].astype(float))[0]
    truth, probability = np.repeat(truth, times, axis=0), np.repeat(probability, times, axis=0)
    expected = balanced_accuracy(truth, probability >= np.quantile(probability, 0.8))[0]
    np.testing.assert_allclose(found, expected)


def test_the_best_threshold_is_found_and_the_band_holds_the_curve() -> None:
    generator = np.random.default_rng(3)
    truth = np.arange(400)[:, None] % 4 == 0
    probability = np.where(truth, generator.uniform(0.3, 0.9, (400, 1)), generator.uniform(0, 0.3, (400, 1)))
    curve = score_by_threshold(truth, probability, resampler(400))
    assert curve.score.max() == 1
    assert curve.best.low <= curve.best.value <= curve.best.high
    assert curve.best.low > 0.25
    assert curve.best.high < 0.4
    assert (curve.low <= curve.score + 1e-12).all()
    assert (curve.score <= curve.high + 1e-12).all()
    assert ((curve.high - curve.low) > 0).mean() > 0.9


def test_many_values_are_tried_at_their_quantiles() -> None:
    truth, probability = rows(2000, 2)
    curve = score_by_threshold(truth, probability, resampler(2000, 20))
    assert 500 < len(curve.positions) <= 600
    decided = probability >= curve.positions[300]
    assert curve.score[300] == pytest.approx(macro(balanced_accuracy(truth, decided))[0])


def test_of_equally_good_candidates_the_middle_one_is_best() -> None:
    scores = np.array([[0.1, 0.7, 0.7, 0.7, 0.2], [np.nan, 0.5, 0.4, np.nan, np.nan]])
    assert middle_of_best(scores).tolist() == [2, 1]


def test_reliability_by_hand() -> None:
    probability = np.array([[0.2], [0.2], [0.2], [0.2], [0.6], [0.6], [0.6], [0.6]])
    truth = np.array([[1], [0], [0], [0], [1], [1], [1], [0]], dtype=bool)
    found = reliability(truth, probability, Resampler(np.arange(8), np.zeros(8), 200), bins=2)
    np.testing.assert_allclose(found.predicted, [0.2, 0.6])
    np.testing.assert_allclose(found.observed, [0.25, 0.75])
    assert found.count.tolist() == [4, 4]
    assert found.raw_error == pytest.approx((0.05 * 4 + 0.15 * 4) / 8)
    assert found.brier.value == pytest.approx((0.64 + 3 * 0.04 + 3 * 0.16 + 0.36) / 8)
    assert (found.low <= found.observed).all()
    assert (found.observed <= found.high).all()


def test_a_calibrated_network_has_no_calibration_error_and_an_overconfident_one_has() -> None:
    truth, probability = rows(1500, 3)
    sampler = resampler(1500)
    calibrated = reliability(truth, probability, sampler)
    assert calibrated.error.low < 0.002
    assert calibrated.error.value < 0.75 * calibrated.raw_error
    assert (
        (calibrated.low <= calibrated.predicted) & (calibrated.predicted <= calibrated.high)
    ).mean() >= 0.8
    logit = np.log(probability / (1 - probability))
    overconfident = reliability(truth, 1 / (1 + np.exp(-3 * logit)), sampler)
    assert overconfident.error.low > 0.05
    assert overconfident.brier.low > calibrated.brier.value


def legend(axes: Axes) -> list[str]:
    found = axes.get_legend()
    assert found is not None
    return [text.get_text() for text in found.get_texts()]


def test_the_figures_hold_curve_marks_and_labels() -> None:
    truth, probability = rows()
    sampler = resampler(len(truth))
    curve = score_by_quantile(truth, probability, sampler)
    axes = draw_score_by_threshold(curve, decided=0.85, title="timm").axes[0]
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), curve.score)
    words = legend(axes)
    assert "decided at 0.85" in words
    assert f"best here, {curve.best.value:.3g}" in words
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("quantile of all probabilities", "2022 score")
    found = {
        "before": reliability(truth, probability, sampler),
        "after": reliability(truth, truth.astype(float), sampler),
    }
    axes = draw_reliability(found).axes[0]
    assert len(axes.containers) == 2
    words = legend(axes)
    assert f"before\ncalibration error {found['before'].error}" in "\n".join(words)
    assert axes.get_xlabel() == "mean probability of a bin"
