"""Intervals of runs, from predictions to a table and a picture; left-out recordings judge thresholds."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.bootstrap import BootstrapConfig, bootstrap_run, interval_of, intervals_table, main
from analysis.out_of_bag import out_of_bag
from analysis.runs import align, find_runs
from core.scoring.metrics import (
    average_precision,
    balanced_accuracy,
    macro,
    padded_average_precision,
    roc_auc,
    top_one,
)
from core.scoring.resampling import Resampler
from tests.analysis.conftest import SPECIES, MakeRun


def test_the_table_holds_every_metric_species_and_method(make_run: MakeRun) -> None:
    aligned = align(find_runs([make_run(fold="all")]))
    config = BootstrapConfig(runs=("-",), resamples=300)
    drawn, _ = bootstrap_run(aligned, 0, config)
    table = intervals_table(drawn, aligned.species)
    assert len(table) == 3 * (5 + 4 * 3)  # methods x (macro + species of all but top-1)
    truth, probability = aligned.truth, aligned.probability[0]
    expected = {
        "score": balanced_accuracy(truth, probability >= np.quantile(probability, 0.85)),
        "macro_auc": roc_auc(truth, probability),
        "cmap": average_precision(truth, probability),
        "padded_cmap": padded_average_precision(truth, probability),
    }
    for metric, values in expected.items():
        found = interval_of(table, metric, "macro", "adjusted")
        assert found.value == pytest.approx(macro(values)[0], abs=1e-6)
        assert found.low < found.value < found.high
        for species, code in enumerate(SPECIES):
            single = interval_of(table, metric, code, "bca")
            assert single.value == pytest.approx(values[0, species], abs=1e-6)
    assert interval_of(table, "top1", "macro", "bca").value == pytest.approx(top_one(truth, probability)[0])


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
    assert "optimism" in shown[0]
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


def test_left_out_recordings_unmask_a_threshold_that_was_tuned_to_noise() -> None:
    """No skill at all: the best threshold seems better than 0.5 on the drawn rows, not on the others."""
    generator = np.random.default_rng(0)
    truth = np.arange(300)[:, None] % 4 == np.arange(3)
    probability = generator.random((300, 3))
    resampler = Resampler(np.arange(300) // 2, np.zeros(300), 500)
    best = out_of_bag(truth, probability, resampler, "best")
    assert best.score == pytest.approx(0.5, abs=0.02)
    assert best.optimism > 0.02
    settled = out_of_bag(truth, probability, resampler, "quantile")
    assert abs(settled.optimism) < 0.01
    assert settled.low < settled.score < settled.high
    assert settled.threshold_low < np.quantile(probability, 0.85) < settled.threshold_high


def test_out_of_bag_score_by_hand() -> None:
    """Every resample's threshold and both scores, from repeated rows."""
    generator = np.random.default_rng(1)
    truth = generator.random((60, 2)) < 0.4
    probability = np.clip(generator.random((60, 2)) * 0.6 + 0.3 * truth, 0, 1)
    resampler = Resampler(np.arange(60), np.zeros(60), 100, one_less=False)
    scores: dict[str, list[float]] = {"drawn": [], "left": []}
    for weights in np.concatenate(list(resampler.chunks())):
        rows, rest = np.repeat(np.arange(60), weights.astype(int)), np.flatnonzero(weights == 0)
        threshold = np.quantile(probability[rows], 0.85)
        for name, chosen in (("drawn", rows), ("left", rest)):
            value = macro(balanced_accuracy(truth[chosen], probability[chosen] >= threshold))[0]
            scores[name].append(value)
    found = out_of_bag(truth, probability, resampler, "quantile")
    assert found.num_lacking == 0
    assert found.drawn_score == pytest.approx(np.mean(scores["drawn"]), abs=1e-6)
    assert found.score == pytest.approx(np.mean(scores["left"]), abs=1e-6)
    assert (found.low, found.high) == pytest.approx(np.quantile(scores["left"], [0.025, 0.975]), abs=1e-6)


def test_nothing_to_score_is_unknown_not_an_error() -> None:
    resampler = Resampler(range(10), np.zeros(10), 100)
    found = out_of_bag(
        np.zeros((10, 2), dtype=bool), np.random.default_rng(0).random((10, 2)), resampler, "best"
    )
    assert np.isnan([found.score, found.low, found.optimism]).all()


def test_a_species_that_is_not_left_out_is_counted() -> None:
    truth = np.zeros((40, 2), dtype=bool)
    truth[:20, 0] = True
    truth[0, 1] = True
    resampler = Resampler(range(40), np.zeros(40), 200)
    found = out_of_bag(truth, np.random.default_rng(0).random((40, 2)), resampler, "best")
    assert 100 < found.num_lacking < 150
    assert np.isfinite([found.score, found.low, found.high]).all()
