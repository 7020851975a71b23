"""Annotations of each tool, as the tool writes them: what is read, where it belongs, what is written."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.data.annotations.__main__ import AnnotationConfig, convert
from core.data.annotations.events import AnnotationOptions, Annotations, make_events, match_names
from core.data.annotations.places import place
from core.data.annotations.readers import read_annotations
from core.data.annotations.windows import label_windows
from core.data.annotations.writers import (
    birdnet_table,
    hoplite_table,
    write_audacity,
    write_raven,
    write_wide,
)
from core.data.labelled_windows import LabelledWindows
from core.data.taxonomy import Taxonomy
from core.files import write_table
from tests.programs import refusal

TAXONOMY = Taxonomy.of(
    ["grekis", "22973", "trsowl", "kaffeä", "001"],
    scientific=["Pitangus sulphuratus", "Leptodactylus fuscus", "Megascops choliba", "Rara avis", ""],
    common=["Great Kiskadee", "Whistling Grass Frog", "Tropical Screech-Owl", "Käuzchen", ""],
)
SITE_A, SITE_B = "site A/20230420_074000", "site B/20230420_074000"
COLUMNS = ["soundscape", "begin", "end", "label", "kind", "confidence", "low_hz", "high_hz"]
Field = Mapping[str, Path]
few = settings(
    max_examples=10,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture(scope="module")
def field(tmp_path_factory: pytest.TempPathFactory) -> Field:
    """Two sites with a file of the same name, and two more; 20 s each."""
    root = tmp_path_factory.mktemp("field")
    names = (f"{SITE_A}.WAV", f"{SITE_B}.WAV", "S4A03895_20190522_230000.wav", "7019_COR_20190401.flac")
    found = {}
    for name in names:
        (root / name).parent.mkdir(exist_ok=True)
        soundfile.write(root / name, np.random.default_rng(0).normal(0, 0.1, 20_000), 1000)
        found[name.rsplit(".", 1)[0]] = root / name
    return found


@pytest.fixture
def table(tmp_path: Path) -> Callable[[str, str], Path]:
    """Return a writer of a table with spaces of two or more for tabs."""

    def write(name: str, text: str) -> Path:
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text.replace("|", "\t"), encoding="utf-8")
        return file

    return write


def read(file: Path, **options: Any) -> pd.DataFrame:
    return read_annotations([file], AnnotationOptions(**options)).events


def spans(events: pd.DataFrame) -> list[tuple[str, float, float, str]]:
    names = ["soundscape", "begin", "end", "label"]
    return list(events[names].itertuples(index=False, name=None))


RAVEN = (
    "Selection|View|Channel|Begin Time (s)|End Time (s)|Low Freq (Hz)|High Freq (Hz)|Begin File|Species\n"
    "1|Waveform 1|1|1.250|3.910|0.0|16000.0|S4A03895_20190522_230000.wav|grekis\n"
    "1|Spectrogram 1|1|1.250|3.910|2100.0|6400.0|S4A03895_20190522_230000.wav|grekis\n"
    "2|Spectrogram 1|1|14.020|14.980|900.0|2200.0|S4A03895_20190522_230000.wav|22973\n"
)


# What each tool writes.


def test_raven_selections_stand_once_with_the_box_of_the_spectrogram(table: Callable[..., Path]) -> None:
    file = table("raven.selections.txt", RAVEN)
    found = read_annotations([file], AnnotationOptions())
    name = "S4A03895_20190522_230000.wav"
    assert spans(found.events) == [(name, 1.25, 3.91, "grekis"), (name, 14.02, 14.98, "22973")]
    assert found.events["low_hz"].tolist() == [2100.0, 900.0]
    assert found.events["line"].tolist() == [3, 4]
    assert found.notes == (f"{file}: 1 row counted once: a selection stands once a view",)


def test_raven_times_count_from_the_first_file_of_a_list(table: Callable[..., Path]) -> None:
    head = "Selection|Begin Time (s)|End Time (s)|Begin Path|Call"
    rows = "1|2.0|3.0|D:\\cards\\a.wav|grekis{}\n2|1205.5|1206.0|D:\\cards\\b.wav|trsowl{}\n"
    offsets = table("list.txt", f"{head}|File Offset (s)\n" + rows.format("|2.0", "|5.5"))
    expected = [("D:/cards/a.wav", 2.0, 3.0, "grekis"), ("D:/cards/b.wav", 5.5, 6.0, "trsowl")]
    assert spans(read(offsets)) == expected
    with pytest.raises(ValueError, match=r"lost\.txt: several files.*save the table with .*File Offset"):
        read(table("lost.txt", f"{head}\n" + rows.format("", "")))


def test_raven_label_column_is_free(table: Callable[..., Path]) -> None:
    text = "Selection|Begin Time (s)|End Time (s)|Ruf\n1|1|2|grekis\n"
    assert read(table("x.Table.1.selections.txt", text))["label"].tolist() == ["grekis"]
    two = table("two.txt", text.replace("Ruf\n", "Ruf|Notiz\n").replace("grekis\n", "grekis|laut\n"))
    with pytest.raises(ValueError, match=r"two\.txt: which column is the label\? --label_column=NAME"):
        read(two)
    assert read(two, label_column="Notiz")["label"].tolist() == ["laut"]
    bare = table("bare.txt", "View|Begin Time (s)|End Time (s)|Ruf\nWaveform 1|1|2|a\nSpectrogram 1|1|2|a\n")
    assert read(bare)["begin"].tolist() == [1.0]


def test_audacity_labels_have_decimal_commas_frequencies_and_points(table: Callable[..., Path]) -> None:
    text = "1,25|3,91|grekis\n\\|2100,0|6400,0\n20.0|20.0|trsowl?\n\\|-1.0|-1.0\n22|23\n"
    events = read(table("site A/x.labels.txt", text))
    assert events["soundscape"].str.endswith("site A/x").all()
    assert events["label"].tolist() == ["grekis", "trsowl?", ""]
    assert events[["begin", "end"]].to_numpy().tolist() == [[1.25, 3.91], [20.0, 20.0], [22.0, 23.0]]
    np.testing.assert_array_equal(events["low_hz"], [2100.0, np.nan, np.nan])
    with pytest.raises(ValueError, match=r"y\.txt, line 2: 'zwei.*expected begin, end, label"):
        read(table("y.txt", "1|2|a\nzwei|3|b\n"))


def test_birdnet_tables_hold_several_files_and_names(field: Field, table: Callable[..., Path]) -> None:
    file = table(
        "all.BirdNET.results.csv",
        "Start (s);End (s);Scientific name;Common name;Confidence;File\n"
        "0,0;3,0;Pitangus sulphuratus;Great Kiskadee;0,9321;site A/20230420_074000.WAV\n"
        "3,0;6,0;;Käuzchen;0,4410;D:\\cards\\site B\\20230420_074000.wav\n",
    )
    found = match_names(read_annotations([file], AnnotationOptions()), TAXONOMY)
    assert found.events["code"].tolist() == ["grekis", "kaffeä"]
    placed, seconds = place(found, field)
    assert placed.events["soundscape"].tolist() == [SITE_A, SITE_B]
    assert seconds == {SITE_A: 20.0, SITE_B: 20.0}
    sure = read_annotations([file], AnnotationOptions(min_confidence=0.5))
    assert sure.events["confidence"].tolist() == [0.9321]
    assert "1 annotation left out: confidence below 0.5" in sure.notes[0]


def test_kaleidoscope_has_windows_paths_and_rows_that_nobody_named(table: Callable[..., Path]) -> None:
    file = table(
        "id.csv",
        "INDIR,FOLDER,IN FILE,OFFSET,DURATION,TOP1MATCH,MANUAL ID*\n"
        "D:\\cards\\,site A,20230420_074000.WAV,2.5,1.5,x,Great Kiskadee\n"
        "D:\\cards\\,site A,20230420_074000.WAV,9,1,y,\n",
    )
    found = read_annotations([file], AnnotationOptions())
    assert spans(found.events) == [("D:/cards/site A/20230420_074000.WAV", 2.5, 4.0, "Great Kiskadee")]
    assert found.notes == (f"{file}: 1 row left out: without a name",)


def test_hoplite_negatives_are_known(field: Field, table: Callable[..., Path]) -> None:
    text = f"filename,window_offset_s,label,label_type\n{SITE_A}.WAV,0.0,grekis,positive\n"
    file = table("windows.csv", f"{text}{SITE_A}.WAV,5.0,grekis,negative\n{SITE_B}.WAV,10.0,trsowl,\n")
    windows, notes = label_windows([file], field, TAXONOMY)
    assert notes == ()
    assert windows.soundscape.tolist() == [SITE_A, SITE_A, SITE_B]
    assert windows.begin.tolist() == [0.0, 5.0, 10.0]
    assert windows.known.sum(axis=0).tolist() == [2, 0, 1, 0, 0]
    assert windows.positive[:, 0].tolist() == [True, False, False]
    assert windows.site.tolist() == ["site A", "site A", "site B"]
    assert set(windows.start_time) == {"2023-04-20T07:40:00"}
    with pytest.raises(ValueError, match="line 2: label_type is 'maybe', which is no positive or negative"):
        read(table("bad.csv", text.replace(",positive", ",maybe")))


def test_rows_of_the_competitions_are_complete_and_counted_once(
    field: Field, table: Callable[..., Path]
) -> None:
    older = table(
        "2021.csv",
        "row_id,site,audio_id,seconds,birds\n"
        "7019_COR_5,COR,7019,5,trsowl grekis\n7019_COR_10,COR,7019,10,nocall\n",
    )
    row = "S4A03895_20190522_230000.ogg,00:00:05,00:00:10,22973;001\n"
    newer = table("2026.csv", f"filename,start,end,primary_label\n{row}{row}")
    windows, notes = label_windows([older, newer], field, TAXONOMY)
    assert windows.soundscape.tolist() == ["7019_COR_20190401"] * 2 + ["S4A03895_20190522_230000"]
    assert windows.begin.tolist() == [0.0, 5.0, 5.0]
    assert windows.known.all()
    assert windows.positive.tolist() == [
        [True, False, True, False, False], [False] * 5, [False, True, False, False, True]
    ]  # fmt: skip
    assert notes == (f"{newer}: 1 row counted once: they stand twice",)
    with pytest.raises(ValueError, match=r"line 2: start is 'soon', which is no time such as 00:00:05"):
        read(table("bad.csv", "filename,start,end,primary_label\nx.ogg,soon,00:00:05,001\n"))


def test_a_table_of_no_known_format_says_what_is_known(table: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"x\.csv: columns when, what are of no known format \(Raven: begin"):
        read(table("x.csv", "when,what\n1,grekis\n"))
    with pytest.raises(ValueError, match=r"line 3: start \(s\) is '1\.234,5', which is no number"):
        read(table("y.csv", 'Start (s),End (s),Common name\n1,2,a\n"1.234,5",3,a\n'))


# Which windows an annotation belongs to.


def labels_of(field: Field, file: Path, **options: Any) -> LabelledWindows:
    return label_windows([file], field, TAXONOMY, AnnotationOptions(**options))[0]


@pytest.mark.parametrize(
    ("begin", "end", "positive", "unknown"),
    [
        (1.0, 2.0, [0], []),
        (4.9, 5.1, [0, 1], []),  # half of it in each
        (4.8, 6.0, [1], [0]),  # 0.2 s is neither
        (4.4, 12.0, [0, 1, 2], []),  # 0.6 s is enough of a long one
        (5.0, 10.0, [1], []),
        (10.0, 10.0, [2], []),  # a point
        (0.0, 20.0, [0, 1, 2, 3], []),
    ],
)
def test_half_of_an_annotation_or_half_a_second_makes_a_window_positive(
    field: Field,
    table: Callable[..., Path],
    begin: float,
    end: float,
    positive: list[int],
    unknown: list[int],
) -> None:
    file = table("S4A03895_20190522_230000.txt", f"{begin}|{end}|grekis\n")
    windows = labels_of(field, file, complete=True)
    assert len(windows) == 4
    assert np.flatnonzero(windows.positive[:, 0]).tolist() == positive
    assert np.flatnonzero(~windows.known[:, 0]).tolist() == unknown
    assert windows.known[:, 1:].all(), "who is not annotated in a complete file is absent"
    alone = labels_of(field, file)
    assert (alone.begin / 5).tolist() == positive, "without `complete` nobody is known to be absent"
    assert alone.known.sum() == len(positive)


def test_share_seconds_and_length_of_windows_are_options(field: Field, table: Callable[..., Path]) -> None:
    file = table("S4A03895_20190522_230000.txt", "4.0|10.0|grekis\n")
    strict = labels_of(field, file, complete=True, share=0.5, seconds=2.0)
    assert strict.positive[:, 0].tolist() == [False, True, False, False]
    assert labels_of(field, file, window_seconds=10.0).end.tolist() == [10.0]


def test_an_empty_label_track_of_a_complete_file_is_negative(
    field: Field, table: Callable[..., Path]
) -> None:
    windows = labels_of(field, table("S4A03895_20190522_230000.txt", ""), complete=True)
    assert windows.known.all()
    assert len(windows) == 4
    assert not windows.positive.any()


def test_names_without_a_species_are_listed_and_make_their_window_unknown(
    field: Field, table: Callable[..., Path]
) -> None:
    file = table(
        "S4A03895_20190522_230000.txt", "1|2|trsowl?\n6|7|GREAT kiskadee\n11|12|rain\n16|17|nocall\n"
    )
    windows, notes = label_windows([file], field, TAXONOMY, AnnotationOptions(complete=True))
    assert windows.begin.tolist() == [5.0, 15.0], "what stands in the others is not known"
    assert (
        "'trsowl?' is no species of the taxonomy (1 annotation); nearest: Tropical Screech-Owl (tr"
        in notes[0]
    )
    assert "'rain' is no species of the taxonomy (1 annotation)" in notes[1]
    options = AnnotationOptions(complete=True, no_species=("rain",))
    windows, notes = label_windows([file], field, TAXONOMY, options)
    assert windows.begin.tolist() == [5.0, 10.0, 15.0]
    assert "1 annotation left out: no species by no_species" in notes[0]


def test_labels_that_contradict_one_another_are_unknown(field: Field, table: Callable[..., Path]) -> None:
    head = f"filename,window_offset_s,label,label_type\n{SITE_A}.WAV,5,trsowl,negative\n"
    text = f"{head}{SITE_A}.WAV,0,grekis,positive\n{SITE_A}.WAV,0,grekis,negative\n"
    windows, notes = label_windows([table("w.csv", text)], field, TAXONOMY)
    assert windows.begin.tolist() == [5.0]
    assert notes == ("1 labels of windows contradict one another and are unknown",)


def test_negatives_that_follow_one_another_fill_a_longer_window(
    field: Field, table: Callable[..., Path]
) -> None:
    rows = "".join(f"{SITE_A}.WAV,{begin},{code},0\n" for code in ("grekis", "001") for begin in (0, 5, 10))
    file = table("w.csv", f"filename,window_offset_s,label,label_type\n{rows}")
    windows = labels_of(field, file, window_seconds=10.0)
    assert windows.begin.tolist() == [0.0], "the second window is known by half only"
    assert windows.known.tolist() == [[True, False, False, False, True]]


# Which file an annotation is about.


def named(name: str, table: Callable[..., Path], file: str = "w.csv") -> Annotations:
    path = table(file, f"filename,window_offset_s,label\n{name},0,grekis\n")
    return read_annotations([path], AnnotationOptions())


def test_two_soundscapes_of_one_name_need_their_folder(field: Field, table: Callable[..., Path]) -> None:
    with pytest.raises(ValueError, match=r"w\.csv: '20230420_074000\.WAV' may be .*site A.* or .*site B"):
        place(named("20230420_074000.WAV", table), field)
    for name in ("site B/20230420_074000.WAV", "D:\\2023\\SITE B\\20230420_074000.wav", f"./{SITE_B}"):
        assert place(named(name, table), field)[0].events["soundscape"].tolist() == [SITE_B]
    own = read_annotations([table("apart/site B/20230420_074000.txt", "1|2|grekis\n")], AnnotationOptions())
    assert place(own, field)[0].events["soundscape"].tolist() == [SITE_B]
    lost = read_annotations([table("apart/20230420_074000.txt", "1|2|grekis\n")], AnnotationOptions())
    with pytest.raises(ValueError, match=r"may be .*site A.* or .*site B"):
        place(lost, field)


def test_a_table_of_all_sites_does_not_label_the_only_site_given(
    field: Field, table: Callable[..., Path]
) -> None:
    only = {"20230420_074000": field[SITE_A]}
    text = "".join(f"site {site}/20230420_074000.WAV,0,grekis\n" for site in "ABC")
    for folder in ("", "D:/cards/"):
        rows = text.replace("site ", f"{folder}site ")
        file = table("w.csv", f"filename,window_offset_s,label\n{rows}")
        windows, notes = label_windows([file], only, TAXONOMY)
        assert len(windows) == 1
        assert len(notes) == 1
        assert "2 annotations left out: no soundscape has this name" in notes[0]
    renamed = table("v.csv", file.read_text().replace("site A", "north"))
    with pytest.raises(ValueError, match=r"both D:/cards/north/2023\S+ and D:/cards/site B/2023\S+ may be"):
        label_windows([renamed], only, TAXONOMY)
    _, notes = label_windows(
        [table("u.csv", renamed.read_text().partition("D:/cards/site B")[0])], only, TAXONOMY
    )
    taken = f"D:/cards/north/20230420_074000.WAV for {field[SITE_A]}"
    assert notes == (f"1 name taken for a file in another folder: {taken}",)


def test_accents_of_a_name_may_be_apart(table: Callable[..., Path]) -> None:
    apart = {"Ho\u0308he/x": Path("field/Ho\u0308he/x.wav"), "Tal/x": Path("field/Tal/x.wav")}
    with pytest.raises(ValueError, match="'x' may be"):
        place(named("x", table), apart)
    _, notes = label_windows(
        [table("w.csv", "Start (s),End (s),File\n1,2,H\u00f6he/x.WAV\n")], apart, TAXONOMY
    )
    assert "begin after the end of the file, or it cannot be read" in notes[1], "found, but not there"


def test_what_cannot_be_placed_is_listed(field: Field, table: Callable[..., Path]) -> None:
    head = "Start (s),End (s),Common name,File\n"
    rows = [
        "1,2,grekis,gone.WAV",
        "4,3,grekis,{0}",
        "25,26,grekis,{0}",
        "18,21,grekis,{0}",
        "-1,1,grekis,{0}",
    ]
    file = table("w.csv", head + "\n".join(rows).format(f"{SITE_A}.WAV"))
    windows, notes = label_windows([file], field, TAXONOMY)
    assert windows.begin.tolist() == [15.0]
    where = f"{file}, line"
    assert notes == (
        f"2 annotations left out: end before begin, or begin before 0: {where} 3 ({SITE_A}.WAV, 2)",
        f"1 annotation left out: no soundscape has this name: {where} 2 (gone.WAV, 1)",
        "1 annotation left out: they begin after the end of the file, or it cannot be read: "
        f"{where} 4 ({SITE_A}.WAV, 1)",
        f"{where} 5 ({SITE_A}.WAV): 1 annotation cut at the end of the file",
    )
    with pytest.raises(ValueError, match=r"no annotation names one of the 4 soundscapes; found 'gone\.WAV'"):
        place(named("gone.WAV", table), field)


# Round trips.

times = st.floats(0, 1e4, allow_subnormal=False)
texts = st.one_of(
    st.sampled_from(["22961", "1e5", "nan", "NA", "true", "001", "47158son15", "a b", 'so "laut"', "a_b"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["C", "Z"]), min_size=1, max_size=8),
).filter(lambda text: text == text.strip() and text.casefold() != "nocall")
boxes = st.one_of(st.just((np.nan, np.nan)), st.tuples(times, times))
rows = st.lists(st.tuples(st.sampled_from([SITE_A, "ä/x", "y z"]), times, times, texts, boxes), max_size=6)


def events_of(drawn: list[Any]) -> pd.DataFrame:
    columns = {
        "soundscape": [row[0] for row in drawn], "begin": [min(row[1:3]) for row in drawn],
        "end": [max(row[1:3]) for row in drawn], "label": [row[3] for row in drawn],
        "low_hz": [row[4][0] for row in drawn], "high_hz": [row[4][1] for row in drawn],
        "confidence": [round(row[1] % 1, 4) for row in drawn],
    }  # fmt: skip
    return make_events(columns).sort_values("soundscape", kind="stable").reset_index(drop=True)


def assert_same(found: pd.DataFrame, expected: pd.DataFrame, columns: list[str]) -> None:
    order = found.sort_values("soundscape", kind="stable").reset_index(drop=True)
    pd.testing.assert_frame_equal(order[columns], expected[columns], check_dtype=False)


@few
@given(drawn=rows)
def test_raven_tables_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]
) -> None:
    folder, events = tmp_path_factory.mktemp("raven"), events_of(drawn)
    write_raven(folder, events, {name: name for name in (*events["soundscape"].unique(), "empty")})
    assert (folder / "empty.selections.txt").is_file()
    assert_same(read(folder), events, COLUMNS)


@few
@given(drawn=rows)
def test_audacity_labels_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]
) -> None:
    folder, events = tmp_path_factory.mktemp("audacity"), events_of(drawn)
    write_audacity(folder, events, (*events["soundscape"].unique(), "empty"))
    found = read(folder)
    found["soundscape"] = found["soundscape"].str.removeprefix(f"{folder.as_posix()}/")
    assert_same(found, events, [name for name in COLUMNS if name != "confidence"])


@few
@given(drawn=rows)
def test_birdnet_results_come_back_as_they_were(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[Any]
) -> None:
    path, events = tmp_path_factory.mktemp("birdnet") / "all.csv", events_of(drawn)
    write_table(birdnet_table(events, {name: name for name in events["soundscape"].unique()}), path)
    assert_same(read(path), events, [name for name in COLUMNS if not name.endswith("hz")])


@few
@given(drawn=st.lists(st.sampled_from([None, True, False]), min_size=20, max_size=20))
@pytest.mark.parametrize("name", ["wide.csv", "wide.parquet", "hoplite.csv"])
def test_windows_come_back_as_they_were(
    field: Field, tmp_path_factory: pytest.TempPathFactory, name: str, drawn: list[bool | None]
) -> None:
    path = tmp_path_factory.mktemp("windows") / name
    states = np.array([[state is not None, state is True] for state in drawn])
    known, positive = states.T.reshape(2, 4, 5)
    windows = LabelledWindows.of_soundscape(
        field[SITE_B],
        SITE_B,
        TAXONOMY.codes,
        5.0,
        positive=positive,
        known=known,
    )
    if name == "hoplite.csv":
        write_table(hoplite_table(windows, {SITE_B: f"{SITE_B}.WAV"}), path)
    else:
        write_wide(path, windows)
    found, _ = label_windows([path], field, TAXONOMY)
    expected = windows.rows(np.flatnonzero(windows.known.any(axis=1)))
    assert found.soundscape.tolist() == expected.soundscape.tolist()
    for array in ("begin", "end", "positive", "known"):
        np.testing.assert_array_equal(getattr(found, array), getattr(expected, array))


def test_birdnet_gets_names_that_lead_back_to_the_code(tmp_path: Path) -> None:
    twins = Taxonomy.of(
        ["a1", "a2", "b"], scientific=["Avis rara", "Avis rara", "Bavis magna"], common=["", "", "Bee"]
    )
    events = make_events({"soundscape": "x", "code": ["a1", "a2", "b"], "label": ["a1", "a2", "Bee"]})
    write_table(birdnet_table(events, {"x": "x.wav"}, twins), tmp_path / "all.csv")
    found = match_names(read_annotations([tmp_path / "all.csv"], AnnotationOptions()), twins)
    assert found.events["label"].tolist() == ["a1", "a2", "Bavis magna_Bee"]
    assert found.events["code"].tolist() == ["a1", "a2", "b"]


@pytest.mark.parametrize(
    ("label", "code"),
    [
        (" GREKIS ", "grekis"), ("Pitangus sulphuratus_Great Kiskadee", "grekis"),
        ("Pitangus sulphuratus, Bem-te-vi", "grekis"), ("Saurophagus sulphuratus_Great Kiskadee", "grekis"),
        ("Pitangus sulphuratus_Käuzchen", ""), ("not_grekis", ""), ("grekis?", ""), ("1", ""), ("1.0", ""),
    ],
)  # fmt: skip
def test_a_label_matches_one_species_or_none(label: str, code: str) -> None:
    found = match_names(Annotations(make_events({"label": [label]})), TAXONOMY)
    assert found.events["code"].tolist() == [code]


def test_a_table_never_leaves_its_folder(tmp_path: Path) -> None:
    events = make_events({"soundscape": ["../../x", "D:/y"], "label": "a"})
    write_audacity(tmp_path / "out", events, events["soundscape"])
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["x.labels.txt", "y.labels.txt"]


# The program.


def test_the_program_converts_and_says_what_it_read(
    field: Field, table: Callable[..., Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = table("raven.selections.txt", RAVEN)
    names = table("taxonomy.csv", "primary_label,common_name\ngrekis,Great Kiskadee\ntrsowl,Owl\n")
    root = str(field["S4A03895_20190522_230000"].parent / "S4A03895_20190522_230000.wav")
    for form, out in (("wide", "w.csv"), ("hoplite", "h.csv"), ("raven", "raven"), ("audacity", "labels")):
        config = AnnotationConfig(
            files=(str(file),), soundscapes=(root,), taxonomy=str(names), complete=True,
            out=str(tmp_path / out), format=form,  # type: ignore[arg-type]
        )  # fmt: skip
        convert(config)
    printed = capsys.readouterr().out
    assert (
        "1 table, 1 of 1 soundscapes\n  no species: 1 positive\n  Great Kiskadee (grekis): 1 pos" in printed
    )
    assert "'22973' is no species of the taxonomy (1 annotation); nearest: none" in printed
    assert "4 windows: 1 with a species, 2 with none of those listened for, 1 unknown; labels: 1 p" in printed
    wide = pd.read_csv(tmp_path / "w.csv")
    assert wide["grekis"].tolist() == [1, 0, 0]
    name = "S4A03895_20190522_230000"
    assert (
        (tmp_path / "labels" / f"{name}.labels.txt").read_text().startswith("1.25\t3.91\tgrekis\n\\\t2100.0")
    )
    assert read(tmp_path / "raven")["soundscape"].tolist() == [f"{name}.wav"] * 2
    assert pd.read_csv(tmp_path / "h.csv")["label_type"].value_counts().to_dict() == {
        "negative": 5, "positive": 1
    }  # fmt: skip


def test_a_mistake_is_one_line(field: Field) -> None:
    said = refusal("core.data.annotations", "gone.csv", "--soundscapes", field[SITE_A])
    assert said == "error: annotations=gone.csv: no such file\n"
