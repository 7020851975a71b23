"""Cells of which nobody said what is true count in no metric."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.config import ValidConfig
from core.scoring.comparison import compare_pairs
from core.scoring.decisions import DecisionConfig
from core.scoring.draws import draw_metrics
from core.scoring.evaluation import evaluate, format_table, point_metrics
from core.scoring.fitting import ThresholdRule, fit_threshold
from core.scoring.metrics import balanced_accuracy, balanced_accuracy_at, roc_auc
from core.scoring.predictions import Predictions, difference_of
from core.scoring.resampling import Resampler
from core.scoring.sign_flips import flip_test
from core.scoring.threshold_ladder import RepickedMetric
from core.scoring.weighted_metrics import Truth
from tests.definitions import average_precision, micro_f1, padded_average_precision

CONFIG = ValidConfig(num_resamples=100)


def rows_of(seed: int = 0, number: int = 60) -> Predictions:
    """Return windows of 20 soundscapes, 4 species, of which a third of the cells are unknown."""
    generator = np.random.default_rng(seed)
    truth = generator.random((number, 4)) < 0.4
    known = generator.random((number, 4)) < 0.67
    known[:, 0] |= ~known.any(axis=1)
    probability = 1 / (1 + np.exp(-generator.normal(size=truth.shape) - 1.5 * truth))
    names = np.array([f"site/{i // 3:02}" for i in range(number)])
    start = 5.0 * np.arange(number)
    return Predictions.of("abcd", probability, truth & known, names, known=known, start_seconds=start)


def test_every_metric_of_a_species_is_that_of_its_known_rows() -> None:
    rows = rows_of()
    drawn = draw_metrics(rows.truth, rows.probability, rows.resampler(num_resamples=100), known=rows.known)
    threshold = np.quantile(rows.probability[rows.known], 0.85)
    for column in range(4):
        known = rows.known[:, column]
        truth, values = rows.truth[known][:, [column]], rows.probability[known][:, [column]]
        expected = {
            "score": balanced_accuracy(truth, values >= threshold),
            "auc": roc_auc(truth, values),
            "average_precision": average_precision(truth, values),
            "padded_average_precision": padded_average_precision(truth, values),
        }
        for name, value in expected.items():
            assert drawn[name].values[column] == pytest.approx(value[0], abs=1e-6), name


def test_metrics_of_rows_leave_out_what_is_unknown() -> None:
    rows = rows_of()
    found = point_metrics(rows, CONFIG)
    decision = (rows.probability >= np.quantile(rows.probability[rows.known], 0.85)) & rows.known
    assert found["micro_f1"] == pytest.approx(micro_f1(rows.truth, decision), abs=1e-6)
    best = np.where(rows.known, rows.probability, -1).argmax(axis=1)
    heard = rows.truth.any(axis=1)
    hit = rows.truth[np.arange(len(rows)), best][heard].mean()
    assert found["top1"] == pytest.approx(hit, abs=1e-6)
    scored = evaluate(rows, CONFIG)
    for name, value in found.items():
        assert scored.metrics[name].value == pytest.approx(value, abs=1e-6)


@pytest.mark.parametrize("change", [0.0, 1.0])
def test_what_is_said_of_the_unknown_moves_nothing(change: float) -> None:
    rows = rows_of()
    other = replace(rows, probability=np.where(rows.known, rows.probability, change))
    one, two = evaluate(rows, CONFIG), evaluate(other, CONFIG)
    assert one.metrics == two.metrics
    pd.testing.assert_frame_equal(one.per_species, two.per_species)
    assert (one.threshold, one.best) == (two.threshold, two.best)
    rival, ignorant = rows_of(1).probability, np.where(rows.known, rows_of(1).probability, change)
    for name in ("score", "micro_f1", "top1"):
        tests = [
            flip_test(rows.truth, first, second, np.arange(60) // 3, name, num_flips=100, known=rows.known)
            for first, second in ((rows.probability, rival), (other.probability, ignorant))
        ]
        assert tests[0] == tests[1], name


def test_the_flip_test_tells_the_difference_of_known_rows() -> None:
    rows, rival = rows_of(), rows_of(1).probability
    found = flip_test(
        rows.truth, rows.probability, rival, np.arange(60) // 3, "auc", num_flips=50, known=rows.known
    )
    values = [point_metrics(replace(rows, probability=one), CONFIG) for one in (rows.probability, rival)]
    assert found.difference == pytest.approx(values[1]["macro_auc"] - values[0]["macro_auc"], abs=1e-6)


def test_repeated_rows_are_repeated_without_their_unknown_cells() -> None:
    rows, clusters = rows_of(number=12), np.arange(12) // 3
    weights = np.array([[2], [0], [1], [3]], dtype=np.float32)
    names = ("score", "micro_f1")
    metric = RepickedMetric(Truth(rows.truth, clusters, rows.known), rows.probability, 0.7, names)
    repeated = rows.rows(np.repeat(np.arange(12), weights[clusters, 0].astype(int)))
    truth = Truth(repeated.truth, np.arange(len(repeated)), repeated.known)
    again = RepickedMetric(truth, repeated.probability, 0.7, names)
    once = np.ones((len(repeated), 1), dtype=np.float32)
    decision = repeated.probability >= np.quantile(repeated.probability[repeated.known], 0.7)
    expected = micro_f1(repeated.truth, decision & repeated.known)
    found, plain = metric.values(weights), again.values(once)
    for name in ("score", "micro_f1"):
        np.testing.assert_allclose(found[name], plain[name], atol=1e-6)
    assert found["micro_f1"][0, 0] == pytest.approx(expected, abs=1e-6)


def test_gradients_are_those_of_leaving_soundscapes_out() -> None:
    rows = rows_of(number=300)
    clusters = np.arange(300) // 3
    resampler = Resampler(clusters, np.zeros(300), 100)
    drawn = draw_metrics(
        rows.truth, rows.probability, resampler, ("auc", "average_precision", "score", "micro_f1", "top1"),
        repicked=False, known=rows.known,
    )  # fmt: skip
    threshold = np.quantile(rows.probability[rows.known], 0.85)
    left = rows.rows(clusters != 7)
    expected = roc_auc(left.truth[left.known[:, 0]][:, [0]], left.probability[left.known[:, 0]][:, [0]])[0]
    change = drawn["auc"].values[0] - expected
    assert drawn["auc"].gradient[7, 0] == pytest.approx(change, abs=2e-4)
    known = left.known[:, 1]
    decided = left.probability[known][:, [1]] >= threshold
    change = drawn["score"].values[1] - balanced_accuracy(left.truth[known][:, [1]], decided)[0]
    assert drawn["score"].gradient[7, 1] == pytest.approx(change, abs=2e-4)


def test_a_species_without_a_known_negative_is_named() -> None:
    rows = rows_of()
    rows = replace(rows, known=rows.known & ~(~rows.truth & (np.arange(4) == 2)))
    found = evaluate(rows, CONFIG)
    assert found.left_out == ["c"]
    assert "1 without a negative clip left out of every macro mean but padded cmAP: c" in format_table(
        found, "x", CONFIG
    )


@pytest.mark.parametrize("rule", ["quantile", "fixed"])
def test_fitted_thresholds_do_not_hear_the_unknown(rule: ThresholdRule) -> None:
    rows = rows_of()
    other = replace(rows, probability=np.where(rows.known, rows.probability, 0.99))
    fitted, again = (fit_threshold(rule, one, DecisionConfig(), 0.0) for one in (rows, other))
    assert fitted == again
    assert fit_threshold(rule, replace(rows, known=np.ones_like(rows.known)), DecisionConfig(), 0.0) != fitted


def test_scores_at_thresholds_are_those_of_known_rows() -> None:
    rows, grid = rows_of(), np.linspace(0.05, 0.95, 7)
    scores = balanced_accuracy_at(rows.truth, rows.probability, grid, rows.known)
    for column in range(4):
        known = rows.known[:, column]
        truth, probability = (one[known][:, [column]] for one in (rows.truth, rows.probability))
        np.testing.assert_allclose(scores[:, [column]], balanced_accuracy_at(truth, probability, grid))


def test_unknown_is_null_in_the_table_and_comes_back(tmp_path: Path) -> None:
    rows = replace(rows_of(), site=np.full(60, "S1"), start_time=np.full(60, "2025-06-01T05:00:00"))
    rows.to_table().to_parquet(tmp_path / "x.parquet")
    stored = pd.read_parquet(tmp_path / "x.parquet")
    assert stored["truth:a"].isna().sum() == (~rows.known[:, 0]).sum()
    again = Predictions.read(tmp_path / "x.parquet")
    for name in ("truth", "known", "recording", "site", "start_time", "start_seconds"):
        np.testing.assert_array_equal(getattr(again, name), getattr(rows, name))
    assert difference_of(rows, again) is None
    known = again.known.copy()
    known[0] = ~known[0] | again.truth[0]
    told = replace(again, known=known)
    assert "other labels: 1 clip" in str(difference_of(rows, told))
    with pytest.raises(ValueError, match="other labels"):
        compare_pairs([rows, told], "macro_auc")


def test_sites_and_days_are_units() -> None:
    rows = replace(
        rows_of(number=6),
        recording=np.array(list("abcdef")),
        site=np.array(["S1", "S1", "S1", "S2", "", ""]),
        start_time=np.array(
            ["2025-06-01T05:00:00", "2025-06-01T09:00:00+10:00", "2025-06-02", "2025-06-01", "2025-06-01", ""]
        ),
    )
    assert rows.exchanged_units("site").tolist() == ["S1", "S1", "S1", "S2", "e", "f"]
    assert rows.exchanged_units("day").tolist() == [
        "S1 2025-06-01", "S1 2025-06-01", "S1 2025-06-02", "S2 2025-06-01", "e", "f",
    ]  # fmt: skip
    assert rows.resampler("site").num_clusters == 4
    assert rows.resampler("day").num_clusters == 5
    assert rows.resampler("day").unit == "days at a site"
