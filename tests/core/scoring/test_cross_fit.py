"""Fitted settings are judged on recordings that did not fit them."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.scoring.cross_fit import CrossFittedScore, Part, Rule, cross_fit, parts_of
from core.scoring.decisions import DecisionConfig, calibrate, read_tuned
from core.scoring.draws import draw_metrics
from core.scoring.fitting import (
    CALIBRATIONS,
    FitConfig,
    ThresholdRule,
    decide_rows,
    decision_score,
    fit_calibration,
    fit_decision,
    fit_threshold,
)
from core.scoring.judging import (
    JudgedRule,
    judge_calibrations,
    judge_rules,
    shares_of_wins,
    simultaneous_bounds,
    write_tuned,
)
from core.scoring.metrics import balanced_accuracy, macro
from core.scoring.predictions import Predictions

PLAIN = FitConfig(penalties=(0.0,), rare_boosts=(0.0,))
UNTUNED = Rule("untuned", lambda _: DecisionConfig())


def invent(scales: list[float], *, signal: float, recordings: int = 120, seed: int = 0) -> Predictions:
    """Return two rows a recording; species' probabilities lie on scales of their own."""
    generator = np.random.default_rng(seed)
    number, species = 2 * recordings, len(scales)
    truth = generator.random((number, species)) < 0.15
    value = generator.normal(signal * truth, 1.0)
    probability = 1 / (1 + np.exp(-value)) * np.array(scales)
    recording = np.repeat([f"r{i}" for i in range(recordings)], 2)
    counts = np.tile(np.arange(1, species + 1, dtype=float), (number, 1))
    return Predictions.of([f"s{i}" for i in range(species)], probability, truth, recording, counts=counts)


def fitting(*rules: ThresholdRule, config: FitConfig = PLAIN) -> Rule:
    return Rule(" or ".join(rules), lambda rows: fit_decision(rules, rows, config))


def partitions(rows: Predictions, number: int = 1) -> list[list[Part]]:
    return [parts_of(rows, 5, seed) for seed in range(number)]


def judge(rows: Predictions, *rules: Rule, number: int = 1, resamples: int = 500) -> list[JudgedRule]:
    return judge_rules(
        rows, [UNTUNED, *rules], partitions(rows, number), rows.resampler(num_resamples=resamples)
    )[1:]


def test_noise_looks_good_only_where_it_was_fitted() -> None:
    rows = invent([1.0] * 8, signal=0.0)
    (found,) = judge(rows, fitting("class_wise", config=replace(PLAIN, shrinkage=0.0)))
    assert found.in_sample > 0.54
    assert found.score.low < 0.5 < found.score.high
    assert found.optimism > 0.03


def test_class_wise_thresholds_win_where_species_have_scales_of_their_own() -> None:
    rows = invent([1.0, 0.1, 0.4, 0.02], signal=2.0)
    class_wise, fixed, best = judge(
        rows, fitting("class_wise"), fitting("fixed"), fitting("quantile", "fixed", "class_wise")
    )
    assert class_wise.score.low > fixed.score.value
    assert class_wise.difference.low > 0
    assert best.config.threshold == "class_wise"
    assert best.score.value == pytest.approx(class_wise.score.value, abs=0.02)


def test_the_untuned_rule_has_the_interval_of_the_score_itself() -> None:
    rows = invent([1.0, 0.3], signal=1.0)
    resampler = rows.resampler(num_resamples=300)
    untuned = judge_rules(rows, [UNTUNED], partitions(rows, 3), resampler)[0]
    drawn = draw_metrics(rows.truth, rows.probability, resampler, ["score"])["score"]
    assert str(untuned.score) == str(drawn.mean().interval())
    np.testing.assert_allclose(untuned.draws.drawn, drawn.drawn, atol=1e-12)


def test_a_cross_fitted_quantile_is_picked_anew_for_every_weighting() -> None:
    """Each part by its own quantile of all repeated rows."""
    rows = invent([1.0, 0.5, 0.2], signal=1.0, recordings=40)
    halves = [np.arange(0, 40), np.arange(40, 80)]
    configs = [DecisionConfig(quantile=0.7, penalty=0.2), DecisionConfig(quantile=0.9)]
    clusters = np.repeat(np.arange(40), 2)
    metric = CrossFittedScore(rows, list(zip(halves, configs, strict=True)), clusters)
    weights = np.random.default_rng(0).integers(0, 3, (40, 6)).astype(np.float32)
    for found, column in zip(metric.values(weights)["score"], weights.T, strict=True):
        chosen = np.repeat(np.arange(80), column[clusters].astype(int))
        repeated = rows.rows(chosen)
        decided = np.where((chosen < 40)[:, None], *(decide_rows(repeated, config) for config in configs))
        np.testing.assert_allclose(found, balanced_accuracy(repeated.truth, decided), atol=1e-6)


