"""Verdicts about pairs of runs, from predictions to words, tables and a picture."""

import json
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmarks.coverage import World
from core.config import MetricName
from core.scoring.comparison import Comparison, compare_pairs
from core.scoring.draws import draw_metrics
from core.scoring.intervals import Interval
from core.scoring.metrics import balanced_accuracy, macro, roc_auc
from core.scoring.predictions import Predictions
from core.scoring.seeds import compare_settings
from core.scoring.sign_flips import holm
from tests.analysis.conftest import MakeRun, invent_predictions
from tests.programs import refusal, run_program

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
    np.testing.assert_allclose([one.p_corrected for one in found], holm(np.array([one.p for one in found])))
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
    assert "authors by species" in replace(found, p_corrected=0.5).verdict


def test_verdicts_say_what_the_data_can_and_cannot_show() -> None:
    one = Comparison(
        base="A", run="B", metric="score", base_value=0.6, value=0.61, difference=Interval(0.01, -0.01, 0.03),
        p=0.3, p_corrected=0.3, standard_error=0.01, num_recordings=100, num_folds=2, confidence=0.95,
    )  # fmt: skip
    assert one.verdict == (
        "not distinguishable: B and A, 2022 score +0.010 [-0.010, +0.030], p = 0.30. These 100 recordings "
        "show true differences from 0.028 on in 4 of 5 cases; one of 0.010 would take about 785 recordings."
    )
    assert one.needed_folds(0.01) == 16
    assert replace(one, p_corrected=0.02).verdict.startswith("B is better than A: 2022 score +0.010")
    worse = replace(one, p_corrected=0.02, difference=Interval(-0.01, -0.03, -0.001))
    assert worse.verdict.startswith("B is worse than A: 2022 score -0.010")
    same = replace(one, difference=Interval(0.0, -0.01, 0.01))
    assert same.verdict.endswith("in 4 of 5 cases.")
    assert one.as_row()["needed_for_0.01"] == 785


def test_one_run_alone_is_refused(three: list[Predictions]) -> None:
    with pytest.raises(ValueError, match="two runs at least"):
        compare_pairs(three[:1])


def test_the_program_prints_verdicts_and_writes_table_and_picture(make_run: MakeRun, tmp_path: Path) -> None:
    paths = [
        make_run(name, fold="all", predictions=invent_predictions((0, 1, 2), skill=skill, seed=seed))
        for name, skill, seed in (("timm_007", 0.5, 0), ("timm_008", 6.0, 1))
    ]
    words = ["--resamples=200", "--flips=300", "--out", tmp_path / "c.json", "--figure", tmp_path / "c.svg"]
    shown = run_program("analysis.compare", *paths, *words)
    assert "timm_008 is better than timm_007: 2022 score +0." in shown
    assert "smallest here" in shown
    rows = json.loads((tmp_path / "c.json").read_text())
    assert [row["metric"] for row in rows] == ["macro_auc", "score"], "the main metric first"
    assert rows[0]["low"] < rows[0]["difference"] < rows[0]["high"]
    picture = (tmp_path / "c.svg").read_text()
    assert "minus timm_007" in picture
    assert "macro ROC-AUC" in picture


def test_runs_about_other_clips_end_the_program_with_one_line(make_run: MakeRun) -> None:
    paths = [make_run(fold=0), make_run(fold=1, stamp="20260102-000000-bbbb")]
    assert refusal("analysis.compare", *paths).startswith("error: ")


def test_the_table_can_be_read_back(three: list[Predictions]) -> None:
    rows = [one.as_row() for one in compare_pairs(three, num_resamples=100, num_flips=100)]
    assert set(pd.DataFrame(rows).columns) >= {"difference", "low", "high", "p_corrected", "verdict"}


def test_runs_that_hardly_differ_are_equal_within_a_margin(three: list[Predictions]) -> None:
    plain, better, best = three
    noise = np.random.default_rng(5).normal(scale=1e-3, size=plain.probability.shape)
    twin = replace(plain, name="twin", probability=np.clip(plain.probability + noise, 0, 1))
    (alike,) = compare_pairs([plain, twin], "macro_auc", margin=0.01, num_resamples=300, num_flips=200)
    assert alike.is_equal
    assert alike.verdict.startswith("equal within 0.01: twin and plain, macro ROC-AUC ")
    (apart,) = compare_pairs([plain, best], "macro_auc", margin=0.01, num_resamples=300, num_flips=500)
    assert apart.is_distinguishable
    assert not apart.is_equal
    (unsure,) = compare_pairs([plain, better], "score", margin=1e-4, num_resamples=300, num_flips=200)
    assert unsure.p_equal == 1.0
    near = compare_pairs([plain, best], "macro_auc", margin=0.5, num_resamples=300, num_flips=500)[0]
    assert near.verdict.startswith("best is better than plain, by less than 0.5: ")


