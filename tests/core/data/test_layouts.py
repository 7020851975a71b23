"""Each year's folder, and any lab's: recognised by what is in it."""

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from core.config_data import ColumnConfig
from core.data.competition import describe, read_competition
from core.data.layouts import LAYOUTS, recognise
from tests.folders import (
    RATE,
    RECORDINGS,
    SORTED,
    TAXONOMY_ORDER,
    UNRECORDED,
    WINDOWS,
    YEARS,
    classes_of,
    make_year,
)
from tests.programs import refusal, run_program


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    folder = tmp_path_factory.mktemp("years")
    return {year: make_year(folder / str(year), year, hidden_test=False) for year in YEARS}


def write_wave(file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(file, np.full(RATE // 10, 0.1), RATE)


@pytest.mark.parametrize("year", YEARS)
def test_a_year_is_recognised_with_its_classes(years: dict[int, Path], year: int) -> None:
    found = read_competition(years[year])
    assert found.layout == LAYOUTS[year]
    assert found.species == found.taxonomy.codes == classes_of(year)
    assert found.scored == (SORTED[1:4] if year == 2022 else found.species)
    assert all(path.is_file() for path in found.recordings["path"])
    assert found.recordings["rating"].tolist()[:RECORDINGS] == [0.0, 2.5, 4.5, 5.0]
    secondary = ["grekis"] if found.species[0] != "grekis" else []
    assert found.recordings["secondary"].tolist()[:RECORDINGS] == [(), (), (), tuple(secondary)]
    assert set(found.unknown_secondary) == {"ghost"}
    assert found.taxonomy.label("nan") == "Bird nan (nan)"


@pytest.mark.parametrize(
    ("year", "labelled", "unlabelled"),
    [(2021, 2, 0), (2022, 0, 0), (2023, 0, 0), (2024, 0, 1), (2025, 0, 1), (2026, 2, 1)],
)
def test_soundscapes_of_a_year(years: dict[int, Path], year: int, labelled: int, unlabelled: int) -> None:
    found = read_competition(years[year])
    assert (len(found.soundscapes.paths), len(found.unlabelled)) == (labelled, unlabelled)
    assert found.soundscapes.species == found.species
    assert not set(found.soundscapes.paths) & set(found.unlabelled)


def test_labels_of_2021_are_space_separated_or_nocall(years: dict[int, Path]) -> None:
    windows = read_competition(years[2021]).soundscapes
    assert len(windows) == 2 * WINDOWS
    assert windows.known.all()
    heard = [[code for code, there in zip(SORTED, row, strict=True) if there] for row in windows.positive]
    assert heard == [["001", "nan"], [], ["1e5"], ["grekis"]] * 2


def test_labels_of_2026_stand_twice_and_count_once(years: dict[int, Path]) -> None:
    found = read_competition(years[2026])
    windows = found.soundscapes
    assert len(windows) == 2 * 3  # the window without a row is unknown
    assert windows.positive.sum(axis=0).tolist() == [2, 0, 2, 2, 0, 2, 2, 2]
    assert any("train_soundscapes_labels.csv: 6 rows counted once" in note for note in found.notes)
    assert f"classes without a recording: 2 ({', '.join(UNRECORDED)})" in "\n".join(found.notes)


def test_what_was_recognised_is_printed(years: dict[int, Path]) -> None:
    text = run_program("core.data.competition", years[2026])
    for part in (
        "BirdCLEF 2026 (submission wide, metric macro_auc, 90 minutes)",
        "Classes: 8 in the order of taxonomy.csv, 8 scored; 5 Aves, 2 Insecta, 1 Amphibia",
        "Recordings: 24 of 6 classes, 0.01 h; 6 unrated, 5 with secondary labels",
        "Labelled soundscapes: 2, 0.01 h; 6 windows, 6 classes heard",
        "Unlabelled soundscapes: 1,",
        "labelled soundscapes hold 2 of them",
        "codes that look like numbers are text: 5 (22961, 1139490, 1e5, nan, true)",
        "secondary labels that are no class: 1 (ghost)",
        "audio in test_soundscapes/",
    ):
        assert part in text, part


def test_a_mistake_is_one_line(tmp_path: Path) -> None:
    said = refusal("core.data.competition", tmp_path / "absent")
    assert said == f"error: {tmp_path / 'absent'}: no such folder\n"


def test_parts_of_a_folder_are_found_one_by_one(years: dict[int, Path], tmp_path: Path) -> None:
    root = shutil.copytree(years[2022], tmp_path / "root")
    for name in ("taxonomy.csv", "train_soundscapes", "train_soundscapes_labels.csv"):
        place = years[2026] / name
        copy = shutil.copytree if place.is_dir() else shutil.copyfile
        copy(place, root / name)
    found = read_competition(root)
    assert found.layout.year == 2022
    assert found.scored == SORTED[1:4]
    assert found.species == tuple(sorted({*SORTED, *UNRECORDED})), "classes that soundscapes hold are classes"
    assert found.taxonomy.names("22961")[2] == "Amphibia"
    assert len(found.soundscapes.paths) == 2


def test_a_class_that_the_taxonomy_lacks_comes_last_and_is_noted(
    years: dict[int, Path], tmp_path: Path
) -> None:
    root = shutil.copytree(years[2026], tmp_path / "root")
    lines = (root / "taxonomy.csv").read_text().splitlines(keepends=True)
    (root / "taxonomy.csv").write_text(
        "".join(line for line in lines if "22961" not in line and "y00678" not in line)
    )
    found = read_competition(root)
    assert found.species == (*(c for c in TAXONOMY_ORDER if c not in {"22961", "y00678"}), "22961")
    assert found.scored == found.species[:-1]
    notes = "\n".join(found.notes)
    assert "classes that taxonomy.csv lacks, after the others and not scored: 1 (22961)" in notes
    assert "'y00678'" in notes, "a label of a soundscape that is no class"
    assert "sample_submission.csv and the scored classes differ in: 2 (22961, y00678)" in notes


def test_labels_without_soundscapes_are_noted(years: dict[int, Path], tmp_path: Path) -> None:
    root = shutil.copytree(years[2026], tmp_path / "root")
    shutil.rmtree(root / "train_soundscapes")
    found = read_competition(root)
    assert len(found.soundscapes) == 0
    assert "train_soundscapes_labels.csv is not read: no audio in" in "\n".join(found.notes)


@pytest.mark.parametrize("inside", ["", "train_audio"])
def test_folders_named_by_species_are_enough(tmp_path: Path, inside: str) -> None:
    for name in ("b 1/x.wav", "001/site/y.flac", "001/z.WAV", "background/n.wav", "loose.wav"):
        write_wave(tmp_path / inside / name)
    (tmp_path / inside / "001" / "._z.WAV").write_bytes(b"x")
    (tmp_path / inside / "001" / "notes.doc").write_bytes(b"x")
    found = read_competition(tmp_path)
    assert found.layout.year is None
    assert found.species == found.scored == ("001", "b 1")
    assert found.recordings["recording"].tolist() == ["001/site/y.flac", "001/z.WAV", "b 1/x.wav"]
    notes = "\n".join(found.notes)
    for what in ("hidden: 1", "no audio by their names: 1", "audio outside the folders of species: 1"):
        assert what in notes
    assert "names of classes: 2 (001, b 1); add taxonomy.csv" in describe(found)


def test_a_lab_names_its_columns(tmp_path: Path) -> None:
    write_wave(tmp_path / "site A" / "x.wav")
    write_wave(tmp_path / "y.wav")
    table = tmp_path / "calls.csv"
    table.write_text("Art;Datei;auch;gut\n001;site A\\x.wav;1e5;4\n1e5;y.wav;;B\n1e5;y.wav;;B\n")
    columns = ColumnConfig(
        table="calls.csv", primary_label="Art", filename="Datei", secondary_labels="auch", rating="gut"
    )
    found = read_competition(tmp_path, columns=columns)
    assert found.species == ("001", "1e5")
    assert found.recordings["path"].tolist() == [tmp_path / "site A" / "x.wav", tmp_path / "y.wav"]
    assert found.recordings["secondary"].tolist() == [("1e5",), ()]
    assert found.recordings["rating"].tolist() == [4.0, 0.0]
    assert "calls.csv, line 3: rating 'B' is no number" in found.notes[0]
    assert "calls.csv, line 4: rows that repeat a recording are counted once: 1" in found.notes[1]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (ColumnConfig(), r"train_metadata\.csv: missing.*--data\.columns\.table=FILE \(found: calls\.csv\)"),
        (ColumnConfig(table="x.csv"), r"x\.csv: no such file"),
        (ColumnConfig(table="calls.csv"), "no column primary_label; found Art, filename. Name the columns"),
        (
            ColumnConfig(table="calls.csv", primary_label="Art", rating="stars"),
            "data.columns.rating=stars: .* no such column; found Art, filename",
        ),
        (
            ColumnConfig(table="calls.csv", primary_label="Art"),
            r"line 4: 'y\.wav' is of 'b', but of 'a' above; keep one row",
        ),
    ],
)
def test_a_table_that_cannot_be_used_says_why(tmp_path: Path, columns: ColumnConfig, message: str) -> None:
    write_wave(tmp_path / "y.wav")
    (tmp_path / "calls.csv").write_text("Art,filename\na,y.wav\na,x.wav\nb,y.wav\n")
    with pytest.raises(ValueError, match=message):
        read_competition(tmp_path, columns=columns)


def test_a_blank_label_has_its_place_and_codes_like_nan_are_labels(tmp_path: Path) -> None:
    file = tmp_path / "train_metadata.csv"
    codes = ["NA", "nan", "None", "null", "001", "1e5", "true"]
    pd.DataFrame({"primary_label": codes, "filename": "1.ogg"}).to_csv(file, index=False)
    assert read_competition(tmp_path).species == tuple(sorted(codes))
    with file.open("a") as table:
        table.write(",2.ogg\n")
    with pytest.raises(ValueError, match=r"train_metadata\.csv, line 9: column primary_label is blank"):
        read_competition(tmp_path)


def test_a_folder_with_nothing_that_a_year_has_is_a_labs(tmp_path: Path) -> None:
    (tmp_path / "train_metadata.csv").touch()
    assert recognise(tmp_path).year is None
    (tmp_path / "sample_submission.csv").write_text("row_id,target\n")
    assert recognise(tmp_path).year is None
