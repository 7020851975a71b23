"""Predictions keep what belongs to them, on disk and row by row."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from core.scoring.predictions import Predictions, pool_predictions, require_same_clips, with_counts


@pytest.fixture
def clips() -> Predictions:
    """Return five clips of four recordings by one known author, of two species, and an unknown one."""
    return Predictions.of(
        ["a", "b"],
        np.linspace(0, 1, 10).reshape(5, 2),
        np.eye(2, dtype=bool)[[0, 0, 1, 1, 1]],
        np.array(["1", "1", "2", "3", "4"]),
        author=np.array(["Kim", "Kim", "Kim", "unknown", "unknown"]),
        primary=np.array(["a", "a", "b", "b", "b"]),
        fold=np.array([0, 0, 0, 1, 1]),
        start_seconds=np.array([0.0, 5.0, 0.0, 0.0, 0.0]),
        name="run",
    )


def numbered(units: np.ndarray) -> list[int]:
    return np.unique(units, return_inverse=True)[1].tolist()


def test_recordings_are_units_by_default(clips: Predictions) -> None:
    assert clips.drawn_units("recording").tolist() == ["1", "1", "2", "3", "4"]
    assert clips.exchanged_units("recording").tolist() == ["1", "1", "2", "3", "4"]


def test_authors_are_drawn_within_a_species_and_exchanged_whole(clips: Predictions) -> None:
    drawn, exchanged = clips.drawn_units("author"), clips.exchanged_units("author")
    assert drawn[0] == drawn[1] != drawn[2]
    assert exchanged[0] == exchanged[1] == exchanged[2]


def test_unknown_authors_are_not_one_author(clips: Predictions) -> None:
    assert len(set(numbered(clips.exchanged_units("author")))) == 3
    nobody = replace(clips, author=np.full(5, "unknown"))
    assert numbered(nobody.drawn_units("author")) == [0, 0, 1, 2, 3]


def test_what_is_written_is_read_sorted_by_clip(clips: Predictions, tmp_path: Path) -> None:
    whole = replace(clips, site=np.array(["H02"] * 5), start_time=np.array(["2023-04-20T07:40:00"] * 5))
    whole.rows(np.array([3, 1, 4, 0, 2])).to_table().to_parquet(tmp_path / "p.parquet")
    read = Predictions.read(tmp_path / "p.parquet", "run")
    for name in whole.columns_of_rows():
        one, other = getattr(whole, name), getattr(read, name)
        assert np.allclose(one, other) if name == "probability" else (one == other).all(), name
    require_same_clips([whole, read])
    assert "site" not in clips.to_table(), "what is unknown makes no column"


def test_folds_are_pooled_and_no_clip_twice(clips: Predictions) -> None:
    folds = [clips.rows(clips.fold == fold) for fold in (1, 0)]
    pooled = pool_predictions(folds, "all")
    require_same_clips([clips, pooled])
    with pytest.raises(ValueError, match="predict the same clips"):
        pool_predictions([clips, clips])


def test_counts_are_those_of_the_network_that_judged_a_row(clips: Predictions) -> None:
    told = with_counts(clips, {0: {"a": 7, "b": 5}, 1: {"b": 9}})
    assert told.counts.tolist() == [[7, 5]] * 3 + [[0, 9]] * 2
    counted = with_counts(clips, {})
    assert counted.counts.tolist() == [[0, 2]] * 3 + [[1, 1]] * 2, "recordings of the other fold"
    alone = clips.rows(clips.fold == 0)
    assert not with_counts(alone, {}).counts.any(), "of a single fold nothing is known"
