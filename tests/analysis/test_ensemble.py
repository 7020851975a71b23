"""Weights gain where runs complement one another, and nothing where they do not."""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from analysis.ensemble.__main__ import draw_ensemble, weigh_runs
from analysis.ensemble.weights import (
    Combine,
    EnsembleConfig,
    Objective,
    Weighted,
    combined,
    fit_weights,
    measure_of,
    move_weight,
    predict_in_parts,
    select_greedily,
    values_of,
    weigh,
)
from core.config import ValidConfig
from core.scoring.cross_fit import parts_of
from core.scoring.draws import draw_metrics
from core.scoring.predictions import PROBABILITY, Predictions
from tests.analysis.conftest import MakeRun, invent_predictions
from tests.programs import run_program

SPECIES = tuple("abcdefgh")


def invent_runs(noises: list[list[float]], seed: int = 0, number: int = 60) -> list[Predictions]:
    """Return runs whose logits have noise of their own, one level a species."""
    generator = np.random.default_rng(seed)
    species = SPECIES[: len(noises[0])]
    primary = np.repeat(species, number)
    truth = primary[:, None] == np.array(species)
    recording = np.array([f"r{i}" for i in range(len(primary))])
    logits = [2.0 * truth + generator.normal(0, 1, truth.shape) * noise for noise in noises]
    return [
        Predictions.of(species, expit(one), truth, recording, primary=primary, name=f"run {i}")
        for i, one in enumerate(logits)
    ]


def weigh_all(
    runs: list[Predictions], objective: Objective = "macro_auc", combine: Combine = "mean"
) -> dict[str, Weighted]:
    config = EnsembleConfig(runs=(), objective=objective, combine=combine, picks=8, splits=3, partitions=1)
    return {one.name: one for one in weigh(runs, config, ValidConfig(num_resamples=300))}


@pytest.mark.parametrize("combine", ["mean", "logit", "rank"])
@pytest.mark.parametrize("objective", ["macro_auc", "score"])
def test_complementary_runs_gain_together(objective: Objective, combine: Combine) -> None:
    runs = [[1.3] * 8, [1.3] * 8, [1.3] * 8, [20.0] * 8]
    found = weigh_all(invent_runs(runs, number=30), objective, combine)
    for name in ("greedy", "constrained"):
        assert found[name].over_best.low > 0
        assert found[name].weights[3] < 0.1, "a run of noise gets no weight"
        assert found[name].weights.sum() == pytest.approx(1)
        assert (found[name].weights >= 0).all()
    assert found["constrained"].in_sample >= found["greedy"].in_sample
    assert found["constrained"].over_mean.value > 0, "the plain mean takes the noise in"


def test_identical_runs_gain_nothing() -> None:
    (run,) = invent_runs([[1.5] * 3])
    found = weigh_all([replace(run, name=name) for name in "xyz"])
    for name in ("plain mean", "greedy", "constrained"):
        assert found[name].over_best.value == pytest.approx(0, abs=1e-9)
        assert found[name].over_best.high == pytest.approx(0, abs=1e-9)


def test_a_gain_that_was_fitted_to_noise_does_not_survive_other_recordings() -> None:
    greedy = weigh_all(invent_runs([[40.0] * 3 for _ in range(8)], number=15))["greedy"]
    assert greedy.in_sample > 0.58
    assert greedy.optimism > 0.04
    assert greedy.score.low < 0.55


def test_no_row_is_predicted_with_weights_that_saw_it() -> None:
    runs = invent_runs([[1.0] * 3, [3.0] * 3])
    values, truth = np.stack([run.probability for run in runs]), runs[0].truth
    parts = parts_of(runs[0], 3, 0)

    def remember(values: np.ndarray, truth: np.ndarray) -> np.ndarray:
        seen.append({value.tobytes() for value in np.moveaxis(values, 1, 0)})
        return np.array([0.5, 0.5])

    seen: list[set[bytes]] = []
    predict_in_parts(values, truth, remember, parts)
    for row in np.moveaxis(values, 1, 0):
        assert sum(row.tobytes() in rows for rows in seen) == 2, "each row fits all parts but its own"
    fitter = partial(fit_weights, measure=measure_of("macro_auc"), picks=5, is_constrained=True)
    changed, held = truth.copy(), parts[0][1]
    changed[held] = ~changed[held]
    before, after = (predict_in_parts(values, one, fitter, parts)[0][held] for one in (truth, changed))
    np.testing.assert_array_equal(before, after)


