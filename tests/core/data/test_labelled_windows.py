from pathlib import Path

import numpy as np
import pytest

from core.data.labelled_windows import LabelledWindows


def two_windows(positive: list[list[bool]], known: list[list[bool]]) -> LabelledWindows:
    return LabelledWindows(
        species=("22973", "grekis"),
        soundscape=np.array(["a/x", "b/x"]),
        begin=np.array([0.0, 5.0]),
        end=np.array([5.0, 10.0]),
        positive=np.array(positive),
        known=np.array(known),
        paths={"a/x": Path("a/x.wav"), "b/x": Path("b/x.wav")},
        site=np.array(["a", "b"]),
        start_time=np.array(["", "2023-04-20T07:40:00"]),
    )


def test_columns_follow_the_species_and_new_ones_are_unknown() -> None:
    windows = two_windows([[True, False], [False, True]], [[True, True], [False, True]])
    wider = windows.with_species(("trsowl", "grekis", "22973"))
    assert wider.species == ("trsowl", "grekis", "22973")
    np.testing.assert_array_equal(wider.positive, [[False, False, True], [False, True, False]])
    np.testing.assert_array_equal(wider.known, [[False, True, True], [False, True, False]])


def test_chosen_rows_keep_the_paths_of_their_soundscapes() -> None:
    windows = two_windows([[True, False], [False, True]], [[True, True], [True, True]])
    second = windows.rows(np.array([False, True]))
    assert len(second) == 1
    assert second.paths == {"b/x": Path("b/x.wav")}
    assert second.site.tolist() == ["b"]
    np.testing.assert_array_equal(second.positive, [[False, True]])
    assert len(LabelledWindows.none(("grekis",)).with_species(("a", "b"))) == 0


def test_what_nobody_listened_for_cannot_be_positive() -> None:
    with pytest.raises(AssertionError, match="not known"):
        two_windows([[True, False], [False, False]], [[False, True], [True, True]])
