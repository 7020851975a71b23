"""What ratings make of the loss."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.config import DataConfig
from core.data.competition import Competition
from core.data.ratings import describe_ratings, known_ratings, rating_weights


@pytest.mark.parametrize(
    ("ratings", "data", "expected"),
    [
        ([5, 4, 0, 3, 0.25], DataConfig(), [1.0, 0.8, 0.7, 0.6, 0.1]),  # unrated: the median of 5, 4, 3, 0.25
        ([5, 4, 0], DataConfig(unrated="lowest"), [1.0, 0.8, 0.1]),
        ([4, 4, 2, 0], DataConfig(), [1.0, 1.0, 0.5, 1.0]),
        ([0, 0], DataConfig(), [1.0, 1.0]),
        ([0, 0], DataConfig(unrated="lowest"), [1.0, 1.0]),
        ([5, 1, 0], DataConfig(use_ratings=False), [1.0, 1.0, 1.0]),
    ],
)
def test_weights(ratings: list[float], data: DataConfig, expected: list[float]) -> None:
    recordings = pd.DataFrame({"rating": ratings})
    np.testing.assert_allclose(rating_weights(recordings, data), expected, rtol=1e-6)
    assert recordings["rating"].tolist() == ratings


def test_an_unrated_recording_is_not_a_badly_rated_one() -> None:
    recordings = pd.DataFrame({"rating": [5.0, 3.0, 1.0, 0.0]})
    assert (known_ratings(recordings, DataConfig()) >= 3).tolist() == [True, True, False, True]
    as_original = known_ratings(recordings, DataConfig(unrated="lowest"))
    assert (as_original >= 3).tolist() == [True, True, False, False]


def test_the_line_tells_how_weights_fall_on_scored_and_other_species() -> None:
    recordings = pd.DataFrame({"species": list("aabbb"), "rating": [0.0, 0.0, 5.0, 4.0, 0.0]})
    competition = Competition(Path("x"), ("a", "b"), ("a",), recordings)
    line = describe_ratings(competition, DataConfig(unrated="lowest"))
    assert "3 of 5 recordings are unrated and weigh 0.10 (data.unrated=lowest)" in line
    assert "scored species: 2 recordings, 2 unrated, mean weight 0.10" in line
    assert "others: 3 recordings, 1 unrated, mean weight 0.63" in line
    assert "weigh 0.90" in describe_ratings(competition, DataConfig())
    assert "all weigh 1" in describe_ratings(competition, DataConfig(use_ratings=False))
