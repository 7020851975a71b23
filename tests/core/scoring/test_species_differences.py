"""Species by species: few false discoveries, and what really differs is found."""

import numpy as np
import pytest
from scipy.special import expit

from core.scoring.metrics import roc_auc
from core.scoring.predictions import Predictions
from core.scoring.species_differences import compare_species, format_species

SPECIES = tuple(f"bird{i:02d}" for i in range(12))


def pair(gain: np.ndarray, seed: int) -> tuple[Predictions, Predictions]:
    """Return two runs about 15 recordings a species; the second's logits of positives gain by species."""
    generator = np.random.default_rng(seed)
    truth = np.repeat(np.eye(len(SPECIES), dtype=bool), 15, axis=0)
    names = np.array([f"{i}.ogg" for i in range(len(truth))])
    logits = generator.normal(size=(2, *truth.shape)) + 1.0 * truth
    logits[1] += gain * truth
    first, second = (Predictions.of(SPECIES, expit(one), truth, names) for one in logits)
    return first, second


def test_species_that_gained_are_found_and_others_seldom() -> None:
    gain = np.where(np.arange(12) < 3, 3.0, 0.0)
    base, run = pair(gain, 0)
    found = compare_species(base, run, num_resamples=200, num_flips=1000)
    different = {one.species for one in found.differences if one.q <= 0.05}
    assert set(SPECIES[:3]) <= different
    assert len(different) <= 4
    values = {one.species: (one.base_value, one.value) for one in found.differences}
    areas = [roc_auc(one.truth, one.probability) for one in (base, run)]
    for place, code in enumerate(SPECIES):
        assert values[code] == pytest.approx((areas[0][place], areas[1][place]), abs=1e-6)
    before, after = found.profiles[0.9]
    assert after > before
    assert 0.5 < found.improvement < 1
    text = format_species(found, "a", "b", 0.05)
    assert text.startswith(
        f"  b minus a: {len(different)} of 12 species differ, at most 5% of them by chance"
    )


def test_equal_runs_have_false_discoveries_in_few_of_100_data_sets() -> None:
    wrong = 0
    for seed in range(60):
        found = compare_species(*pair(np.zeros(12), 100 + seed), num_resamples=100, num_flips=400)
        wrong += any(one.q <= 0.05 for one in found.differences)
    assert wrong <= 8, "5 % of 60, and what chance leaves open"