def test_the_luck_of_a_partition_is_in_the_interval() -> None:
    rows = invent([1.0, 1.0], signal=0.5, recordings=40)
    rule = fitting("class_wise", config=replace(PLAIN, shrinkage=0.0))
    (one,) = judge(rows, rule, number=3)
    assert len(set(one.partitions)) > 1
    assert one.score.value == pytest.approx(one.partitions.mean())
    metrics = cross_fit(rule, rows, partitions(rows, 3), np.unique(rows.recording, return_inverse=True)[1])
    np.testing.assert_allclose([metric.score for metric in metrics], one.partitions)


def test_a_penalty_is_found_where_common_species_are_called_too_often() -> None:
    rows = invent([1.0, 1.0, 1.0], signal=2.5)
    rows = replace(rows, counts=np.tile([5.0, 5.0, 490.0], (len(rows), 1)))
    rows.probability[:, 2] += 0.35
    free = replace(PLAIN, penalties=(0.0, 0.4))
    assert fit_decision(["quantile"], rows, free).penalty == 0.4
    assert fit_decision(["untuned"], rows, free) == DecisionConfig(penalty=0.4)
    with_penalty, without = judge(rows, fitting("quantile", config=free), fitting("quantile"))
    assert with_penalty.score.value > without.score.value + 0.02
    assert judge(rows, fitting("untuned", config=free))[0].difference.low > 0


def test_shrinkage_draws_rare_species_to_the_common_threshold() -> None:
    rows = invent([1.0, 0.1], signal=2.0)
    truth = rows.truth.copy()
    truth[np.flatnonzero(truth[:, 1])[2:], 1] = False  # two positives are left
    fitted = replace(rows, truth=truth)
    common = fit_threshold("fixed", fitted, DecisionConfig(), 0.0).fixed

    def class_wise(one: Predictions, shrinkage: float) -> list[float]:
        return list(fit_threshold("class_wise", one, DecisionConfig(), shrinkage).class_wise.values())

    free, shrunk = (class_wise(fitted, strength) for strength in (0.0, 10.0))
    assert abs(shrunk[1] - common) < abs(free[1] - common) / 4
    assert abs(shrunk[0] - common) > abs(free[0] - common) / 4
    truth[:, 1] = False
    common = fit_threshold("fixed", fitted, DecisionConfig(), 0.0).fixed
    assert class_wise(fitted, 10.0)[1] == common


def test_recordings_and_authors_stay_whole_and_parts_cover_every_row_once() -> None:
    rows = invent([1.0], signal=1.0, recordings=17)
    rows = replace(rows, author=np.array([f"a{int(name[1:]) // 2}" for name in rows.recording]))
    for by in ("recording", "author"):
        held = np.zeros(len(rows))
        for others, part in parts_of(rows, 5, 0, by):
            units = rows.exchanged_units(by)
            assert not set(units[others]) & set(units[part])
            held[part] += 1
        assert (held == 1).all()
    with pytest.raises(ValueError, match="splits=5: there are only 3 recordings"):
        parts_of(invent([1.0], signal=1.0, recordings=3), 5, 0)


@pytest.mark.parametrize("rule", ["quantile", "fixed", "class_wise"])
def test_held_out_truth_has_no_say_in_how_it_is_decided(rule: ThresholdRule) -> None:
    rows = invent([1.0, 0.2], signal=2.0)
    parts = parts_of(rows, 5, 0)
    changed = replace(rows, truth=rows.truth.copy())
    changed.truth[parts[0][1]] ^= True
    config = FitConfig(penalties=(0.0, 0.4), rare_boosts=(0.0, 0.5), calibration="Platt")
    before, after = (
        cross_fit(fitting(rule, config=config), one, [parts], np.arange(len(rows)))[0].decision[parts[0][1]]
        for one in (rows, changed)
    )
    np.testing.assert_array_equal(before, after)


