"""The bootstrap resamples recordings within species, and its intervals are those of textbooks."""

import numpy as np
import pytest
from scipy import stats

from core.scoring.resampling import BLOCK, Interval, Resampler, summarise


def all_weights(resampler: Resampler) -> np.ndarray:
    return np.concatenate(list(resampler.chunks()))


def test_every_resample_keeps_each_species_size() -> None:
    species = np.repeat(["a", "b", "c"], [10, 4, 1])
    weights = all_weights(Resampler(range(15), species, 200))
    for code in "abc":
        np.testing.assert_allclose(
            weights[:, species == code].sum(axis=1), (species == code).sum(), rtol=1e-6
        )


def test_clips_of_a_recording_move_together() -> None:
    recordings = np.repeat(np.arange(20), 3)
    weights = all_weights(Resampler(recordings, np.zeros(60), 100))
    assert (weights.reshape(100, 20, 3).std(axis=2) == 0).all()


def test_interval_of_a_mean_is_the_normal_one() -> None:
    values = np.random.default_rng(0).normal(size=400)

    def mean(weights: np.ndarray | None) -> np.ndarray:
        return np.array([values.mean()]) if weights is None else weights @ values / weights.sum(axis=1)

    interval = Resampler(range(400), np.zeros(400), 4000).interval(mean)
    half_width = 1.96 * values.std() / 20
    assert interval.low == pytest.approx(values.mean() - half_width, abs=0.012)
    assert interval.high == pytest.approx(values.mean() + half_width, abs=0.012)


def test_resamples_depend_on_the_seed_alone_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    number = 3 * BLOCK + 5
    first = all_weights(Resampler(range(30), np.zeros(30), number, seed=3))
    monkeypatch.setattr("core.scoring.resampling.CHUNK_NUMBERS", 1)
    again = Resampler(range(30), np.zeros(30), number, seed=3)
    assert len(list(again.chunks())) == 4
    assert (first == all_weights(again)).all()
    assert (first != all_weights(Resampler(range(30), np.zeros(30), number, seed=4))).any()
    fewer = all_weights(Resampler(range(30), np.zeros(30), BLOCK + 1, seed=3))
    assert (first[: BLOCK + 1] == fewer).all()


def test_one_draw_less_makes_the_variance_that_of_the_sample() -> None:
    """Five recordings, drawn five times, give four fifths of s^2 / n; drawn four times, all of it."""
    values = np.array([1.0, 2.0, 4.0, 4.5, 9.0])
    for one_less, share in ((True, 1.0), (False, 0.8)):
        resampler = Resampler(range(5), np.zeros(5), 40_000, one_less=one_less)
        drawn = np.concatenate([values @ block / block.sum(axis=0) for block in resampler.blocks()])
        assert drawn.var() == pytest.approx(share * values.var(ddof=1) / 5, rel=0.03)
        assert drawn.mean() == pytest.approx(values.mean(), abs=0.03)


def test_every_recording_is_drawn_equally_often_within_its_species() -> None:
    species = np.repeat([0, 1], [3, 7])
    mean = all_weights(Resampler(range(10), species, 20_000)).mean(axis=0)
    np.testing.assert_allclose(mean, 1, atol=0.03)


def test_bca_is_that_of_scipy() -> None:
    values = np.random.default_rng(5).exponential(size=30) ** 2
    resampler = Resampler(range(30), np.zeros(30), 30_000, one_less=False)
    drawn = np.concatenate([values @ block / block.sum(axis=0) for block in resampler.blocks()])
    influence = resampler.influence((values - values.mean()) / 30)
    found = summarise(values.mean(), drawn, 0.9, influence, "bca")
    generator = np.random.default_rng(0)
    expected = stats.bootstrap(
        (values,), np.mean, n_resamples=30_000, confidence_level=0.9, method="BCa", rng=generator
    ).confidence_interval
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), abs=0.03)
    percentile = summarise(values.mean(), drawn, 0.9)
    assert found.high > percentile.high + 0.05  # skewed to the right: bca reaches further there


def test_standard_error_by_influence_is_the_textbooks() -> None:
    values = np.random.default_rng(5).normal(size=200)
    influence = Resampler(range(200), np.zeros(200), 1).influence((values - values.mean()) / 200)
    assert influence.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(200))
    assert influence.acceleration == pytest.approx(stats.skew(values) / 6 / np.sqrt(200))
    assert influence.effective_clusters == pytest.approx(200 / (stats.kurtosis(values) + 3))


def test_adjusted_is_wider_the_fewer_recordings_carry_the_variance() -> None:
    widths = {}
    for number in (5, 200):
        values = np.tile([0.0, 1.0, 2.0, 3.0, 4.0], number // 5)
        resampler = Resampler(range(number), np.zeros(number), 4000)
        drawn = np.concatenate([values @ block / block.sum(axis=0) for block in resampler.blocks()])
        influence = resampler.influence((values - 2) / number)
        adjusted, bca = (summarise(2.0, drawn, 0.95, influence, m) for m in ("adjusted", "bca"))
        widths[number] = (adjusted.high - adjusted.low) / (bca.high - bca.low)
    assert widths[5] > 1.25
    assert 1 <= widths[200] < 1.05


def test_no_variance_at_all_is_no_error() -> None:
    resampler = Resampler(range(4), np.zeros(4), 100)
    influence = resampler.influence(np.zeros(4))
    interval = summarise(1.0, np.ones(100), 0.95, influence, "adjusted")
    assert (interval.low, interval.high, influence.standard_error) == (1.0, 1.0, 0.0)


def test_a_species_with_one_recording_is_reported() -> None:
    assert Resampler(range(4), ["a", "a", "b", "c"], 10).num_fixed == 2


def test_undefined_resamples_are_counted_not_scored() -> None:
    interval = summarise(0.5, np.array([0.4, np.nan, 0.6, np.nan]), 0.95)
    assert interval.num_dropped == 2
    assert 0.4 <= interval.low <= interval.high <= 0.6
    assert Interval(np.nan, np.nan, np.nan).as_dict() == {"value": None, "low": None, "high": None}
