"""Metadata of one or more folders."""

import json
from pathlib import Path

import pandas as pd
import pytest

from core.data.competition import read_competition


def write(
    root: Path, rows: list[tuple[str, str, str]], scored: list[str] | None = None, **columns: object
) -> Path:
    root.mkdir(parents=True, exist_ok=True)
    table = pd.DataFrame(rows, columns=["primary_label", "filename", "secondary_labels"]).assign(**columns)
    table.to_csv(root / "train_metadata.csv", index=False)
    if scored is not None:
        (root / "scored_birds.json").write_text(json.dumps(scored))
    return root


def test_species_are_sorted_and_unknown_secondary_labels_counted(tmp_path: Path) -> None:
    rows = [("b", "b/1.ogg", "['a', 'ghost', 'b']"), ("a", "a/2.ogg", "['ghost']")]
    competition = read_competition(write(tmp_path, rows, ["b"]))
    assert competition.species == ("a", "b")
    assert competition.scored == ("b",)
    assert competition.scored_columns == [1]
    assert competition.recordings["secondary"].tolist() == [("a",), ()]
    assert competition.unknown_secondary == {"ghost": 2}


def test_the_layout_of_2021_scores_every_species(tmp_path: Path) -> None:
    write(tmp_path, [("a", "1.ogg", "[]")])
    (tmp_path / "train_short_audio").mkdir()
    competition = read_competition(tmp_path)
    assert competition.scored == ("a",)
    assert competition.recordings["path"].tolist() == [tmp_path / "train_short_audio" / "a" / "1.ogg"]


def test_further_folders_only_train_and_never_repeat_a_recording(tmp_path: Path) -> None:
    main = write(tmp_path / "main", [("a", "a/XC1.ogg", "[]")], ["a"])
    extra = write(tmp_path / "extra", [("a", "a/XC1.ogg", "[]"), ("z", "z/XC2.ogg", "[]")])
    competition = read_competition(main, [extra])
    assert competition.recordings["recording"].tolist() == ["a/XC1.ogg", "z/XC2.ogg"]
    assert competition.recordings["is_extra"].tolist() == [False, True]
    assert competition.scored == ("a",)
    assert competition.num_duplicates == 1


@pytest.mark.parametrize(
    "name", ["../../secret.ogg", "a/../../x.ogg", "/etc/passwd", "..\\x.ogg", "c:/x.ogg"]
)
def test_a_path_that_leaves_the_folder_is_refused(tmp_path: Path, name: str) -> None:
    write(tmp_path, [("a", "a/1.ogg", "[]"), ("a", name, "[]")], ["a"])
    with pytest.raises(ValueError, match=r"train_metadata\.csv, line 3: filename .* leaves the data folder"):
        read_competition(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("primary_label,other\na,b\n", "no column filename"),
        ("primary_label,filename\n", "no rows"),
        (
            "primary_label,filename,secondary_labels\na,a/1.ogg,[houfin\n",
            r"line 2: secondary_labels '\[houfin'",
        ),
    ],
)
def test_unreadable_metadata_says_where(tmp_path: Path, content: str, message: str) -> None:
    (tmp_path / "train_metadata.csv").write_text(content)
    with pytest.raises(ValueError, match=message):
        read_competition(tmp_path)


def test_a_folder_without_metadata_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"train_metadata\.csv: missing"):
        read_competition(tmp_path)


def test_ratings_and_authors_may_be_absent(tmp_path: Path) -> None:
    competition = read_competition(write(tmp_path, [("a", "a/1.ogg", "[]")], ["a"]))
    assert competition.recordings["rating"].tolist() == [0.0]
    assert competition.recordings["author"].tolist() == ["unknown"]