def test_counts_are_those_of_the_network_that_judged_a_row() -> None:
    rows = invent([1.0, 1.0], signal=2.0)
    counts = np.where(np.arange(len(rows))[:, None] % 4 < 2, [9.0, 1.0], [1.0, 9.0])
    own = replace(rows, counts=counts)
    config = DecisionConfig(penalty=0.4, rare_boost=0.5, threshold="fixed", fixed=0.2)
    for kind in (0, 2):
        chosen = np.flatnonzero(np.arange(len(rows)) % 4 // 2 * 2 == kind)
        alike = replace(rows, counts=np.tile(counts[kind], (len(rows), 1))).rows(chosen)
        np.testing.assert_array_equal(decide_rows(own, config)[chosen], decide_rows(alike, config))


def test_the_quantile_rule_depends_on_the_rows_it_decides() -> None:
    rows = invent([1.0], signal=3.0)
    config = fit_threshold("quantile", rows, DecisionConfig(), 0.0)
    assert 0.7 < config.quantile < 0.95
    assert decision_score(rows, config) > decision_score(rows, replace(config, quantile=0.5))
    best = fit_threshold("fixed", rows, DecisionConfig(), 0.0)
    others = [macro(balanced_accuracy(rows.truth, rows.probability >= t)) for t in np.linspace(0, 1, 60)]
    assert decision_score(rows, best) >= max(others) - 0.01


def test_bounds_for_all_at_once_are_lower_than_each_by_itself() -> None:
    drawn = np.random.default_rng(0).normal(0, 1, (20, 4000))
    together, alone = simultaneous_bounds(np.zeros(20), drawn), simultaneous_bounds(np.zeros(1), drawn[:1])
    assert alone[0] == pytest.approx(-1.645, abs=0.1)
    assert together.max() < -2.5, "the largest of 20 normal deviations"
    assert simultaneous_bounds(np.array([0.3]), np.full((1, 50), 0.3))[0] == 0.3
    assert shares_of_wins(np.array([[1.0, 2.0, 0.0], [1.0, 3.0, 1.0]])).tolist() == [0.5 / 3, 2.5 / 3]


def miscalibrated(temperature: float) -> Predictions:
    generator = np.random.default_rng(5)
    logit = generator.normal(-1, 2, (600, 3))
    truth = generator.random((600, 3)) < 1 / (1 + np.exp(-logit))
    probability = 1 / (1 + np.exp(-temperature * logit))
    return Predictions.of("abc", probability, truth, np.array([f"r{i}" for i in range(600)]))


def test_a_planted_temperature_is_recovered_by_every_method() -> None:
    rows = miscalibrated(3.0)
    fitted = fit_calibration("temperature", rows)
    assert 1 / fitted.calibration_slope == pytest.approx(3, rel=0.12)
    assert calibrate(np.array([0.5]), fitted)[0] == pytest.approx(0.5)
    found = judge_calibrations(rows, CALIBRATIONS, partitions(rows, 2), rows.resampler(num_resamples=200))
    assert [one.name for one in found] == ["temperature", "Platt", "isotonic"]
    for one in found:
        assert one.gain.high < 0
        assert one.reliability.error.value < 0.05


def test_a_calibration_is_judged_on_recordings_that_did_not_fit_it() -> None:
    rows = miscalibrated(1.0)
    rows = replace(rows, truth=np.random.default_rng(0).permutation(rows.truth))
    (found,) = judge_calibrations(rows, ["isotonic"], partitions(rows), rows.resampler(num_resamples=100))
    assert found.optimism > 0.001, "a curve fitted to noise looks better on it"


def test_what_was_fitted_is_read_as_it_was_written(tmp_path: Path) -> None:
    rows = invent([1.0, 0.2], signal=2.0)
    for calibration in ("off", *CALIBRATIONS):
        rule = fitting("class_wise", config=replace(PLAIN, calibration=calibration))
        judged = judge_rules(rows, [UNTUNED, rule], partitions(rows), rows.resampler(num_resamples=100))
        write_tuned(tmp_path / "tuned.json", judged[1], judged[0], rows, {})
        assert read_tuned(tmp_path / "tuned.json") == judged[1].config
    (tmp_path / "other.json").write_text('{"x": 1}')
    with pytest.raises(ValueError, match=r"other\.json: no post; name what .* wrote"):
        read_tuned(tmp_path / "other.json")
