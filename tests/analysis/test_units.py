from dataclasses import replace

import numpy as np
import pytest

from analysis.runs import Aligned
from analysis.units import drawn_units, exchanged_units


@pytest.fixture
def aligned() -> Aligned:
    """Return five clips of four recordings by one known author, of two species, and an unknown one."""
    return Aligned(
        names=("run",),
        species=("a", "b"),
        truth=np.zeros((5, 2), dtype=bool),
        probability=np.zeros((1, 5, 2)),
        recording=np.array(["1", "1", "2", "3", "4"]),
        author=np.array(["Kim", "Kim", "Kim", "unknown", "unknown"]),
        primary=np.array(["a", "a", "b", "b", "b"]),
        fold=np.zeros(5),
        start_seconds=np.zeros(5),
    )


def numbered(units: np.ndarray) -> list[int]:
    return np.unique(units, return_inverse=True)[1].tolist()


def test_recordings_are_units_by_default(aligned: Aligned) -> None:
    assert drawn_units(aligned, "recording").tolist() == ["1", "1", "2", "3", "4"]
    assert exchanged_units(aligned, "recording").tolist() == ["1", "1", "2", "3", "4"]


def test_authors_are_drawn_within_a_species_and_exchanged_whole(aligned: Aligned) -> None:
    drawn, exchanged = drawn_units(aligned, "author"), exchanged_units(aligned, "author")
    assert drawn[0] == drawn[1] != drawn[2]
    assert exchanged[0] == exchanged[1] == exchanged[2]


def test_unknown_authors_are_not_one_author(aligned: Aligned) -> None:
    assert len(set(numbered(exchanged_units(aligned, "author")))) == 3
    nobody = replace(aligned, author=np.full(5, "unknown"))
    assert numbered(drawn_units(nobody, "author")) == [0, 0, 1, 2, 3]
