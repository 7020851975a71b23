"""Tuned settings are judged on recordings that did not tune them."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core import checkpoint
from core.inference.config import InferenceConfig, PostConfig, TuneConfig
from core.inference.post_processing import read_tuned
from core.inference.run import predict
from core.inference.tune import read_runs, tune
from core.scoring.cross_fit import (
    Observations,
    class_wise,
    cross_fit,
    fit,
    fit_threshold,
    parts_of,
    tune_rules,
)
from core.scoring.metrics import balanced_accuracy, balanced_accuracy_at, macro
from tests.core.inference.conftest import Trained

CONFIG = TuneConfig(runs=("none",), penalties=(0.0,), rare_boosts=(0.0,))


def observations(scales: list[float], *, signal: float, groups: int = 120, seed: int = 0) -> Observations:
    """Return two rows a group; species' probabilities lie on scales of their own."""
    generator = np.random.default_rng(seed)
    number, species = 2 * groups, len(scales)
    truth = generator.random((number, species)) < 0.15
    value = generator.normal(signal * truth, 1.0)
    probability = 1 / (1 + np.exp(-value)) * np.array(scales)
    group = np.repeat([f"r{i}" for i in range(groups)], 2)
    codes = tuple(f"s{i}" for i in range(species))
    counts = np.arange(1, species + 1, dtype=float)
    return Observations(probability, truth, group, np.zeros(number, dtype=int), counts, codes)


def test_the_score_at_many_thresholds_is_the_score_at_each() -> None:
    observed = observations([1.0, 0.3, 0.6], signal=1.0)
    observed.truth[:, 2] = False
    candidates = np.array([0.0, 0.2, 0.5, observed.probability[3, 0], 1.1])
    found = balanced_accuracy_at(observed.truth, observed.probability, candidates)
    for row, threshold in zip(found, candidates, strict=True):
        expected = balanced_accuracy(observed.truth, observed.probability >= threshold)[0]
        np.testing.assert_allclose(row, expected)
    own = np.stack([candidates, candidates / 2, candidates], axis=1)
    found = balanced_accuracy_at(observed.truth, observed.probability, own)
    expected = balanced_accuracy(observed.truth, observed.probability >= own[2])[0]
    np.testing.assert_allclose(found[2], expected)


def test_noise_looks_good_only_where_it_was_fitted() -> None:
    observed = observations([1.0] * 8, signal=0.0)
    class_wise_one = tune_rules(observed, replace(CONFIG, rules=("class_wise",), shrinkage=0.0))[0]
    assert class_wise_one.in_sample > 0.54
    assert class_wise_one.score.low < 0.5 < class_wise_one.score.high
    assert class_wise_one.optimism > 0.03


def test_class_wise_thresholds_win_where_species_have_scales_of_their_own() -> None:
    observed = observations([1.0, 0.1, 0.4, 0.02], signal=2.0)
    by_rule = {tuned.name: tuned for tuned in tune_rules(observed, CONFIG)}
    assert by_rule["class_wise"].score.low > by_rule["fixed"].score.high
    assert by_rule["class_wise"].difference.low > 0
    assert by_rule["best of these"].post.threshold == "class_wise"
    assert by_rule["best of these"].score.value == pytest.approx(by_rule["class_wise"].score.value, abs=0.02)


def test_a_penalty_is_found_where_common_species_are_called_too_often() -> None:
    generator = np.random.default_rng(1)
    observed = observations([1.0, 1.0, 1.0], signal=2.5)
    observed = replace(observed, counts=np.array([5.0, 5.0, 490.0]))
    observed.probability[:, 2] += 0.35 + 0.01 * generator.random(len(observed.truth))
    config = replace(CONFIG, rules=("quantile",), penalties=(0.0, 0.4))
    assert fit(("quantile",), observed, config).penalty == 0.4
    free, bound = (
        macro(balanced_accuracy(observed.truth, cross_fit(("quantile",), observed, c)))[0]
        for c in (config, replace(config, penalties=(0.0,)))
    )
    assert free > bound + 0.02


def test_shrinkage_draws_rare_species_to_the_common_threshold() -> None:
    observed = observations([1.0, 0.1], signal=2.0)
    truth = observed.truth.copy()
    truth[np.flatnonzero(truth[:, 1])[2:], 1] = False  # two positives are left
    common = 0.5
    free = class_wise(truth, observed.probability, common, 0.0)
    shrunk = class_wise(truth, observed.probability, common, 10.0)
    assert abs(shrunk[1] - common) < abs(free[1] - common) / 4
    assert abs(shrunk[0] - common) > abs(free[0] - common) / 4
    truth[:, 1] = False
    assert class_wise(truth, observed.probability, common, 10.0)[1] == common


def test_groups_stay_whole_and_parts_cover_every_row_once() -> None:
    observed = observations([1.0], signal=1.0, groups=17)
    held = np.zeros(len(observed.truth))
    for others, part in parts_of(observed, CONFIG):
        assert not set(observed.group[others]) & set(observed.group[part])
        held[part] += 1
    assert (held == 1).all()
    with pytest.raises(ValueError, match="only 3 recordings"):
        parts_of(observations([1.0], signal=1.0, groups=3), CONFIG)


