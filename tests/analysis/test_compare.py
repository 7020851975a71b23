"""Verdicts about pairs of runs, from predictions to words, tables and a picture."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.compare import main
from benchmarks.coverage import World
from core.config import MetricName
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.draws import draw_metrics
from core.scoring.intervals import Interval
from core.scoring.metrics import balanced_accuracy, macro, roc_auc
from core.scoring.predictions import Predictions
from core.scoring.sign_flips import holm
from tests.analysis.conftest import MakeRun, invent_predictions

WORLD = World(recordings=(10, 20, 40), other_recordings=20, gain=0.8)


@pytest.fixture(scope="module")
def three() -> list[Predictions]:
    """Return three runs, the second and third better and better, 90 recordings in two folds."""
    found = WORLD.draw(np.random.default_rng(0), num_models=3)
    number = np.unique(found[0].recording, return_inverse=True)[1]
    return [
        replace(one, name=name, author=(number // 4).astype(str), fold=number % 2)
        for one, name in zip(found, ("plain", "better", "best"), strict=True)
    ]


def test_values_and_differences_are_those_of_the_metrics(three: list[Predictions]) -> None:
    truth = three[0].truth
    metrics: tuple[tuple[MetricName, Callable[[np.ndarray], np.ndarray]], ...] = (
        ("score", lambda p: balanced_accuracy(truth, p >= np.quantile(p, 0.85))),
        ("macro_auc", lambda p: roc_auc(truth, p)),
    )
    for metric, of in metrics:
        expected = [macro(of(one.probability)) for one in three]
        found = compare_pairs(three, metric, num_resamples=100, num_flips=100)
        assert [one.run for one in found] == ["better", "best"]
        for i, one in enumerate(found, start=1):
            assert one.base_value == pytest.approx(expected[0], abs=1e-6)
            assert one.value == pytest.approx(expected[i], abs=1e-6)
            assert one.difference.value == pytest.approx(expected[i] - expected[0], abs=1e-6)
            assert one.num_recordings == 90
            assert one.num_folds == 2


def test_resamples_are_paired(three: list[Predictions]) -> None:
    """The interval is that of differences on the same draws, narrower than of two separate ones."""
    one = compare_pairs(three, "macro_auc", num_resamples=2000, num_flips=100, method="percentile")[0]
    areas = [
        draw_metrics(run.truth, run.probability, run.resampler(num_resamples=2000), ["auc"])["auc"].mean()
        for run in three[:2]
    ]
    drawn = (areas[1].drawn - areas[0].drawn)[:, 0]
    low, high = np.quantile(drawn, [0.025, 0.975])
    assert (one.difference.low, one.difference.high) == pytest.approx((low, high), abs=1e-5)
    assert one.standard_error == pytest.approx(drawn.std(), abs=1e-6)
    assert one.standard_error < 0.8 * np.hypot(*(area.drawn.std() for area in areas))


def test_all_pairs_are_corrected_together(three: list[Predictions]) -> None:
    found = compare_pairs(three, "macro_auc", pairs="all", num_resamples=100, num_flips=500)
    pairs = [(one.base, one.run) for one in found]
    assert pairs == [("plain", "better"), ("plain", "best"), ("better", "best")]
    np.testing.assert_allclose([one.p_holm for one in found], holm(np.array([one.p for one in found])))
    assert found[1].is_distinguishable
    assert found[1].verdict.startswith("best is better than plain: macro ROC-AUC +0.")


def test_results_depend_on_the_seed_alone(three: list[Predictions]) -> None:
    first, again, other = (
        compare_pairs(three, "score", num_resamples=200, num_flips=200, seed=seed) for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_authors_are_drawn_whole(three: list[Predictions]) -> None:
    found = compare_pairs(three, "score", by="author", num_resamples=100, num_flips=100)[0]
    assert 23 <= found.num_recordings < 30  # four recordings each, but for those of two species
    assert "authors by species" in replace(found, p_holm=0.5).verdict


def test_verdicts_say_what_the_data_can_and_cannot_show() -> None:
    one = Comparison(
        base="A", run="B", metric="score", base_value=0.6, value=0.61, difference=Interval(0.01, -0.01, 0.03),
        p=0.3, p_holm=0.3, standard_error=0.01, num_recordings=100, num_folds=2, confidence=0.95,
    )  # fmt: skip
    assert one.verdict == (
        "not distinguishable: B and A, 2022 score +0.010 [-0.010, +0.030], p = 0.30. These 100 recordings "
        "show true differences from 0.028 on in 4 of 5 cases; one of 0.010 would take about 785 recordings."
    )
    assert one.needed_folds(0.01) == 16
    assert replace(one, p_holm=0.02).verdict.startswith("B is better than A: 2022 score +0.010")
    worse = replace(one, p_holm=0.02, difference=Interval(-0.01, -0.03, -0.001))
    assert worse.verdict.startswith("B is worse than A: 2022 score -0.010")
    same = replace(one, difference=Interval(0.0, -0.01, 0.01))
    assert same.verdict.endswith("in 4 of 5 cases.")
    assert one.as_row()["needed_for_0.01"] == 785


def test_one_run_alone_is_refused(three: list[Predictions]) -> None:
    with pytest.raises(ValueError, match="two runs at least"):
        compare_pairs(three[:1])


def test_the_program_prints_verdicts_and_writes_table_and_picture(
    make_run: MakeRun, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [
        make_run(name, fold="all", predictions=invent_predictions((0, 1, 2), skill=skill, seed=seed))
        for name, skill, seed in (("timm_007", 0.5, 0), ("timm_008", 6.0, 1))
    ]
    words = [*map(str, paths), "--resamples=200", "--flips=300", "--out", f"{tmp_path}/c.json"]
    monkeypatch.setattr("sys.argv", ["compare", *words, "--figure", f"{tmp_path}/c.svg"])
    main()
    shown = capsys.readouterr().out
    assert "timm_008 is better than timm_007: 2022 score +0." in shown
    assert "smallest here" in shown
    rows = json.loads((tmp_path / "c.json").read_text())
    assert [row["metric"] for row in rows] == ["macro_auc", "score"], "the main metric first"
    assert rows[0]["low"] < rows[0]["difference"] < rows[0]["high"]
    picture = (tmp_path / "c.svg").read_text()
    assert "minus timm_007" in picture
    assert "macro ROC-AUC" in picture


def test_runs_about_other_clips_end_the_program_with_one_line(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    paths = [make_run(fold=0), make_run(fold=1, stamp="20260102-000000-bbbb")]
    monkeypatch.setattr("sys.argv", ["compare", *map(str, paths)])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.startswith("error: ")


def test_the_table_can_be_read_back(three: list[Predictions]) -> None:
    rows = [one.as_row() for one in compare_pairs(three, num_resamples=100, num_flips=100)]
    assert set(pd.DataFrame(rows).columns) >= {"difference", "low", "high", "p_holm", "verdict"}
