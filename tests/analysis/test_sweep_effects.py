"""Marginal effects and importance find what was planted, and do not find what was not."""

import numpy as np
import pytest
from scipy.stats import t as student
from sklearn.linear_model import LinearRegression

from analysis.sweep.effects import marginal_effect
from analysis.sweep.importance import importance_of
from analysis.sweep.permutation_null import shuffle_scores
from analysis.sweep.swept import FOLD, SweptParameter

RANGE, OTHER = SweptParameter("a", is_log=True), SweptParameter("b")
LISTED = SweptParameter("c", levels=("x", "y", "z"), is_ordered=False)


def test_a_planted_slope_is_found_and_a_flat_parameter_is_not() -> None:
    generator = np.random.default_rng(0)
    steep, flat = generator.uniform(-2, 0, 30), generator.random(30)
    metric = 0.5 + 0.1 * steep + 0.02 * generator.standard_normal(30)
    found, none = (marginal_effect(*pair, metric) for pair in ((RANGE, steep), (OTHER, flat)))
    assert found.change is not None
    assert none.change is not None
    assert found.change.low < 0.1 * np.ptp(steep) < found.change.high
    assert found.change.low > 0.1
    positions, _, low, high = found.curve
    truth = 0.5 + 0.1 * positions
    assert ((low <= truth) & (truth <= high)).mean() > 0.9
    assert none.change.low < 0 < none.change.high
    _, _, low, high = none.curve
    assert len(low)
    assert ((low <= metric.mean()) & (metric.mean() <= high)).all()


def test_the_change_is_that_of_least_squares() -> None:
    x, y = np.random.default_rng(0).random((2, 12))
    known = LinearRegression().fit(x[:, None], y)
    effect = marginal_effect(OTHER, x, y)
    assert effect.change is not None
    assert effect.change.value == pytest.approx(known.coef_[0] * np.ptp(x))


def test_curves_follow_a_straight_line_to_its_ends() -> None:
    x = np.random.default_rng(0).random(15)
    positions, value, _, _ = marginal_effect(OTHER, x, 2 + 3 * x).curve
    assert (positions[0], positions[-1]) == pytest.approx((x.min(), x.max()))
    assert value == pytest.approx(2 + 3 * positions)


@pytest.mark.parametrize("number", [8, 20])
def test_bands_hold_the_truth_as_often_as_they_say(number: int) -> None:
    inside, changes = [], []
    for seed in range(150):
        generator = np.random.default_rng([number, seed])
        x = generator.random(number)
        effect = marginal_effect(
            OTHER, x, x + generator.standard_normal(number), num_resamples=400, seed=seed
        )
        assert effect.change is not None
        truth, _, low, high = effect.curve
        inside.append(((low <= truth) & (truth <= high)).mean())
        changes.append(effect.change.low <= np.ptp(x) <= effect.change.high)
    assert 0.90 < np.mean(inside) < 0.99
    assert 0.89 < np.mean(changes) < 0.99


def test_means_of_listed_values_have_intervals_as_wide_as_students() -> None:
    generator = np.random.default_rng(0)
    place = np.repeat([0.0, 1.0, 2.0], [8, 8, 8])
    metric = place + generator.standard_normal(24)
    effect = marginal_effect(LISTED, place, metric, num_resamples=20_000)
    groups = [metric[place == level] for level in range(3)]
    error = np.sqrt(np.mean([group.var(ddof=1) for group in groups]) / 8)
    for interval, group in zip(effect.levels, groups, strict=True):
        assert interval.value == pytest.approx(group.mean())
        assert interval.high - interval.low == pytest.approx(2 * student.isf(0.025, 21) * error, rel=0.06)
    assert effect.change is None, "there is no way from the first to the last of three names"
    assert effect.curve.shape == (4, 0)
    assert effect.counts == [8, 8, 8]


def test_too_few_trials_are_said_to_be_too_few() -> None:
    few = marginal_effect(OTHER, np.arange(5.0), np.random.default_rng(0).random(5))
    assert few.curve.shape == (4, 0)
    assert few.change is None
    assert few.note == "5 trials: too few for any effect (at least 6)"
    some = marginal_effect(OTHER, np.arange(10.0), np.random.default_rng(0).random(10))
    assert some.note == "10 trials: only large effects show"
    place = np.array([0, 0, 0, 0, 1, 1, 1, 2.0])
    once = marginal_effect(LISTED, place, np.random.default_rng(0).random(8))
    assert once.note == "8 trials, 1 of its values tried once only"
    assert np.isnan(once.levels[2].low)
    assert not np.isnan(once.levels[0].low)
    assert marginal_effect(OTHER, np.arange(25.0), np.random.default_rng(0).random(25)).note == ""