def test_a_single_run_has_the_interval_of_its_score() -> None:
    runs = invent_runs([[1.0] * 3, [2.0] * 3])
    objectives: tuple[tuple[Objective, str], ...] = (("macro_auc", "auc"), ("score", "score"))
    for objective, name in objectives:
        found = weigh_all(runs, objective)["run 0"].score
        resampler = runs[0].resampler(num_resamples=300)
        drawn = draw_metrics(runs[0].truth, runs[0].probability, resampler, [name])[name]
        assert str(found) == str(drawn.mean().interval())


def test_greedy_selection_by_hand() -> None:
    target = np.array([0.5, 0.25, 0.25])
    found = select_greedily(lambda weights: -float(np.abs(weights - target).sum()), 3, 8)
    np.testing.assert_allclose(found, target)
    first = select_greedily(lambda weights: float(weights[1]), 3, 5)
    assert first.tolist() == [0, 1, 0], "one run alone is best, and further rounds change nothing"


def test_moving_weight_finds_an_optimum_between_the_greedy_ones() -> None:
    target = np.array([0.62, 0.38, 0.0])
    found = move_weight(lambda weights: -float(((weights - target) ** 2).sum()), np.array([0.0, 0.0, 1.0]))
    np.testing.assert_allclose(found, target, atol=0.011)
    assert found.sum() == pytest.approx(1)


def test_ranks_are_within_a_run_and_species() -> None:
    probability = np.array([[[0.1, 0.9], [0.2, 0.8], [0.3, 0.7]]])
    ranks = values_of(probability, "rank")[0]
    np.testing.assert_allclose(ranks, [[1 / 3, 1], [2 / 3, 2 / 3], [1, 1 / 3]])
    np.testing.assert_allclose(values_of(np.array([[[0.5]]]), "logit"), 0)
    np.testing.assert_allclose(combined(np.array([[[0.2]], [[0.6]]]), np.array([0.75, 0.25])), [[0.3]])


def complementary(make_run: MakeRun) -> list[str]:
    return [
        str(make_run(name, fold="all", predictions=invent_predictions((0, 1, 2), skill=2.0, seed=seed)))
        for seed, name in enumerate(("one", "two", "three"))
    ]


def test_the_program_prints_weights_for_inference(make_run: MakeRun, tmp_path: Path) -> None:
    runs, words = complementary(make_run), ["--resamples", "200", "--format", "svg"]
    printed = run_program("analysis.ensemble", *runs, "--out", tmp_path / "out", *words)
    assert "The plain mean against the best single run (one): a gain, 0." in printed
    assert "--weights" in printed
    assert f"--checkpoints {runs[0]}" in printed
    table = pd.read_csv(tmp_path / "out" / "ensemble.csv")
    assert table["ensemble"].tolist() == ["one", "two", "three", "plain mean", "greedy", "constrained"]
    assert "Gain in macro ROC-AUC" in (tmp_path / "out" / "ensemble.svg").read_text()


def test_no_gain_is_said_plainly(make_run: MakeRun, capsys: pytest.CaptureFixture[str]) -> None:
    table = invent_predictions((0,))
    runs = tuple(
        str(make_run(name, predictions=table, seed=seed)) for seed, name in enumerate(("one", "two"))
    )
    weigh_runs(EnsembleConfig(runs=runs, resamples=100, splits=3))
    printed = capsys.readouterr().out
    assert "No ensemble is distinguishable from the best single run" in printed
    assert "against the plain mean: not distinguishable from 0, 0.000 [0.000, 0.000]" in printed


def test_mistakes_are_named(make_run: MakeRun) -> None:
    one = str(make_run())
    with pytest.raises(ValueError, match="needs two or more, found 1"):
        weigh_runs(EnsembleConfig(runs=(one,)))
    other = invent_predictions((0,))
    other[PROBABILITY + "akiapo"] = 0.5
    two = str(make_run("other", predictions=other.iloc[:-1]))
    with pytest.raises(ValueError, match="other validated clips"):
        weigh_runs(EnsembleConfig(runs=(one, two)))
    with pytest.raises(ValueError, match="picks=0"):
        EnsembleConfig(runs=(one,), picks=0)


def test_the_figure_carries_gains_and_weights() -> None:
    runs = invent_runs([[1.0] * 3, [2.0] * 3])
    results = list(weigh_all(runs).values())
    gains, weights = draw_ensemble(results, [run.name for run in runs]).axes
    assert [text.get_text() for text in gains.get_yticklabels()] == [one.name for one in results]
    assert gains.get_xlabel() == "gain over the best single run"
    widths = [[bar.get_width() for bar in container] for container in weights.containers]
    np.testing.assert_allclose(np.sum(widths, axis=0), 1)
    np.testing.assert_allclose(widths[0], [one.weights[0] for one in results])
