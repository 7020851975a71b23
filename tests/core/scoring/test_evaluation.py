"""The table at a run's end: every metric with its interval, and which species are in none of them."""

import numpy as np
import pytest

from core.config import ValidConfig
from core.scoring.evaluation import evaluate, format_table, point_metrics
from core.scoring.metrics import macro, roc_auc
from core.scoring.predictions import Predictions
from tests.definitions import average_precision, micro_f1, padded_average_precision

CONFIG = ValidConfig(num_resamples=100)


def predictions() -> Predictions:
    """Return two clips of each of 60 recordings: three species sing, two never do, one always."""
    primary = np.repeat([0, 1, 2], 40)
    truth = np.column_stack([primary[:, None] == np.arange(3), np.zeros((120, 2)), np.ones(120)]) > 0
    noise = np.random.default_rng(0).normal(size=truth.shape)
    probability = 1 / (1 + np.exp(1 - noise - 1.5 * truth))
    recording = np.array([f"{i // 2}.ogg" for i in range(120)])
    return Predictions.of("abcxyz", probability, truth, recording, primary=np.array(list("abc"))[primary])


def test_species_that_never_sing_are_skipped_counted_and_named() -> None:
    rows = predictions()
    found = evaluate(rows, CONFIG)
    judged = roc_auc(rows.truth[:, :3], rows.probability[:, :3])
    assert found.metrics["macro_auc"].value == pytest.approx(judged.mean(), abs=1e-6)
    assert np.isnan(average_precision(rows.truth, rows.probability)[3:5]).all()
    # of 2023, whose padding is there for such species: they count with its average precision
    padded = padded_average_precision(rows.truth, rows.probability)
    assert padded[3:5].tolist() == [1, 1]
    assert found.metrics["padded_cmap"].value == pytest.approx(macro(padded), abs=1e-6)
    table = format_table(found, "a run", CONFIG)
    assert "120 clips, 3 of 6 scored species" in table
    assert "2 without a positive clip left out of every macro mean but padded cmAP: x, y" in table
    assert "1 without a negative clip left out of every macro mean but padded cmAP: z" in table


def test_every_metric_of_the_table_is_that_of_an_epoch_with_an_interval() -> None:
    rows = predictions()
    found, point = evaluate(rows, CONFIG), point_metrics(rows, CONFIG)
    assert found.metrics.keys() - {"best_score"} == point.keys()
    for name, value in point.items():
        interval = found.metrics[name]
        assert interval.value == pytest.approx(value, abs=1e-6)
        assert interval.low < value < interval.high
    decision = rows.probability >= np.quantile(rows.probability, CONFIG.threshold_quantile)
    assert point["micro_f1"] == pytest.approx(micro_f1(rows.truth, decision), abs=1e-12)
    (line,) = [one for one in format_table(found, "a run", CONFIG).splitlines() if "2021" in one]
    assert line.split()[3] == f"{point['micro_f1']:.3f}"