def test_a_plan_names_what_was_asked_before_the_runs(
    make_run: MakeRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [
        make_run(name, predictions=invent_predictions((0,), skill=1.0 + i))
        for i, name in enumerate(("one", "two", "three"))
    ]
    plan = tmp_path / "plan.yaml"
    plan.write_text("metric: macro_auc\nmargin: 0.02\ncomparisons:\n  - [one, three]\n")
    words = [
        *map(str, runs),
        f"--plan={plan}",
        "--resamples=100",
        "--flips=100",
        f"--out={tmp_path / 'c.csv'}",
    ]
    told = run_program("analysis.compare", *words)
    assert f"Plan {plan} (" in told
    late = "one, fold 0, two, fold 0, three, fold 0"
    assert f"YOUNGER than {late}: what it asks of them was not planned before they began" in told
    (planned,) = [line for line in told.splitlines() if line.startswith("  planned: ")]
    assert "three" in planned
    assert "one" in planned
    table = pd.read_csv(tmp_path / "c.csv")
    assert table["is_planned"].tolist() == [True, *[False] * (len(table) - 1)]
    assert table["margin"][0] == 0.02
    assert table["p_corrected"][0] == table["p"][0], "corrected for other planned ones only"
    os.utime(plan, (0, 0))
    assert "older than every run" in run_program("analysis.compare", *words)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("metric: loudness\ncomparisons: [[a, b]]", "metric=loudness: one of score, "),
        ("metric: score\nmargin: -1\ncomparisons: [[a, b]]", "margin=-1: a number above 0"),
        ("metric: score\nmargin: .inf\ncomparisons: [[a, b]]", "margin=inf: a number above 0"),
        ("metric: score\nmargin: true\ncomparisons: [[a, b]]", "margin=True: a number above 0"),
        ("metric: score\ncomparisons: [[a, a]]", "comparisons: needs a list of pairs of different names"),
        ("metric: score\nwhy: so", "unknown key why; known are comparisons, margin, metric, unit"),
        ("metric: score\ncomparisons: [[a, b]]", "comparisons: a is none of the runs: one, fold 0, two"),
    ],
)
def test_a_plan_that_is_none_is_refused(text: str, told: str, make_run: MakeRun, tmp_path: Path) -> None:
    runs = [make_run(name) for name in ("one", "two")]
    (tmp_path / "plan.yaml").write_text(text)
    said = refusal("analysis.compare", *map(str, runs), f"--plan={tmp_path / 'plan.yaml'}")
    assert f"{tmp_path / 'plan.yaml'}: {told}" in said


def test_species_are_compared_where_that_is_asked_for(make_run: MakeRun, tmp_path: Path) -> None:
    skills = {"one": 0.5, "two": 4.0}
    runs = [make_run(name, predictions=invent_predictions((0,), skill=s)) for name, s in skills.items()]
    words = ["--species=macro_auc", f"--species_out={tmp_path / 's.csv'}", "--resamples=100", "--flips=200"]
    told = run_program("analysis.compare", *runs, *words)
    assert "Species by ROC-AUC\n  two, fold 0 minus one, fold 0: " in told
    table = pd.read_csv(tmp_path / "s.csv")
    assert set(table.columns) >= {"species", "base", "run", "difference", "low", "high", "p", "q"}
    assert (table["q"] >= table["p"]).all()
    assert "needs --species" in refusal("analysis.compare", *map(str, runs), "--species_out=x.csv")


def test_settings_are_compared_over_their_seeds(make_run: MakeRun, tmp_path: Path) -> None:
    runs = [
        make_run(
            name,
            stamp=f"2026010{seed + 1}-000000-aaaa",
            seed=seed,
            predictions=invent_predictions((0,), skill=skill, seed=10 * seed + int(skill), clips=5),
        )
        for name, skill in (("weak", 0.2), ("strong", 4.0))
        for seed in range(3)
    ]
    out = tmp_path / "settings.csv"
    told = run_program("analysis.compare", *runs, "--seeds", "--metrics=macro_auc", f"--out={out}")
    assert "strong, fold 0 is better than weak, fold 0: macro ROC-AUC +" in told
    assert "over seeds (3 and 3) and recordings" in told
    row = pd.read_csv(out).iloc[0]
    assert row["probability"] > 0.9
    shares = row[[name for name in row.index if name.startswith("share_of_")]]
    assert shares.sum() == pytest.approx(1)
    assert list(shares.index) == ["share_of_seed", "share_of_recordings", "share_of_both_together"]


def test_one_setting_alone_has_nothing_to_be_compared_with(make_run: MakeRun) -> None:
    runs = [make_run(stamp=f"2026010{seed + 1}-000000-aaaa", seed=seed) for seed in range(2)]
    assert "1 settings with runs of 2 seeds" in refusal("analysis.compare", *runs, "--seeds")


def test_folds_that_differ_have_a_share_of_the_variance(three: list[Predictions]) -> None:
    def trained(skill: float, seed: int) -> Predictions:
        """Return a run of two folds, of which the first was trained badly."""
        one, generator = three[0], np.random.default_rng(seed)
        gain = np.where(one.fold == 0, 0.0, skill)[:, None] * one.truth
        logits = gain + generator.normal(size=one.truth.shape)
        return replace(one, probability=1 / (1 + np.exp(-logits)), name="a" if skill < 3 else "b")

    sides = [[trained(skill, seed + int(10 * skill)) for seed in range(3)] for skill in (2.9, 3.1)]
    found = compare_settings(sides[0], sides[1], num_resamples=200)
    assert list(found.shares) == ["seed", "recordings", "both together", "folds"]
    assert found.shares["folds"] > 0.3
    assert sum(found.shares.values()) == pytest.approx(1)
