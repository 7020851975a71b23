"""Whether the best trial is told from the second, and folds are pooled where they are all there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit

from analysis.sweep.findings import BestSetting, PooledRun, SweepFindings
from analysis.sweep.report import sweep_text
from analysis.sweep.trial_results import read_results
from core.config import ValidConfig
from core.scoring.comparison import compare_pairs
from core.scoring.evaluation import evaluate
from core.scoring.metrics import macro, roc_auc
from core.scoring.predictions import Predictions, pool_predictions
from tests.analysis.sweeps import MadeTrial, shared_predictions, write_sweep

DROPOUT = {"model.dropout": {"values": [0.0, 0.2, 0.4]}}
FOLDS = {"data.fold": {"values": [0, 1, 2]}, "seed": {"values": [71, 72]}}


def verdict_of(folder: Path, skills: tuple[float, ...]) -> tuple[BestSetting, str]:
    trials = [MadeTrial({"model.dropout": 0.2 * i}, skill) for i, skill in enumerate(skills)]
    sweep = read_results(write_sweep(folder, trials, DROPOUT))
    found = SweepFindings(sweep, 500, 500)
    assert found.best is not None
    return found.best, sweep_text(found)


def test_a_planted_tie_is_not_distinguishable(tmp_path: Path) -> None:
    verdict, text = verdict_of(tmp_path / "tie", (1.5, 1.52, 0.2))
    assert {verdict.name, verdict.alike[0]} == {"trial 0", "trial 1"}
    assert verdict.alike == [verdict.comparisons[0].run]
    assert f"is NOT distinguishable from the second, {verdict.alike[0]} (corrected for the choice" in text
    assert f"Not distinguishable from the best, 1 of 2: {verdict.alike[0]}." in text


def test_a_planted_winner_is_distinguishable(tmp_path: Path) -> None:
    verdict, text = verdict_of(tmp_path / "clear", (0.8, 3.0, 0.2))
    assert verdict.name == "trial 1"
    assert verdict.comparisons[0].run == "trial 0"
    assert verdict.comparisons[0].difference.high < 0
    assert "The best, trial 1, IS distinguishable from the second, trial 0" in text
    assert "Every other is distinguishable from the best." in text
    assert all(one.p <= one.p_corrected <= 0.05 for one in verdict.comparisons)


@pytest.mark.slow
def test_equally_good_trials_are_rarely_told_apart() -> None:
    clips = Predictions.from_table(shared_predictions(1.5))
    second, some = [], []
    for seed in range(120):
        generator = np.random.default_rng([7, seed])
        shared = generator.standard_normal(clips.truth.shape)
        logits = [
            1.5 * clips.truth - 1 + shared + 0.7 * generator.standard_normal(clips.truth.shape)
            for _ in range(8)
        ]
        best_first = sorted(logits, key=lambda logit: -macro(roc_auc(clips.truth, logit)))
        runs = [
            replace(clips, probability=expit(one), name=name)
            for one, name in zip(best_first, "abcdefgh", strict=True)
        ]
        found = compare_pairs(runs, "macro_auc", pairs="best", num_resamples=200, num_flips=400)
        second.append(found[0].is_distinguishable)
        some.append(any(one.is_distinguishable for one in found))
    assert np.mean(second) <= 0.02
    assert np.mean(some) <= 0.05 + 0.04, "5 %, and what 120 sweeps leave open"


def fold_trials(seeds: tuple[int, ...] = (71, 72), folds: tuple[int, ...] = (0, 1, 2)) -> list[MadeTrial]:
    return [
        MadeTrial({"data.fold": fold, "seed": seed}, skill=1.0 + 0.5 * (seed == 72), fold=fold)
        for seed in seeds
        for fold in folds
    ]


def test_full_sets_of_folds_are_pooled(tmp_path: Path) -> None:
    sweep = read_results(write_sweep(tmp_path / "folds", fold_trials()[:-1], FOLDS, method="grid"))
    found = SweepFindings(sweep, 200)
    (only,) = found.pooled
    assert "2 more trials belong to no full set of folds." in sweep_text(found)
    assert only.name == "seed=71"
    assert isinstance(only.run, PooledRun)
    assert [run.fold for run in only.run.parts] == [0, 1, 2]
    rows = pool_predictions([run.predictions for run in only.run.parts])
    scored = evaluate(rows, ValidConfig(num_resamples=100)).metrics
    assert only.metric.value == pytest.approx(scored["macro_auc"].value, abs=1e-6)
    assert len(only.run.predictions) == 3 * 75


def test_pooled_settings_are_compared(tmp_path: Path) -> None:
    sweep = read_results(write_sweep(tmp_path / "folds", fold_trials(), FOLDS, method="grid"))
    found = SweepFindings(sweep, 300, 300)
    assert [one.name for one in found.pooled] == ["seed=72", "seed=71"]
    assert found.best is not None
    (pair,) = found.best.comparisons
    assert (pair.base, pair.run, pair.num_folds, pair.num_recordings) == ("seed=72", "seed=71", 3, 225)


def test_trials_of_other_folds_are_not_paired_with_the_best(tmp_path: Path) -> None:
    trials = fold_trials(seeds=(71,), folds=(0, 1)) + fold_trials(seeds=(72,), folds=(0,))
    sweep = read_results(write_sweep(tmp_path / "part", trials, FOLDS))
    found = SweepFindings(sweep, 200, 200)
    verdict = found.best
    assert found.pooled == []
    assert verdict is not None
    names = {trial.name: trial.values["data.fold"] for trial in sweep.trials}
    same = {name for name, fold in names.items() if fold == names[verdict.name]}
    assert {one.run for one in verdict.comparisons} == same - {verdict.name}
    assert set(verdict.apart) == set(names) - same
    assert f"Not comparable with {verdict.name} (other validated clips): " in sweep_text(found)


def test_another_threshold_rule_is_not_compared(tmp_path: Path) -> None:
    strict = {"valid": ValidConfig(num_resamples=100, threshold_quantile=0.9)}
    trials = [MadeTrial({"model.dropout": 0.0}), MadeTrial({"model.dropout": 0.2}, 0.5, config=strict)]
    sweep = read_results(write_sweep(tmp_path / "rule", trials, DROPOUT))
    found = SweepFindings(sweep, 200, 200)
    assert found.best is not None
    assert found.best.comparisons == ()
    assert "another valid.threshold_quantile" in sweep_text(found)
    assert "stands alone" in sweep_text(found)


def test_the_spread_by_seed_is_that_within_folds(tmp_path: Path) -> None:
    values = {71: (0.6, 0.7, 0.8), 72: (0.62, 0.70, 0.76)}
    trials = [
        MadeTrial({"data.fold": fold, "seed": seed}, None, value=values[seed][fold])
        for seed in values
        for fold in range(3)
    ]
    sweep = read_results(write_sweep(tmp_path / "spread", trials, FOLDS, method="grid"))
    by_key = SweepFindings(sweep).spreads
    # differences of 0.02, 0 and 0.04 between two seeds: half their squares, over three folds
    assert by_key["seed"][0] == pytest.approx(((0.02**2 + 0.04**2) / 2 / 3) ** 0.5)
    assert by_key["seed"][1] == 3
    assert by_key["data.fold"][1] == 4


def test_a_best_trial_without_predictions_is_said_to_be_left_out(tmp_path: Path) -> None:
    trials = [MadeTrial({"model.dropout": 0.2 * i}, 1.0) for i in range(2)]
    trials.append(MadeTrial({"model.dropout": 0.4}, None, value=0.99))
    sweep = read_results(write_sweep(tmp_path / "gone", trials, DROPOUT))
    told = sweep_text(SweepFindings(sweep, 200, 200))
    assert "Left out of what follows, their predictions do not lie here: trial 2.\nThe best, " in told


def test_without_predictions_or_test_there_is_no_verdict(tmp_path: Path) -> None:
    bare = [MadeTrial({"model.dropout": 0.2 * i}, None, value=0.5 + 0.1 * i) for i in range(3)]
    sweep = read_results(write_sweep(tmp_path / "bare", bare, DROPOUT))
    assert "No verdict: no predictions of the 3 trials lie here" in sweep_text(SweepFindings(sweep, 200))
    loss = write_sweep(tmp_path / "loss", bare, DROPOUT, metric="valid/loss", goal="minimize")
    with_runs = [MadeTrial({"model.dropout": 0.2 * i}, 1.0, value=0.5 + 0.1 * i) for i in range(3)]
    assert read_results(loss).ranked[0].metric.value == 0.5
    other = read_results(
        write_sweep(tmp_path / "runs", with_runs, DROPOUT, metric="valid/loss", goal="minimize")
    )
    assert "No verdict: nothing tests valid/loss" in sweep_text(SweepFindings(other, 200))