def test_held_out_truth_has_no_say_in_how_it_is_decided() -> None:
    observed = observations([1.0, 0.2], signal=2.0)
    _, part = parts_of(observed, CONFIG)[0]
    before = cross_fit(("class_wise",), observed, CONFIG)[part]
    changed = replace(observed, truth=observed.truth.copy())
    changed.truth[part] = ~changed.truth[part]
    np.testing.assert_array_equal(cross_fit(("class_wise",), changed, CONFIG)[part], before)


def test_counts_are_those_of_the_network_that_judged_a_row() -> None:
    observed = observations([1.0, 1.0], signal=2.0)
    counts = np.where(np.arange(len(observed.truth))[:, None] % 4 < 2, [9.0, 1.0], [1.0, 9.0])
    own = replace(observed, counts=counts)
    post = PostConfig(penalty=0.4, rare_boost=0.5, threshold="fixed", fixed=0.2)
    for kind in (0, 2):
        rows = np.flatnonzero(np.arange(len(counts)) % 4 // 2 * 2 == kind)
        alike = replace(observed, counts=counts[kind]).rows(rows)
        np.testing.assert_array_equal(own.rows(rows).decide(post), alike.decide(post))
        np.testing.assert_array_equal(own.decide(post)[rows], alike.decide(post))
    assert own.score(post) != replace(observed, counts=counts[0]).score(post)


def test_penalty_and_boost_can_be_tuned_at_the_untuned_quantile() -> None:
    observed = replace(observations([1.0, 1.0, 1.0], signal=2.5), counts=np.array([5.0, 5.0, 490.0]))
    observed.probability[:, 2] += 0.35
    config = replace(CONFIG, rules=("untuned",), penalties=(0.0, 0.4))
    assert fit(("untuned",), observed, config) == PostConfig(penalty=0.4)
    assert tune_rules(observed, config)[0].difference.low > 0


def test_the_quantile_rule_depends_on_the_rows_it_decides() -> None:
    observed = observations([1.0], signal=3.0)
    post = fit_threshold("quantile", observed, PostConfig(), 0.0)
    assert 0.7 < post.quantile < 0.95
    assert observed.score(post) > observed.score(replace(post, quantile=0.5))


def test_the_command_on_runs_writes_what_the_main_command_takes(trained: Trained, tmp_path: Path) -> None:
    out = tmp_path / "tuned.json"
    tune(TuneConfig(runs=trained.runs, out=str(out), splits=3))
    content = json.loads(out.read_text())
    observed = read_runs(trained.runs)
    assert content["tuned_on"]["rows"] == len(observed.truth)
    assert (observed.counts.sum(axis=1) > 0).all()
    assert observed.counts.shape == observed.truth.shape
    rows = 0
    for run in trained.runs:
        card = checkpoint.read_card(Path(run) / "checkpoints" / "last")
        table = pd.read_parquet(Path(run) / "predictions.parquet")
        judged = observed.counts[rows : rows + len(table)]
        assert (judged == [card.train_counts.get(code, 0) for code in observed.species]).all()
        rows += len(table)
    assert len(np.unique(observed.counts, axis=0)) == 2, "each fold trained on its own recordings"
    assert read_tuned(out) == PostConfig(**content["post"])
    data = trained.root / "test_soundscapes"
    predict(
        InferenceConfig(
            checkpoints=trained.runs, soundscapes=(str(data),), tuned=str(out), out=str(tmp_path / "s.csv"),
            probabilities=str(tmp_path / "p.parquet"),
        )
    )  # fmt: skip
    # the data have one soundscape: a second one like it makes two to divide
    one = pd.read_parquet(tmp_path / "p.parquet")
    pd.concat([one, one.assign(file_id="copy")]).to_parquet(tmp_path / "two.parquet")
    solution = pd.read_csv(trained.root / "solution.csv", dtype=str)
    copied = solution["row_id"].str.replace(one["file_id"][0], "copy")
    pd.concat([solution, solution.assign(row_id=copied)]).to_csv(tmp_path / "truth.csv", index=False)
    again = TuneConfig(
        probabilities=str(tmp_path / "two.parquet"), truth=str(tmp_path / "truth.csv"),
        checkpoints=trained.runs, out=str(tmp_path / "again.json"), splits=2,
    )  # fmt: skip
    tune(again)
    content = json.loads((tmp_path / "again.json").read_text())
    assert content["tuned_on"] == {"rows": 2 * len(one), "recordings": 2}
    assert content["optimism"] == pytest.approx(0, abs=0.02), "each half is like the other"


def test_what_does_not_fit_together_is_said(trained: Trained, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="predict the same clips"):
        tune(TuneConfig(runs=(trained.runs[0], trained.runs[0])))
    with pytest.raises(ValueError, match="does not exist; name finished runs"):
        tune(TuneConfig(runs=(str(tmp_path),)))
    with pytest.raises(ValueError, match="not both"):
        TuneConfig()
    with pytest.raises(ValueError, match="belong together"):
        TuneConfig(probabilities="p.parquet")
    pd.DataFrame({"x": [1]}).to_csv(tmp_path / "p.csv")
    with pytest.raises(ValueError, match="file_id and end_time"):
        tune(TuneConfig(probabilities=str(tmp_path / "p.csv"), truth="t.csv"))
