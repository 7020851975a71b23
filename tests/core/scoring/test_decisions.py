"""Post-processing by hand."""

import numpy as np
import pytest

from core.scoring.decisions import DecisionConfig, adjust, calibrate, subtract_penalty, thresholds

PROBABILITY = np.array([[0.9, 0.2], [0.4, 0.3], [0.1, 0.8]])
COUNTS = np.array([30.0, 10.0])
FILE = np.array(["x", "x", "y"])


def test_the_penalty_is_the_share_of_recordings() -> None:
    np.testing.assert_allclose(subtract_penalty(PROBABILITY, COUNTS, 0.4), PROBABILITY - [0.3, 0.1])


def test_rare_species_rise_and_common_ones_fall() -> None:
    boosted = adjust(PROBABILITY, DecisionConfig(rare_boost=0.5), COUNTS, FILE)
    np.testing.assert_allclose(boosted / PROBABILITY, [[1.5**-0.5, 0.5**-0.5]] * 3)


def test_gates_need_and_use_the_probability_of_a_bird() -> None:
    bird = np.array([0.9, 0.1, 0.5])
    hard = adjust(PROBABILITY, DecisionConfig(gate="hard", gate_threshold=0.5), COUNTS, FILE, bird)
    assert hard[1].tolist() == [0, 0]
    assert hard[[0, 2]].tolist() == PROBABILITY[[0, 2]].tolist()
    soft = adjust(PROBABILITY, DecisionConfig(gate="soft", gate_power=2.0), COUNTS, FILE, bird)
    np.testing.assert_allclose(soft, PROBABILITY * bird[:, None] ** 2)


def test_a_species_that_is_sure_somewhere_is_likelier_in_the_whole_file() -> None:
    found = adjust(PROBABILITY, DecisionConfig(file_peak=0.5), COUNTS, FILE)
    peak = np.array([[0.9, 0.3], [0.9, 0.3], [0.1, 0.8]])
    np.testing.assert_allclose(found, PROBABILITY * np.sqrt(peak))
    with pytest.raises(ValueError, match=r"post.file_peak=-1: 0 or more"):
        DecisionConfig(file_peak=-1)


def test_the_quantile_is_pooled_over_windows_and_species() -> None:
    values = np.arange(100.0).reshape(50, 2) / 100
    found = thresholds(values, DecisionConfig(quantile=0.85), ["a", "b"])
    assert found.tolist() == [np.quantile(values, 0.85)] * 2
    assert (values >= found).mean() == pytest.approx(0.15)


def test_class_wise_thresholds_are_found_by_name() -> None:
    config = DecisionConfig(threshold="class_wise", class_wise={"b": 0.2, "a": 0.1})
    assert thresholds(PROBABILITY, config, ["a", "b"]).tolist() == [0.1, 0.2]
    with pytest.raises(ValueError, match="no threshold for c"):
        thresholds(PROBABILITY, config, ["a", "c"])


def test_calibration_comes_first_and_keeps_the_order() -> None:
    line = DecisionConfig(calibration="logistic", calibration_slope=0.5, calibration_shift=-1.0, penalty=0.4)
    logit = 0.5 * np.log(PROBABILITY / (1 - PROBABILITY)) - 1
    expected = subtract_penalty(1 / (1 + np.exp(-logit)), COUNTS, 0.4)
    np.testing.assert_allclose(adjust(PROBABILITY, line, COUNTS, FILE), expected)
    points = DecisionConfig(
        calibration="isotonic", calibration_points=(0.2, 0.8), calibration_values=(0.0, 0.5)
    )
    np.testing.assert_allclose(calibrate(np.array([0.1, 0.5, 0.9]), points), [0, 0.25, 0.5])
    for wrong in ({"calibration": "isotonic"}, {"calibration_slope": -1.0}):
        with pytest.raises(ValueError, match=r"post\.calibration"):
            DecisionConfig(**wrong)
