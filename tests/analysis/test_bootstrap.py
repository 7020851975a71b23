"""Intervals of runs, from predictions to a table and a picture."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.bootstrap import all_intervals, main
from analysis.runs import find_runs
from core.scoring.draws import draw_metrics
from core.scoring.metrics import (
    average_precision,
    balanced_accuracy,
    macro,
    padded_average_precision,
    roc_auc,
    top_one,
)
from tests.analysis.conftest import SPECIES, MakeRun


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


def test_the_program_prints_and_writes_the_same_whenever_it_runs(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = make_run(fold="all")
    shown = []
    for seed in (0, 0, 1):
        words = [str(run), "--resamples=200", f"--seed={seed}", "--by=author", "--out", f"{tmp_path}/t.csv"]
        monkeypatch.setattr("sys.argv", ["bootstrap", *words, "--figure", f"{tmp_path}/f.svg"])
        main()
        shown.append(capsys.readouterr().out)
    assert shown[0] == shown[1] != shown[2]
    assert "timm_007: 12 authors by species, 200 resamples, 95% intervals" in shown[0]
    table = pd.read_csv(tmp_path / "t.csv")
    assert set(table["species"]) == {"macro", *SPECIES}
    assert {"run", "metric", "method", "value", "low", "high", "num_dropped", "note"} <= set(table)
    picture = (tmp_path / "f.svg").read_text()
    assert all(code in picture for code in SPECIES)
    assert "mean of species" in picture


def test_a_wrong_setting_ends_the_program_with_one_line(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = (["--resamples=5"], ["--out", "table.doc"], ["--figure", "figure.gif"], ["--quantile=2"])
    for words in settings:
        monkeypatch.setattr("sys.argv", ["bootstrap", str(make_run()), *words])
        with pytest.raises(SystemExit) as stop:
            main()
        assert stop.value.code == 2
        assert words[-1].strip("-").split("=")[0] in capsys.readouterr().err
