"""What a recording teaches, and what it is judged by."""

from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
import pytest

from core.config import DataConfig
from core.data.competition import Competition
from core.data.labels import build_labels


def competition() -> Competition:
    """Return recordings of a with b in the background, of b alone, and without a bird."""
    recordings = pd.DataFrame(
        {"species": ["a", "b", "nocall"], "secondary": [("b",), (), ()], "rating": [5.0, 2.0, 4.0]}
    )
    return Competition(Path("x"), ("a", "b"), ("a", "b"), recordings)


@pytest.mark.parametrize(
    ("secondary", "target", "mask"), [("positive", 1.0, 1.0), ("weight", 0.0, 1.0), ("mask", 0.0, 0.0)]
)
def test_the_truth_is_the_same_whatever_training_makes_of_secondary_labels(
    secondary: Literal["positive", "weight", "mask"], target: float, mask: float
) -> None:
    labels = build_labels(competition(), DataConfig(secondary=secondary, secondary_weight=0.0))
    np.testing.assert_array_equal(
        labels.truth(np.arange(3), [0, 1]), [[True, True], [False, True], [False, False]]
    )
    taught = [labels.taught(recording) for recording in range(3)]
    np.testing.assert_array_equal([one.target for one in taught], [[1, target], [0, 1], [0, 0]])
    np.testing.assert_array_equal([one.mask for one in taught], [[1, mask], [1, 1], [1, 1]])
    np.testing.assert_allclose(labels.weight, [1.0, 0.4, 0.8])
