"""Intervals of runs, from predictions to a table and a picture."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.bootstrap import all_intervals
from analysis.runs import find_runs
from core.scoring.draws import draw_metrics
from core.scoring.metrics import balanced_accuracy, macro, roc_auc
from tests.analysis.conftest import SPECIES, MakeRun
from tests.definitions import average_precision, padded_average_precision, top_one
from tests.programs import refusal, run_program


def test_the_table_holds_every_metric_species_and_method(make_run: MakeRun) -> None:
    rows = find_runs([make_run(fold="all")])[0].predictions
    truth, probability = rows.truth, rows.probability
    drawn = draw_metrics(truth, probability, rows.resampler(num_resamples=300))
    found = all_intervals(drawn, rows.species)
    assert len(found) == 3 * (6 + 4 * 3)  # methods x (macro + species of all but F1 and top-1)
    expected = {
        "score": balanced_accuracy(truth, probability >= np.quantile(probability, 0.85)),
        "macro_auc": roc_auc(truth, probability),
        "cmap": average_precision(truth, probability),
        "padded_cmap": padded_average_precision(truth, probability),
    }
    for metric, values in expected.items():
        mean = found[metric, "macro", "adjusted"]
        assert mean.value == pytest.approx(macro(values), abs=1e-6)
        assert mean.low < mean.value < mean.high
        for species, code in enumerate(SPECIES):
            single = found[metric, code, "bca"]
            assert single.value == pytest.approx(values[species], abs=1e-6)
    assert found["top1", "macro", "bca"].value == pytest.approx(top_one(truth, probability))


def test_the_program_prints_and_writes_the_same_whenever_it_runs(make_run: MakeRun, tmp_path: Path) -> None:
    words = [make_run(fold="all"), "--resamples=200", "--by=author", "--out", tmp_path / "t.csv"]
    words += ["--figure", tmp_path / "f.svg"]
    shown = [run_program("analysis.bootstrap", *words, f"--seed={seed}") for seed in (0, 0, 1)]
    assert shown[0] == shown[1] != shown[2]
    assert "timm_007: 12 authors by species, 200 resamples, 95% intervals" in shown[0]
    table = pd.read_csv(tmp_path / "t.csv")
    assert set(table["species"]) == {"macro", *SPECIES}
    assert {"run", "metric", "method", "value", "low", "high", "num_dropped", "note"} <= set(table)
    picture = (tmp_path / "f.svg").read_text()
    assert all(code in picture for code in SPECIES)
    assert "mean of species" in picture


@pytest.mark.parametrize("word", ["resamples=5", "table.doc", "figure.gif", "quantile=2"])
def test_a_wrong_setting_is_named(make_run: MakeRun, word: str) -> None:
    option = {"table.doc": "--out=", "figure.gif": "--figure="}.get(word, "--")
    assert word in refusal("analysis.bootstrap", make_run(), option + word)
