"""Curves of the score agree with the metric itself; calibration finds what was planted."""

import numpy as np
import pytest
from matplotlib.axes import Axes

from core.scoring.metrics import balanced_accuracy, macro
from core.scoring.pictures import draw_reliability, draw_score_by_threshold
from core.scoring.reliability import reliability
from core.scoring.resampling import Resampler
from core.scoring.score_curves import QUANTILES, score_curve


def rows(number: int = 120, species: int = 3, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    probability = generator.beta(1, 3, (number, species))
    return generator.random((number, species)) < probability, probability


def resampler(number: int, resamples: int = 300) -> Resampler:
    return Resampler(np.arange(number) // 2, np.zeros(number), resamples)


def test_the_curve_over_quantiles_decides_as_the_quantile_of_all_values_does() -> None:
    truth, probability = rows()
    curve = score_curve("quantile", truth, probability, resampler(len(truth)))
    for quantile, score in zip(QUANTILES, curve.score, strict=True):
        decided = probability >= np.quantile(probability, quantile, method="inverted_cdf")
        near = [
            macro(balanced_accuracy(truth, probability >= np.quantile(probability, q)))
            for q in (quantile - 0.003, quantile, quantile + 0.003)
        ] + [macro(balanced_accuracy(truth, decided))]
        assert min(near) - 1e-6 <= score <= max(near) + 1e-6


def test_the_best_threshold_is_found_and_the_band_holds_the_curve() -> None:
    generator = np.random.default_rng(3)
    truth = np.arange(400)[:, None] % 4 == 0
    probability = np.where(truth, generator.uniform(0.3, 0.9, (400, 1)), generator.uniform(0, 0.3, (400, 1)))
    curve = score_curve("threshold", truth, probability, resampler(400))
    assert curve.score.max() == 1
    assert curve.best.low <= curve.best.value <= curve.best.high
    assert curve.best.low > 0.25
    assert curve.best.high < 0.4
    assert (curve.low <= curve.score + 1e-12).all()
    assert (curve.score <= curve.high + 1e-12).all()
    assert ((curve.high - curve.low) > 0).mean() > 0.9


def test_many_values_are_told_apart_by_some_hundred_thresholds() -> None:
    truth, probability = rows(2000, 2)
    curve = score_curve("threshold", truth, probability, resampler(2000, 20))
    assert 200 < len(curve.positions) <= 600
    decided = probability >= curve.positions[150]
    assert curve.score[150] == pytest.approx(macro(balanced_accuracy(truth, decided)))


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
    assert calibrated.error.low == 0
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
    curve = score_curve("quantile", truth, probability, sampler)
    (axes,) = draw_score_by_threshold(curve, decided=0.85, title="timm").axes
    np.testing.assert_allclose(np.asarray(axes.lines[0].get_ydata()), curve.score)
    words = legend(axes)
    assert "decided at 0.85" in words
    assert f"best here, {curve.best.value:.3g}" in words
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("quantile of all probabilities", "2022 score")
    found = {
        "before": reliability(truth, probability, sampler),
        "after": reliability(truth, np.where(truth, 0.9, probability / 10), sampler),
    }
    axes = draw_reliability(found).axes[0]
    shares = [line for line in axes.lines if line.get_gid() in found]
    assert len(shares) == 2
    hollow = [line for line in axes.lines if line.get_markerfacecolor() == "white"]
    alike = [one.predicted[np.isnan(one.low)] for one in found.values()]  # all of a bin are false, or true
    drawn = np.concatenate([np.asarray(line.get_xdata()) for line in hollow])
    np.testing.assert_array_equal(drawn, np.concatenate(alike))
    assert len(alike[1]) > 0
    words = legend(axes)
    assert f"before: calibration error {found['before'].error}" in "\n".join(words)
    assert axes.get_xlabel() == "mean probability of a bin"