def test_importance_ranks_the_planted_parameter_first() -> None:
    generator = np.random.default_rng(1)
    columns = [generator.random(40), generator.random(40), generator.integers(0, 3, 40).astype(float)]
    metric = 0.1 * np.sin(6 * columns[1]) + 0.01 * generator.standard_normal(40)
    found = importance_of((RANGE, OTHER, LISTED), columns, metric, num_trees=100)
    assert found is not None
    first, share = found.ranked[0]
    assert first is OTHER
    assert share.low > 0.2
    assert all(other.value < 0.1 for _, other in found.ranked[1:])
    assert found.explained > 0.5
    assert found.caution == ""


def test_importance_of_names_goes_by_all_their_values() -> None:
    generator = np.random.default_rng(1)
    columns = [generator.random(40), generator.integers(0, 3, 40).astype(float)]
    metric = (columns[1] == 1) + 0.1 * generator.standard_normal(40)
    found = importance_of((OTHER, LISTED), columns, metric, num_trees=100)
    assert found is not None
    assert found.ranked[0][0] is LISTED


def test_importance_of_noise_comes_with_cautions() -> None:
    generator = np.random.default_rng(0)
    columns = [generator.random(12), generator.random(12)]
    found = importance_of((RANGE, OTHER), columns, generator.random(12), num_trees=60)
    assert found is not None
    assert found.explained <= 0
    assert "no better than their mean: nothing to be read here" in found.caution
    assert "12 trials for 2 parameters: a hint at most (wanted: 20)" in found.caution
    assert importance_of((RANGE, OTHER), [one[:5] for one in columns], np.arange(5.0)) is None
    assert importance_of((RANGE, OTHER), columns, np.ones(12)) is None


def test_shuffled_scores_find_what_was_planted_and_correct_the_rest() -> None:
    generator = np.random.default_rng(0)
    steep, flat = generator.uniform(-2, 0, 24), generator.random(24)
    kind = generator.integers(3, size=24).astype(float)
    metric = 0.5 + 0.1 * steep + 0.02 * generator.standard_normal(24)
    found = shuffle_scores((OTHER, RANGE, LISTED), (flat, steep, kind), metric)
    assert found is not None
    assert found.corrected[0][0] == RANGE
    assert found.p == found.corrected[0][1] == pytest.approx(1 / 10_001)
    assert all(p > 0.05 for parameter, p in found.corrected if parameter != RANGE)
    hump = 0.5 - 0.1 * (flat - 0.5) ** 2 + 0.001 * generator.standard_normal(24)
    bent = shuffle_scores((OTHER, RANGE), (flat, steep), hump)
    assert bent is not None
    assert bent.corrected[0][0] == OTHER
    assert bent.p < 0.01


def test_shuffled_scores_give_a_false_alarm_in_one_sweep_of_twenty() -> None:
    alarms = 0
    for seed in range(300):
        generator = np.random.default_rng(seed)
        places = [*generator.random((3, 12)), generator.integers(3, size=12).astype(float)]
        parameters = (OTHER, RANGE, SweptParameter("d"), LISTED)
        found = shuffle_scores(parameters, places, generator.standard_normal(12), num_shuffles=199, seed=seed)
        assert found is not None
        alarms += found.p <= 0.05
    assert 4 <= alarms <= 29  # of 300 at 5 %, 99.9 % lie here


def test_scores_of_different_folds_are_not_exchanged() -> None:
    generator = np.random.default_rng(1)
    fold = np.repeat([0.0, 1.0], 12)
    where = SweptParameter(FOLD, levels=(0, 1), is_ordered=False)
    along = fold + 0.3 * generator.random(24)  # varies with the fold above all, as the score does
    metric = 0.6 + 0.2 * fold + 0.02 * generator.standard_normal(24)
    blind = shuffle_scores((where, OTHER), (fold, along), metric)
    found = shuffle_scores((where, OTHER), (fold, along), metric, fold)
    assert blind is not None
    assert found is not None
    assert [parameter for parameter, _ in found.corrected] == [OTHER]
    assert blind.p < 0.001
    assert found.p > 0.05


def test_too_few_trials_or_nothing_to_test_have_no_null() -> None:
    generator = np.random.default_rng(0)
    few, many = generator.random((2, 7)), generator.random((2, 9))
    assert shuffle_scores((OTHER,), (few[0],), few[1]) is None
    assert shuffle_scores((SweptParameter("seed", (0, 1, 2)),), (many[0],), many[1]) is None
    assert shuffle_scores((OTHER,), (many[0],), np.ones(9)) is None
