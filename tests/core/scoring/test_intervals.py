"""Intervals of all metrics at once; rare species are told of, not hidden."""

import numpy as np
import pytest

from core.scoring.intervals import METRICS, Bootstrapped, bootstrap, build_metrics
from core.scoring.metrics import macro, roc_auc
from core.scoring.resampling import Resampler


@pytest.fixture(scope="module")
def drawn() -> Bootstrapped:
    """Return 200 resamples of species with 30, 4, 1 and 0 recordings of two clips."""
    species = np.repeat([0, 1, 2, 9], np.multiply([30, 4, 1, 20], 2))
    truth = species[:, None] == np.arange(4)
    noise = np.random.default_rng(0).normal(size=truth.shape)
    probability = 1 / (1 + np.exp(-noise - 1.5 * truth))
    resampler = Resampler(np.arange(110) // 2, species, 200)
    return bootstrap(build_metrics(truth, probability, resampler.cluster_of_row), truth, resampler)


def test_few_recordings_are_noted_and_one_has_no_interval(drawn: Bootstrapped) -> None:
    many, few, one, none = drawn.species_intervals("auc")
    assert many.note == ""
    assert many.low < many.value < many.high
    assert few.note == "recordings: 4, interval may be too short"
    assert few.low < few.high
    assert one.note == "recordings: 1, no interval"
    assert np.isnan([one.low, one.high]).all()
    assert not np.isnan(one.value)
    assert none.note == "no recordings"
    assert np.isnan(none.value)


def test_macro_says_whose_uncertainty_it_lacks(drawn: Bootstrapped) -> None:
    interval = drawn.macro_interval("auc")
    assert interval.note == "misses the uncertainty of 1 species with a single recording"
    assert interval.low < interval.value < interval.high


def test_all_metrics_are_there_for_all_resamples(drawn: Bootstrapped) -> None:
    assert set(drawn.values) == set(METRICS)
    assert all(drawn.drawn[name].shape == (200, 1 if name == "top1" else 4) for name in METRICS)


def test_a_species_that_a_resample_lacks_is_counted_and_keeps_its_value() -> None:
    """The second species sings in the background of one recording only, which a third of resamples lack."""
    truth = np.zeros((40, 2), dtype=bool)
    truth[:20, 0] = True
    truth[0, 1] = True
    probability = np.random.default_rng(0).random((40, 2))
    resampler = Resampler(range(40), np.repeat([0, 1], 20), 500)
    drawn = bootstrap(build_metrics(truth, probability, resampler.cluster_of_row, ("auc",)), truth, resampler)
    interval = drawn.macro_interval("auc")
    weights = np.concatenate(list(resampler.chunks()))
    lacking = weights[:, 0] == 0
    assert 0.3 < lacking.mean() < 0.45
    assert interval.num_dropped == lacking.sum()
    areas = roc_auc(truth, probability, weights)
    areas[lacking, 1] = roc_auc(truth, probability)[0, 1]
    np.testing.assert_allclose(drawn.macro_drawn("auc"), macro(areas), atol=1e-6)


def test_cmap_of_rare_species_is_said_to_read_high() -> None:
    species = np.repeat([0, 1, 2], [30, 6, 30])
    truth = species[:, None] == np.arange(2)
    probability = np.random.default_rng(0).random(truth.shape)
    resampler = Resampler(range(66), species, 100)
    names = ("auc", "average_precision")
    drawn = bootstrap(build_metrics(truth, probability, resampler.cluster_of_row, names), truth, resampler)
    note = drawn.macro_interval("average_precision").note
    assert note == "reads high: 1 species with fewer than 10 recordings"
    assert drawn.macro_interval("auc").note == ""
