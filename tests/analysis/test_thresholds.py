"""Rules are judged beside each other; dangers that were planted are found."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from analysis.runs import find_runs
from analysis.thresholds.__main__ import ThresholdsConfig, judge_thresholds, penalty_by_rule
from analysis.thresholds.penalty import (
    BY_SPECIES,
    BY_TILT,
    describe_penalty,
    dominant_weights,
    draw_effect,
    judge_penalty,
    tilt_weights,
)
from analysis.thresholds.pictures import draw_penalty, draw_penalty_species, draw_rules, draw_stability
from analysis.thresholds.rules import all_rules, best_rule, tuned_rule
from analysis.thresholds.stability import refit
from core.data.taxonomy import Taxonomy
from core.scoring.cross_fit import parts_of
from core.scoring.decisions import read_tuned
from core.scoring.fitting import FitConfig, fit_decision
from core.scoring.intervals import Interval
from core.scoring.judging import judge_rules, safest
from core.scoring.predictions import Predictions
from core.scoring.resampling import Resampler
from tests.analysis.conftest import MakeRun, invent_predictions
from tests.core.inference.conftest import Trained
from tests.programs import refusal, run_program

CONFIG = FitConfig(penalties=(0.0, 0.4), rare_boosts=(0.0, 0.5))
PLAIN = FitConfig(penalties=(0.0,), rare_boosts=(0.0,))
SIZES = {"common": 60, "middle": 24, "rare": 9}


def one_clip_each(probability: np.ndarray, primary: np.ndarray, counts: list[float]) -> Predictions:
    """Return one clip a recording; counts are those of the species, in order of their first clip."""
    species = list(dict.fromkeys(primary))
    return Predictions.of(
        species,
        probability,
        primary[:, None] == np.array(species),
        np.array([f"r{i}" for i in range(len(primary))]),
        primary=primary,
        counts=np.tile(counts, (len(primary), 1)).astype(float),
    )


def invent(scales: tuple[float, ...] = (1.0, 1.0, 1.0), signal: float = 2.5, seed: int = 0) -> Predictions:
    """Return three species of unlike size; each has a scale of probability."""
    primary = np.repeat(list(SIZES), list(SIZES.values()))
    truth = primary[:, None] == np.array(list(SIZES))
    logit = np.random.default_rng(seed).normal(signal * truth - 1.5, 1.0)
    return one_clip_each(np.array(scales) / (1 + np.exp(-logit)), primary, list(SIZES.values()))


def resampler_of(rows: Predictions, number: int = 200) -> Resampler:
    return rows.resampler(num_resamples=number)


def test_every_threshold_is_combined_with_every_adjustment() -> None:
    names = [rule.name for rule in all_rules(CONFIG, (0.0, 3.0), has_counts=True)]
    assert names[0] == "untuned quantile"
    assert len(names) == len(set(names)) == 4 * 5 + 2 + 1
    assert "one threshold, penalty 0.4" in names
    without = [rule.name for rule in all_rules(CONFIG, (0.0,), has_counts=False)]
    assert not [name for name in without if "penalty" in name or "boost" in name]


def test_the_rule_that_fits_the_data_is_the_safest() -> None:
    rows = invent(scales=(1.0, 0.12, 0.015), signal=5.0)
    rules = all_rules(CONFIG, (0.0,), has_counts=False)
    judged = judge_rules(rows, rules, [parts_of(rows, 3, 0)], resampler_of(rows))
    chosen = safest(judged)
    assert chosen.config.threshold == "class_wise"
    assert chosen.bound > 0
    assert chosen.wins > 0.4
    assert sum(one.wins for one in judged) == pytest.approx(1)


def test_without_evidence_the_untuned_rule_is_the_safest() -> None:
    rows = invent(signal=0.5)
    rules = all_rules(CONFIG, (0.0,), has_counts=True)
    judged = judge_rules(rows, rules, [parts_of(rows, 3, 0)], resampler_of(rows))
    assert max(one.score.value for one in judged) > judged[0].score.value, "some look better by luck"
    assert safest(judged) is judged[0]
    assert judged[0].optimism == pytest.approx(0), "nothing was fitted"
    assert judged[0].difference.value == judged[0].bound == 0


def test_shrinkage_is_strong_where_species_agree_and_weak_where_they_do_not() -> None:
    rules = [
        tuned_rule(f"{strength}", "class_wise", replace(PLAIN, shrinkage=strength))
        for strength in (1000.0, 0.0)
    ]
    apart = best_rule(rules, invent(scales=(1.0, 0.1, 0.01), signal=5.0), 3, 0, "recording")
    assert apart is rules[1]
    alike = [best_rule(rules, rare_and_alike(seed), 3, 0, "recording") is rules[0] for seed in range(6)]
    assert sum(alike) >= 5


def rare_and_alike(seed: int) -> Predictions:
    """Return eight species of six clips each, all on one scale."""
    primary = np.repeat([f"s{i}" for i in range(8)], 6)
    truth = primary[:, None] == np.unique(primary)
    logit = np.random.default_rng(seed).normal(2.0 * truth, 1.0)
    return one_clip_each(1 / (1 + np.exp(-logit)), primary, [1.0] * 8)


def test_settings_wander_with_noise_and_stay_with_a_signal() -> None:
    clear, vague = (
        {one.name: one for one in refit(rows, CONFIG, resampler_of(rows))}
        for rows in (invent(signal=6.0), invent(signal=0.3))
    )
    name = "one threshold"
    widths = [one[name].interval.high - one[name].interval.low for one in (clear, vague)]
    assert widths[0] < widths[1]
    assert set(clear) == {
        name, "tuned quantile", "penalty at the 0.85 quantile", "boost at the 0.85 quantile",
        "threshold of common", "threshold of middle", "threshold of rare",
    }  # fmt: skip
    penalty = clear["penalty at the 0.85 quantile"]
    assert set(penalty.shares) <= set(CONFIG.penalties)
    assert sum(penalty.shares.values()) == pytest.approx(1)


def test_refitting_to_the_rows_themselves_is_fitting() -> None:
    rows = invent()
    found = {one.name: one.interval.value for one in refit(rows, CONFIG, resampler_of(rows, 20))}
    fitted = fit_decision(["quantile"], rows, PLAIN)
    assert found["tuned quantile"] == pytest.approx(fitted.quantile, abs=0.021), "a plateau's middle"
    penalties = replace(CONFIG, rare_boosts=(0.0,))
    assert found["penalty at the 0.85 quantile"] == fit_decision(["untuned"], rows, penalties).penalty


def planted() -> Predictions:
    """Return a common species and seven rare ones, all well recognised; what trained is as unlike."""
    primary = np.repeat(["common", *(f"rare{i}" for i in range(7))], [80, *[4] * 7])
    truth = primary[:, None] == np.unique(primary)
    probability = np.where(truth, 0.9, 0.05) + np.random.default_rng(0).uniform(-0.04, 0.04, truth.shape)
    return one_clip_each(probability, primary, truth.sum(axis=0).tolist())


def test_a_penalty_that_sinks_a_common_species_is_found_where_probabilities_are_lower() -> None:
    rows = planted()
    sampler = resampler_of(rows)
    assert abs(draw_effect(rows, sampler, 0.4).mean().values[0]) < 0.005
    lower = draw_effect(rows, sampler, 0.4, factor=0.25)
    assert lower.mean().interval().high < -0.05
    assert lower.intervals()[0].high < -0.4, "the common species"
    none = draw_effect(rows, sampler, 0.0, factor=0.25)
    assert not none.values.any()
    assert not none.drawn.any()


def test_a_penalty_is_found_dangerous_where_rare_species_become_common() -> None:
    # Rare species are sometimes taken for one another. The penalty puts calls of the common one below these
    # false alarms, which the quantile has room for only while rare species are rare.
    rows = planted()
    rows.probability[rows.truth[:, 0], 0] -= 0.3
    alarms = np.flatnonzero(~rows.truth[:, 0])[::2]
    other = np.where(rows.truth[alarms, 7], 6, 7)
    rows.probability[alarms, other] = 0.45 + np.arange(len(alarms)) / 1000
    sampler = resampler_of(rows)
    assert draw_effect(rows, sampler, 0.4).mean().interval().low > -0.005
    turned = draw_effect(rows, sampler, 0.4, times=tilt_weights(rows, 2.0))
    assert turned.mean().interval().high < -0.04
    assert turned.values[0] < -0.3, "the common species"


def test_tilt_turns_the_frequencies_round() -> None:
    rows = invent()
    for tilt, expected in ((0.0, (60, 24, 9)), (1.0, (31, 31, 31))):
        weights = tilt_weights(rows, tilt)
        np.testing.assert_allclose([weights[rows.primary == code].sum() for code in SIZES], expected)
    turned = tilt_weights(rows, 2.0)
    heard = [turned[rows.primary == code].sum() for code in SIZES]
    assert heard[0] * 60 == pytest.approx(heard[2] * 9)
    assert sum(heard) == pytest.approx(93)
    weights = dominant_weights(rows, "rare")
    assert weights[rows.primary == "rare"].mean() == pytest.approx(10 * weights[0])


def test_the_verdict_on_the_penalty_says_what_was_found() -> None:
    rows = planted()
    rule = {"untuned quantile": Interval(0.02, 0.01, 0.03)}
    answer = judge_penalty(rows, rule, resampler_of(rows, 40))
    words = "\n".join(describe_penalty(answer))
    assert "the penalty of 0.4 helps: 0.020 [0.010, 0.030]" in words
    assert "DANGEROUS" in words
    assert "all probabilities times 0.25" in words
    assert tuple(answer.effects[BY_SPECIES]) == rows.species
    harmless = judge_penalty(replace(rows, counts=np.ones_like(rows.counts)), rule, resampler_of(rows, 40))
    words = "\n".join(describe_penalty(harmless))
    assert "DANGEROUS" not in words, "equal shares change no order"
    assert "a loss of 0.000 remains possible" in words


FEW = ["--resamples=100", "--refits=20", "--partitions=2", "--splits=3", "--penalties", "0", "0.4"]
FEW += ["--rare_boosts", "0", "0.5", "--shrinkages", "0", "10"]


@pytest.mark.slow
def test_the_program_writes_tables_figures_and_settings(make_run: MakeRun, tmp_path: Path) -> None:
    path, out = make_run(fold="all"), tmp_path / "out"
    (path / "species.csv").write_text("species,common_name\nakiapo,Akiapolaau\n")
    words = ["analysis.thresholds", str(path), "--out", str(out), "--format=svg", *FEW]
    printed = run_program(*words, "--rule=one threshold", "--calibration=Platt")
    assert "| untuned quantile, penalty 0.4 |" in printed
    assert "the penalty of 0.4" in printed
    tuned = read_tuned(out / "tuned.json")
    assert (tuned.threshold, tuned.calibration) == ("fixed", "logistic")
    rules = pd.read_csv(out / "rules.csv")
    assert len(rules) == 23
    assert {"2022 score", "2022 score low", "2022 score high"} <= set(rules)
    for name in ("rules", "stability", "score_by_threshold", "score_by_quantile", "reliability", "penalty"):
        assert "timm_007" in (out / f"{name}.svg").read_text(), "the caption says what was judged"
    for name in ("stability", "penalty_species"):
        assert "Akiapolaau (akiapo)" in (out / f"{name}.svg").read_text(), "species have their names"
    assert len(pd.read_csv(out / "score_by_quantile.csv")) == 50
    assert "rule=unheard of: none of safest, untuned quantile" in refusal(*words, "--rule=unheard of")


@pytest.mark.slow
def test_labelled_soundscapes_are_judged_with_what_trained(
    trained: Trained, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    generator = np.random.default_rng(0)
    codes = list(find_runs(trained.runs)[0].predictions.species[:2])
    rows = [(f"s{file}", 5 * (i + 1)) for file in range(6) for i in range(12)]
    truth = generator.random((len(rows), 2)) < 0.3
    probability = 1 / (1 + np.exp(1 - 2 * truth - generator.normal(size=truth.shape)))
    table = pd.DataFrame(rows, columns=["file_id", "end_time"])
    table[codes] = probability
    table.to_parquet(tmp_path / "p.parquet")
    target = [
        (f"{name}_{code}_{end}", bool(truth[i, k]))
        for i, (name, end) in enumerate(rows) for k, code in enumerate(codes)
    ]  # fmt: skip
    solution = pd.DataFrame(target, columns=["row_id", "target"])
    solution.to_csv(tmp_path / "truth.csv", index=False)
    config = ThresholdsConfig(
        probabilities=str(tmp_path / "p.parquet"), truth=str(tmp_path / "truth.csv"),
        checkpoints=trained.runs, resamples=100, refits=20, shrinkages=(0.0,), splits=3, partitions=1,
        out=str(tmp_path / "out"),
    )  # fmt: skip
    (answers,) = judge_thresholds(config)
    assert answers.penalty is not None, "the checkpoints say what trained"
    assert "untuned quantile, tuned peak of the file" in [one.name for one in answers.judged]
    assert len(set(answers.rows.recording)) == 6
    np.testing.assert_array_equal(answers.rows.truth, truth)
    assert read_tuned(tmp_path / "out" / "tuned.json") == safest(answers.judged).config
    solution.iloc[1:].to_csv(tmp_path / "truth.csv", index=False)
    with pytest.raises(ValueError, match="1 window without a row of some species"):
        judge_thresholds(config)


def test_a_single_fold_without_checkpoint_is_judged_without_penalty(
    make_run: MakeRun, capsys: pytest.CaptureFixture[str]
) -> None:
    config = ThresholdsConfig(
        runs=(str(make_run()),), resamples=100, refits=20, shrinkages=(0.0,), splits=2, partitions=1
    )
    answers = judge_thresholds(config)[0]
    assert answers.penalty is None
    assert "No penalty and no boost" in capsys.readouterr().out


def test_figures_carry_the_data_and_its_names() -> None:
    rows = invent()
    sampler = resampler_of(rows, 50)
    rules = all_rules(CONFIG, (0.0,), has_counts=True)
    judged = judge_rules(rows, rules, [parts_of(rows, 3, 0)], sampler)
    scores, differences = draw_rules(judged).axes
    assert [text.get_text() for text in scores.get_yticklabels()] == [one.name for one in judged]
    assert differences.get_xlabel() == "minus untuned quantile, paired"
    left, *choices = draw_stability(refit(rows, CONFIG, sampler)).axes
    assert left.get_xlabel() == "fitted threshold, with interval"
    assert len(choices) == 3
    answer = judge_penalty(rows, penalty_by_rule(judged, 0.95), sampler)
    panels = draw_penalty(answer).axes
    np.testing.assert_allclose(
        np.asarray(panels[1].lines[1].get_ydata()), [one.value for one in answer.effects[BY_TILT].values()]
    )
    assert panels[0].get_ylabel() == "score with minus score without"
    assert labels_of(draw_penalty_species(answer)) == ["rare", "middle", "common"]


def labels_of(figure: Figure) -> list[str]:
    """Return what stands beside the rows of the first panel."""
    return [text.get_text() for text in figure.axes[0].get_yticklabels()]


def test_long_names_of_species_stand_beside_the_plots_and_squeeze_none() -> None:
    rows = invent()
    settings = refit(rows, PLAIN, resampler_of(rows, 20))
    answer = judge_penalty(rows, {}, resampler_of(rows, 20))
    taxonomy = Taxonomy.of(tuple(SIZES), common=("Akiapolaau", "", "Bird of a name that is long " * 2))
    long = f"{taxonomy.common[2]} (rare)"
    plain, named = ([draw_stability(settings, n), draw_penalty_species(answer, n)] for n in (None, taxonomy))
    assert labels_of(named[0]) == ["one threshold", "Akiapolaau (common)", "middle", long]
    assert labels_of(named[1]) == [long, "middle", "Akiapolaau (common)"]
    for before, after in zip(plain, named, strict=True):
        widths = []
        for figure in (before, after):
            figure.draw_without_rendering()
            widths.append([axes.get_window_extent().width for axes in figure.axes])
        assert min(np.array(widths[1]) / widths[0]) > 0.9


def test_mistakes_are_named(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder of runs"):
        judge_thresholds(ThresholdsConfig(runs=(str(tmp_path / "nowhere"),)))
    few = ThresholdsConfig(runs=(str(make_run()),), resamples=100, splits=13)
    with pytest.raises(ValueError, match="splits=13: there are only 12 recordings"):
        judge_thresholds(few)
    mistakes: dict[str, dict[str, Any]] = {
        "resamples=5: at least 100": {"runs": ("x",), "resamples": 5},
        "shrinkages": {"runs": ("x",), "shrinkages": (-1.0,)},
        "penalties": {"runs": ("x",), "penalties": ()},
        "not both": {},
        "belong together": {"probabilities": "p.parquet"},
    }
    for message, wrong in mistakes.items():
        with pytest.raises(ValueError, match=message):
            ThresholdsConfig(**wrong)
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "p.csv")
    with pytest.raises(ValueError, match="needs file_id, end_time"):
        judge_thresholds(ThresholdsConfig(probabilities=str(tmp_path / "p.csv"), truth="t.csv"))
    empty = make_run("empty", fold=None, predictions=invent_predictions((0,)).iloc[:0])
    with pytest.raises(ValueError, match="validated nothing"):
        judge_thresholds(ThresholdsConfig(runs=(str(empty),)))
