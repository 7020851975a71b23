"""The one interval is that of textbooks; what keeps it from being trusted is said."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from core.scoring.draws import METRICS, OF_ROWS, draw_metrics, draw_quantity
from core.scoring.intervals import Draws, Interval
from core.scoring.metrics import macro, roc_auc
from core.scoring.resampling import Resampler


def mean_of(values: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    return lambda weights: (values @ weights / weights.sum(axis=0))[:, None]


def draw_mean(values: np.ndarray, number: int = 4000, *, one_less: bool = True) -> Draws:
    resampler = Resampler(range(len(values)), np.zeros(len(values)), number, one_less=one_less)
    return draw_quantity(mean_of(values), resampler)


def test_a_number_is_never_shown_as_nothing_that_is_something() -> None:
    assert str(Interval(0.5, 0.25, 0.75)) == "0.500 [0.250, 0.750]"
    assert str(Interval(-0.0002, -0.01, 0.002)) == "0.000 [-0.010, 0.002]"
    assert str(Interval(0.00012, 0.0, 0.00034)) == "0.00012 [0.00000, 0.00034]"
    assert str(Interval(0.0, 0.0, 0.0)) == "0.000 [0.000, 0.000]"
    assert str(Interval(7e-17, 0.0, 2e-16)) == "0.000 [0.000, 0.000]"
    assert str(Interval(0.0, np.nan, np.nan)) == "0.000 (no interval)"


def test_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(size=400)
    interval = draw_mean(values).interval(method="percentile")
    half_width = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.012)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.012)


def test_bca_is_that_of_scipy() -> None:
    values = np.random.default_rng(5).exponential(size=30) ** 2
    drawn = draw_mean(values, 30_000, one_less=False)
    found = drawn.interval(0.9, "bca")
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=30_000, confidence_level=0.9, method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval  # fmt: skip
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)
    # skewed to the right: bca reaches further there
    assert found.high > drawn.interval(0.9, "percentile").high + 0.05


def test_leaving_clusters_out_finds_the_derivative() -> None:
    values = np.random.default_rng(5).normal(size=50)
    gradient = draw_mean(values, 64).gradient[:, 0]
    np.testing.assert_allclose(gradient, (values - values.mean()) / 49, atol=1e-7)


def test_adjusted_is_wider_the_fewer_recordings_carry_the_variance() -> None:
    widths = {}
    for number in (5, 200):
        drawn = draw_mean(np.tile([0.0, 1.0, 2.0, 3.0, 4.0], number // 5))
        adjusted, bca = (drawn.interval(method=method) for method in ("adjusted", "bca"))
        widths[number] = (adjusted.high - adjusted.low) / (bca.high - bca.low)
    assert widths[5] > 1.25
    assert 1 <= widths[200] < 1.05


@pytest.mark.parametrize(("outliers", "told"), [(1, "1 recording"), (2, "2 recordings")])
def test_the_few_recordings_that_a_mean_hangs_on_are_told(outliers: int, told: str) -> None:
    values = np.repeat([0.0, 100.0], [98, outliers])
    assert draw_mean(values, 100).mean().interval().note == f"its variance hangs on about {told}"


def test_no_variance_at_all_is_no_error() -> None:
    interval = draw_mean(np.ones(4), 100).interval()
    assert (interval.value, interval.low, interval.high) == pytest.approx((1.0, 1.0, 1.0), abs=1e-6)


def test_an_interval_never_excludes_its_own_value() -> None:
    """Resamples that lie above the value throughout, as those of a quantity that is never negative may."""
    drawn = draw_mean(np.random.default_rng(0).normal(size=20), 200)
    shifted = replace(drawn, drawn=drawn.drawn + 5)
    for method in ("adjusted", "bca", "percentile"):
        interval = shifted.interval(method=method)
        assert interval.low <= interval.value <= interval.high


def test_undefined_resamples_are_counted_not_scored() -> None:
    resampler = Resampler(range(4), np.zeros(4), 4)
    drawn = Draws(resampler, np.array([0.5]), np.array([[0.4], [np.nan], [0.6], [np.nan]]), np.zeros((4, 1)))
    interval = drawn.interval()
    assert interval.num_dropped == 2
    assert 0.4 <= interval.low <= interval.high <= 0.6
    assert Interval(np.nan, np.nan, np.nan).as_dict() == {"value": None, "low": None, "high": None}


def test_a_function_of_quantities_has_their_interval() -> None:
    """The mean in other units: every bound is converted as the value is."""
    drawn = draw_mean(np.random.default_rng(0).exponential(size=60))
    one, other = drawn.interval(), drawn.map(lambda values: float(1 + 10 * values[0])).interval()
    assert other.value == pytest.approx(1 + 10 * one.value)
    assert (other.low, other.high) == pytest.approx((1 + 10 * one.low, 1 + 10 * one.high), abs=1e-4)


def test_a_difference_is_paired() -> None:
    values = np.random.default_rng(0).normal(size=60)
    difference = draw_mean(values + 0.25) - draw_mean(values)
    interval = difference.interval()
    assert (interval.value, interval.low, interval.high) == pytest.approx((0.25, 0.25, 0.25), abs=1e-6)
    assert difference.standard_error[0] < 1e-6


@pytest.fixture(scope="module")
def drawn() -> dict[str, Draws]:
    """Return 200 resamples of species with 30, 4, 1 and 0 recordings of two clips."""
    species = np.repeat([0, 1, 2, 9], np.multiply([30, 4, 1, 20], 2))
    truth = species[:, None] == np.arange(4)
    noise = np.random.default_rng(0).normal(size=truth.shape)
    probability = 1 / (1 + np.exp(-noise - 1.5 * truth))
    return draw_metrics(truth, probability, Resampler(np.arange(110) // 2, species, 200))


def test_few_recordings_are_noted_and_one_has_no_interval(drawn: dict[str, Draws]) -> None:
    many, few, one, none = drawn["auc"].intervals()
    assert many.note == ""
    assert many.low < many.value < many.high
    assert few.note == "recordings: 4, interval may be too short"
    assert few.low < few.high
    assert one.note == "recordings: 1, no interval"
    assert np.isnan([one.low, one.high]).all()
    assert not np.isnan(one.value)
    assert none.note == "no recordings"
    assert np.isnan(none.value)


def test_macro_says_whose_uncertainty_it_lacks(drawn: dict[str, Draws]) -> None:
    interval = drawn["auc"].mean().interval()
    assert interval.note == "misses the uncertainty of 1 species with one of the recordings"
    assert interval.low < interval.value < interval.high


def test_all_metrics_are_there_for_all_resamples(drawn: dict[str, Draws]) -> None:
    assert set(drawn) == set(METRICS)
    assert all(drawn[name].drawn.shape == (200, 1 if name in OF_ROWS else 4) for name in METRICS)


def test_a_species_that_a_resample_lacks_is_counted_and_keeps_its_value() -> None:
    """The second species sings in the background of one recording only, which a third of resamples lack."""
    truth = np.zeros((40, 2), dtype=bool)
    truth[:20, 0] = True
    truth[0, 1] = True
    probability = np.random.default_rng(0).random((40, 2))
    resampler = Resampler(range(40), np.repeat([0, 1], 20), 500, one_less=False)
    mean = draw_metrics(truth, probability, resampler, ("auc",))["auc"].mean()
    weights = np.concatenate(list(resampler.blocks()), axis=1)
    lacking = weights[0] == 0
    assert 0.3 < lacking.mean() < 0.45
    assert mean.interval().num_dropped == lacking.sum()
    for drawn, weight in zip(mean.drawn[:, 0], weights.T.astype(int), strict=True):
        rows = np.repeat(np.arange(40), weight)
        areas = roc_auc(truth[rows], probability[rows])
        expected = macro(np.where(np.isnan(areas), roc_auc(truth, probability), areas))
        assert drawn == pytest.approx(expected, abs=1e-6)


def test_cmap_of_rare_species_is_said_to_read_high() -> None:
    species = np.repeat([0, 1, 2], [30, 6, 30])
    truth = species[:, None] == np.arange(2)
    probability = np.random.default_rng(0).random(truth.shape)
    drawn = draw_metrics(truth, probability, Resampler(range(66), species, 100), ("auc", "average_precision"))
    note = drawn["average_precision"].mean().interval().note
    assert note == "reads high: 1 species with fewer than 10 recordings"
    assert drawn["auc"].mean().interval().note == ""
