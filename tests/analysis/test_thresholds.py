"""Rules are judged on recordings that did not fit them; dangers that were planted are found."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from analysis.observations import observations_of, train_counts
from analysis.runs import find_runs
from analysis.thresholds.__main__ import ThresholdsConfig, judge_thresholds, main, penalty_by_rule
from analysis.thresholds.calibration import METHODS, calibrate_in_parts, compare_calibrations
from analysis.thresholds.figures import draw_penalty, draw_penalty_species, draw_rules, draw_stability
from analysis.thresholds.penalty import Effects, ask, dominant_weights, effect_of, tilt_weights, verdict
from analysis.thresholds.rules import (
    all_rules,
    choose_shrinkage,
    judge_rules,
    safest,
    settled,
    shares_of_wins,
    simultaneous_bounds,
    species_scores,
    tuned,
)
from analysis.thresholds.stability import refit
from core.inference.config import PostConfig, TuneConfig
from core.inference.post_processing import read_tuned
from core.scoring.cross_fit import Observations, parts_of
from core.scoring.resampling import Interval, Resampler
from tests.analysis.conftest import MakeRun

CONFIG = TuneConfig(runs=("-",), penalties=(0.0, 0.4), rare_boosts=(0.0, 0.5), splits=3)
SIZES = {"common": 60, "middle": 24, "rare": 9}


def observe(probability: np.ndarray, stratum: np.ndarray, counts: np.ndarray) -> Observations:
    species = tuple(SIZES)
    truth = stratum[:, None] == np.array(species)
    group = np.array([f"r{i}" for i in range(len(stratum))])
    return Observations(probability, truth, group, stratum, counts, species)


def invent(scales: tuple[float, ...] = (1.0, 1.0, 1.0), signal: float = 2.5, seed: int = 0) -> Observations:
    """Return one clip a recording, of three species of unlike size; each has a scale of probability."""
    generator = np.random.default_rng(seed)
    stratum = np.repeat(list(SIZES), list(SIZES.values()))
    truth = stratum[:, None] == np.array(list(SIZES))
    logit = generator.normal(signal * truth - 1.5, 1.0)
    return observe(
        np.array(scales) / (1 + np.exp(-logit)), stratum, np.array(list(SIZES.values()), dtype=float)
    )


def resampler_of(observed: Observations, number: int = 200) -> Resampler:
    return Resampler(observed.group, observed.stratum, number)


def test_a_rule_that_learned_its_own_rows_would_be_found_out() -> None:
    observed = invent(signal=0.0)
    plain = replace(CONFIG, penalties=(0.0,), rare_boosts=(0.0,), shrinkage=0.0)
    rules = [settled("untuned", PostConfig()), tuned("own thresholds", "class_wise", plain)]
    judged = judge_rules(observed, rules, plain, resampler_of(observed))
    assert judged[1].optimism > 0.05, "noise that was fitted scores well on itself"
    assert judged[1].score.low < 0.5 < judged[1].score.high
    assert judged[0].optimism == pytest.approx(0), "nothing was fitted"
    assert judged[0].difference.value == judged[0].bound == 0


def test_no_rule_decides_a_row_by_its_own_truth() -> None:
    observed = invent()
    rules = all_rules(CONFIG, (0.0, 10.0), has_counts=True)
    _, held = parts_of(observed, CONFIG)[1]
    few = resampler_of(observed, 20)
    changed = replace(observed, truth=observed.truth.copy())
    changed.truth[held] = ~changed.truth[held]
    for one, other in zip(
        judge_rules(observed, rules, CONFIG, few), judge_rules(changed, rules, CONFIG, few), strict=True
    ):
        np.testing.assert_array_equal(one.decisions[0, held], other.decisions[0, held])


def test_the_luck_of_a_partition_is_in_the_interval() -> None:
    observed = invent()
    decisions = np.stack([np.stack([observed.truth, np.ones_like(observed.truth)])])
    drawn = species_scores(observed.truth, decisions, resampler_of(observed, 10))[0]
    assert drawn.mean(axis=1).tolist() == [1, 0.5] * 5, "each resample takes the next partition"
    plain = replace(CONFIG, penalties=(0.0,), rare_boosts=(0.0,), shrinkage=0.0)
    rule = tuned("", "class_wise", plain)
    one = judge_rules(observed, [rule], plain, resampler_of(observed, 100), partitions=3)[0]
    assert len(set(one.partitions)) > 1
    assert one.score.value == pytest.approx(one.partitions.mean())
    alone = judge_rules(observed, [rule], replace(plain, seed=1), resampler_of(observed, 100))[0]
    assert alone.score.value == pytest.approx(one.partitions[1])


def test_every_threshold_is_combined_with_every_adjustment() -> None:
    names = [rule.name for rule in all_rules(CONFIG, (0.0, 3.0), has_counts=True)]
    assert names[0] == "0.85 quantile"
    assert len(names) == len(set(names)) == 4 * 5 + 2 + 1
    assert "one threshold, penalty 0.4" in names
    without = [rule.name for rule in all_rules(CONFIG, (0.0,), has_counts=False)]
    assert not [name for name in without if "penalty" in name or "boost" in name]


def test_the_rule_that_fits_the_data_is_the_safest() -> None:
    observed = invent(scales=(1.0, 0.12, 0.015), signal=5.0)
    judged = judge_rules(
        observed, all_rules(CONFIG, (0.0,), has_counts=False), CONFIG, resampler_of(observed)
    )
    chosen = safest(judged)
    assert chosen.post.threshold == "class_wise"
    assert chosen.bound > 0
    assert chosen.wins > 0.4
    assert sum(one.wins for one in judged) == pytest.approx(1)


def test_without_evidence_the_untuned_rule_is_the_safest() -> None:
    observed = invent(signal=0.5)
    judged = judge_rules(observed, all_rules(CONFIG, (0.0,), has_counts=True), CONFIG, resampler_of(observed))
    assert max(one.score.value for one in judged) > judged[0].score.value, "some look better by luck"
    assert safest(judged) is judged[0]


def test_bounds_for_all_at_once_are_lower_than_each_by_itself() -> None:
    drawn = np.random.default_rng(0).normal(0, 1, (20, 4000))
    together, alone = simultaneous_bounds(np.zeros(20), drawn), simultaneous_bounds(np.zeros(1), drawn[:1])
    assert alone[0] == pytest.approx(-1.645, abs=0.1)
    assert together.max() < -2.5, "the largest of 20 normal deviations"
    assert simultaneous_bounds(np.array([0.3]), np.full((1, 50), 0.3))[0] == 0.3
    assert shares_of_wins(np.array([[1.0, 2.0, 0.0], [1.0, 3.0, 1.0]])).tolist() == [0.5 / 3, 2.5 / 3]


def test_shrinkage_is_strong_where_species_agree_and_weak_where_they_do_not() -> None:
    plain = replace(CONFIG, penalties=(0.0,), rare_boosts=(0.0,))
    apart = choose_shrinkage(invent(scales=(1.0, 0.1, 0.01), signal=5.0), plain, (0.0, 1000.0))
    assert apart.shrinkage == 0
    alike = [choose_shrinkage(rare_and_alike(seed), plain, (0.0, 1000.0)).shrinkage for seed in range(6)]
    assert alike.count(1000) >= 5


def rare_and_alike(seed: int) -> Observations:
    """Return eight species of six clips each, all on one scale."""
    observed = planted()
    stratum = np.repeat(observed.species, 6)
    truth = stratum[:, None] == np.array(observed.species)
    logit = np.random.default_rng(seed).normal(2.0 * truth, 1.0)
    group = np.array([f"r{i}" for i in range(len(stratum))])
    return Observations(1 / (1 + np.exp(-logit)), truth, group, stratum, np.ones(8), observed.species)


def test_settings_wander_with_noise_and_stay_with_a_signal() -> None:
    clear, vague = (
        {one.name: one for one in refit(observed, CONFIG, resampler_of(observed))}
        for observed in (invent(signal=6.0), invent(signal=0.3))
    )
    name = "one threshold"
    assert clear[name].high - clear[name].low < vague[name].high - vague[name].low
    assert set(clear) == {
        name, "tuned quantile", "penalty at the 0.85 quantile", "boost at the 0.85 quantile",
        "threshold of common", "threshold of middle", "threshold of rare",
    }  # fmt: skip
    penalty = clear["penalty at the 0.85 quantile"]
    assert set(penalty.shares) <= set(CONFIG.penalties)
    assert sum(penalty.shares.values()) == pytest.approx(1)


def test_refitting_to_the_rows_themselves_is_fitting() -> None:
    observed = invent()
    spreads = {one.name: one for one in refit(observed, CONFIG, resampler_of(observed, 20))}
    plain = replace(CONFIG, penalties=(0.0,), rare_boosts=(0.0,))
    fitted = tuned("", "quantile", plain).fitter(observed)
    assert spreads["tuned quantile"].value == pytest.approx(fitted.quantile, abs=0.011)
    strength = tuned("", "untuned", replace(CONFIG, rare_boosts=(0.0,))).fitter(observed).penalty
    assert spreads["penalty at the 0.85 quantile"].value == strength


def planted() -> Observations:
    """Return a common species and seven rare ones, all well recognised; what trained is as unlike."""
    species = ("common", *(f"rare{i}" for i in range(7)))
    stratum = np.repeat(species, [80, *[4] * 7])
    truth = stratum[:, None] == np.array(species)
    probability = np.where(truth, 0.9, 0.05) + np.random.default_rng(0).uniform(-0.04, 0.04, truth.shape)
    group = np.array([f"r{i}" for i in range(len(stratum))])
    return Observations(probability, truth, group, stratum, truth.sum(axis=0).astype(float), species)


def test_a_penalty_that_sinks_a_common_species_is_found_where_probabilities_are_lower() -> None:
    observed = planted()
    sampler = resampler_of(observed)
    assert abs(effect_of(observed, sampler, 0.4)[0].value) < 0.005
    lower = effect_of(observed, sampler, 0.4, factor=0.25)
    assert lower[0].high < -0.05
    assert lower[1].high < -0.4, "the common species"
    none = effect_of(observed, sampler, 0.0, factor=0.25)
    assert all(one.value == one.low == one.high == 0 for one in none)


def test_a_penalty_is_found_dangerous_where_rare_species_become_common() -> None:
    # Rare species are sometimes taken for one another. The penalty puts calls of the common one below these
    # false alarms, which the quantile has room for only while rare species are rare.
    observed = planted()
    observed.probability[observed.truth[:, 0], 0] -= 0.3
    alarms = np.flatnonzero(~observed.truth[:, 0])[::2]
    other = np.where(observed.truth[alarms, 7], 6, 7)
    observed.probability[alarms, other] = 0.45 + np.arange(len(alarms)) / 1000
    sampler = resampler_of(observed)
    as_validated = effect_of(observed, sampler, 0.4)[0]
    assert as_validated.low > -0.005
    turned = effect_of(observed, sampler, 0.4, row_weights=tilt_weights(observed, 2.0))
    assert turned[0].high < -0.04
    assert turned[1].high < -0.3


def test_tilt_turns_the_frequencies_round() -> None:
    observed = invent()
    for tilt, expected in ((0.0, (60, 24, 9)), (1.0, (31, 31, 31))):
        weights = tilt_weights(observed, tilt)
        heard = [weights[observed.stratum == code].sum() for code in SIZES]
        np.testing.assert_allclose(heard, expected)
    turned = tilt_weights(observed, 2.0)
    heard = [turned[observed.stratum == code].sum() for code in SIZES]
    assert heard[0] * 60 == pytest.approx(heard[2] * 9)
    assert sum(heard) == pytest.approx(93)
    weights = dominant_weights(observed, "rare")
    assert weights[observed.stratum == "rare"].mean() == pytest.approx(10 * weights[0])


def test_the_verdict_says_what_was_found() -> None:
    observed = planted()
    rule = Effects("threshold rule", ("0.85 quantile",), (Interval(0.02, 0.01, 0.03),))
    answer = ask(observed, rule, resampler_of(observed, 40))
    words = "\n".join(verdict(answer))
    assert "the penalty of 0.4 helps: 0.020 [0.010, 0.030]" in words
    assert "DANGEROUS" in words
    assert "all probabilities times 0.25" in words
    assert answer.by_species.places == observed.species
    harmless = ask(replace(observed, counts=np.ones(8)), rule, resampler_of(observed, 40))
    words = "\n".join(verdict(harmless))
    assert "DANGEROUS" not in words, "equal shares change no order"
    assert "a loss of 0.000 remains possible" in words


def miscalibrated(temperature: float) -> Observations:
    generator = np.random.default_rng(5)
    stratum = np.repeat(list(SIZES), 200)
    logit = generator.normal(-1, 2, (600, 3))
    truth = generator.random((600, 3)) < 1 / (1 + np.exp(-logit))
    observed = observe(1 / (1 + np.exp(-temperature * logit)), stratum, np.ones(3))
    return replace(observed, truth=truth)


def test_a_planted_temperature_is_recovered_by_every_method() -> None:
    observed = miscalibrated(3.0)
    calibrator, words = METHODS["temperature"](observed.probability, observed.truth)
    assert float(words.split()[-1]) == pytest.approx(3, rel=0.12)
    assert calibrator(np.array([0.5]))[0] == pytest.approx(0.5)
    before, after = compare_calibrations(observed, CONFIG, resampler_of(observed))
    assert [one.name for one in after] == ["temperature", "Platt", "isotonic"]
    for one in after:
        assert one.gain.high < 0
        assert one.reliability.error.value < before.error.value / 3


def test_a_method_is_judged_on_recordings_that_did_not_fit_it() -> None:
    observed = miscalibrated(1.0)
    observed = replace(observed, truth=np.random.default_rng(0).permutation(observed.truth))
    own = METHODS["isotonic"](observed.probability, observed.truth)[0](observed.probability)
    crossed = calibrate_in_parts("isotonic", observed, CONFIG)
    flattered, honest = (((p - observed.truth) ** 2).mean() for p in (own, crossed))
    assert flattered < honest, "a curve fitted to noise looks better on it"


def test_what_trained_is_counted_in_the_other_folds_without_checkpoints(make_run: MakeRun) -> None:
    run = find_runs([make_run(fold="all")])[0]
    counts = train_counts(run, run.species)
    assert counts.shape == (72, 3)
    assert (counts == 8).all(), "four recordings a species in each of the two other folds"
    single = find_runs([make_run("single", fold=0)])[0]
    assert not train_counts(single, single.species).any()
    by_author = observations_of(run, by="author")
    assert set(by_author.group) == {f"author{i}" for i in range(4)}


def test_the_program_writes_tables_figures_and_settings(
    make_run: MakeRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path, out = make_run(fold="all"), tmp_path / "out"
    words = [
        "thresholds",
        str(path),
        "--out",
        str(out),
        "--resamples",
        "100",
        "--refits",
        "20",
        "--format",
        "svg",
    ]
    few = ["--partitions", "2", "--penalties", "0", "0.4", "--rare_boosts", "0", "0.5"]
    monkeypatch.setattr(sys, "argv", [*words, *few, "--shrinkages", "0", "10"])
    main()
    printed = capsys.readouterr().out
    assert "| 0.85 quantile, penalty 0.4 |" in printed
    assert "the penalty of 0.4" in printed
    assert read_tuned(out / "safest.json") == PostConfig(
        **json.loads((out / "safest.json").read_text())["post"]
    )
    rules = pd.read_csv(out / "rules.csv")
    assert len(rules) == 23
    assert {"2022 score", "2022 score low", "2022 score high"} <= set(rules)
    for name in ("rules", "stability", "score_by_threshold", "score_by_quantile", "reliability", "penalty"):
        assert "timm_007" in (out / f"{name}.svg").read_text(), "the caption says what was judged"
    assert len(pd.read_csv(out / "score_by_quantile.csv")) == 50


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
    observed = invent()
    sampler = resampler_of(observed, 50)
    judged = judge_rules(observed, all_rules(CONFIG, (0.0,), has_counts=True), CONFIG, sampler)
    scores, differences = draw_rules(judged).axes
    assert [text.get_text() for text in scores.get_yticklabels()] == [one.name for one in judged]
    assert differences.get_xlabel() == "minus 0.85 quantile, paired"
    left, *choices = draw_stability(refit(observed, CONFIG, sampler)).axes
    assert left.get_xlabel() == "fitted threshold, 95 % of resamples"
    assert len(choices) == 3
    answer = ask(observed, penalty_by_rule(observed, judged, sampler), sampler)
    panels = draw_penalty(answer).axes
    np.testing.assert_allclose(
        np.asarray(panels[1].lines[1].get_ydata()), [one.value for one in answer.by_tilt.effects]
    )
    assert panels[0].get_ylabel() == "score with minus score without"
    names = [text.get_text() for text in draw_penalty_species(answer).axes[0].get_yticklabels()]
    assert names == ["rare", "middle", "common"]


def test_mistakes_are_named(make_run: MakeRun, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such folder of runs"):
        judge_thresholds(ThresholdsConfig(runs=(str(tmp_path / "nowhere"),)))
    few = ThresholdsConfig(runs=(str(make_run()),), resamples=100, splits=13)
    with pytest.raises(ValueError, match="splits=13: there are only 12 recordings"):
        judge_thresholds(few)
    with pytest.raises(ValueError, match="resamples=5: at least 100"):
        ThresholdsConfig(runs=("x",), resamples=5)
    with pytest.raises(ValueError, match="shrinkages"):
        ThresholdsConfig(runs=("x",), shrinkages=(-1.0,))
