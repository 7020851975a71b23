"""The bootstrap resamples recordings within species."""

import numpy as np
import pytest
from scipy import stats

from core.scoring.resampling import BLOCK, Resampler


def all_weights(resampler: Resampler) -> np.ndarray:
    """Return (resample, row)."""
    return np.concatenate(list(resampler.blocks()), axis=1)[resampler.cluster_of_row].T


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


def test_resamples_depend_on_the_seed_alone() -> None:
    number = 3 * BLOCK + 5
    first, again, other = (
        all_weights(Resampler(range(30), np.zeros(30), number, seed)) for seed in (3, 3, 4)
    )
    assert (first == again).all()
    assert (first != other).any()
    fewer = all_weights(Resampler(range(30), np.zeros(30), BLOCK + 1, seed=3))
    assert (first[: BLOCK + 1] == fewer).all()


def test_draws_are_the_same_whether_they_are_kept_or_not(monkeypatch: pytest.MonkeyPatch) -> None:
    kept = all_weights(Resampler(range(30), np.zeros(30), 100))
    monkeypatch.setattr("core.scoring.resampling.MOST_KEPT_WEIGHTS", 0)
    assert (all_weights(Resampler(range(30), np.zeros(30), 100)) == kept).all()


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


def test_each_cluster_is_left_out_once() -> None:
    weights = np.concatenate(list(Resampler(range(BLOCK + 3), np.zeros(BLOCK + 3)).without_each()), axis=1)
    np.testing.assert_array_equal(weights, 1 - np.eye(BLOCK + 3))


def test_standard_error_by_influence_is_the_textbooks() -> None:
    values = np.random.default_rng(5).normal(size=200)
    influence = Resampler(range(200), np.zeros(200), 1).influences((values - values.mean())[:, None] / 200)[0]
    assert influence.standard_error == pytest.approx(values.std(ddof=1) / np.sqrt(200))
    assert influence.acceleration == pytest.approx(stats.skew(values) / 6 / np.sqrt(200))
    assert influence.effective_clusters == pytest.approx(200 / (stats.kurtosis(values) + 3))


def test_a_species_with_one_recording_is_reported() -> None:
    assert Resampler(range(4), ["a", "a", "b", "c"], 10).num_fixed == 2
