"""The bootstrap resamples recordings within species, and its intervals are those of textbooks."""

import numpy as np
import pytest

from core.bootstrap import Interval, Resampler, summarise


def all_weights(resampler: Resampler) -> np.ndarray:
    return np.concatenate(list(resampler.chunks()))


def test_every_resample_keeps_each_species_size() -> None:
    species = np.repeat(["a", "b", "c"], [10, 4, 1])
    weights = all_weights(Resampler(range(15), species, 200))
    for code in "abc":
        assert (weights[:, species == code].sum(axis=1) == (species == code).sum()).all()


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


def test_intervals_are_reproducible_by_seed_and_whatever_the_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    first = all_weights(Resampler(range(30), np.zeros(30), 50, seed=3))
    again = all_weights(Resampler(range(30), np.zeros(30), 50, seed=3))
    assert (first == again).all()
    assert (first != all_weights(Resampler(range(30), np.zeros(30), 50, seed=4))).any()


def test_a_species_with_one_recording_is_reported() -> None:
    assert Resampler(range(4), ["a", "a", "b", "c"], 10).num_fixed == 2


def test_undefined_resamples_are_counted_not_scored() -> None:
    interval = summarise(0.5, np.array([0.4, np.nan, 0.6, np.nan]), 0.95)
    assert interval.num_dropped == 2
    assert 0.4 <= interval.low <= interval.high <= 0.6
    assert Interval(np.nan, np.nan, np.nan).as_dict() == {"value": None, "low": None, "high": None}
