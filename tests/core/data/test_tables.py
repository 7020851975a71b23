"""Tables that people bring: text stays text, faults have a place."""

from pathlib import Path

import pandas as pd
import pytest

from core.data.tables import FIRST_LINE, numbers, read_table

CODES = ["22961", "1139490", "47158son15", "1e5", "001", "nan", "NA", "null", "None", "true", ""]


def test_codes_stay_as_they_are_written(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    pd.DataFrame({"code": CODES, "n": range(len(CODES))}).to_csv(file, index=False)
    assert read_table("", file)["code"].tolist() == CODES


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", "code,note\r\n001,a b\r\n"),
        ("t.csv", '\ufeffcode, note\n\n"001","a b"\n'),
        ("t.csv", "code;note\n001;a b\n"),
        ("t.csv", "code,note\n001,a b,,\n"),
        ("t.txt", "code\tnote\n001\ta b\n"),
    ],
)
def test_separators_and_line_ends_of_every_program(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, newline="")
    table = read_table("", tmp_path / name, ["code"])
    assert table.to_dict("list") == {"code": ["001"], "note": ["a b"]}


def test_a_tab_separated_table_is_never_quoted(tmp_path: Path) -> None:
    (tmp_path / "raven.txt").write_text('label\tx\n"grekis\t1\n')
    assert read_table("", tmp_path / "raven.txt")["label"].tolist() == ['"grekis']


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,author\n1,Jos\xe9\n".encode("cp1252"), r"line 2, column author: byte 0xe9 .* save .* as UTF-8"),
        (b'a,b\n1,2\n3,"4\n5,6\n', "line 3, column b: a quote"),
        (b'a,b\n"x "y" z",2\n', "line 2, column a: a quote"),
        (b'a,b\n"two\nlines",2\n1\n', "line 4: 1 cells for 2 columns; is the file whole"),
        (b"a,b\n1,2\n3,4,5\n", "line 3: 3 cells for 2 columns; quote text with ','"),
        (b"a,b,a\n1,2,3\n", "line 1: column a is there more than once"),
        (b"", "empty"),
        (b"b,c\n1,2\n", "no column a; found b, c"),
    ],
)
def test_a_fault_has_file_line_and_column(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ValueError, match=rf"^truth=.*t\.csv.*{message}"):
        read_table("truth", tmp_path / "t.csv", ["a"])


def test_a_missing_file_and_one_that_is_no_parquet_are_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"truth=.*x\.csv: no such file"):
        read_table("truth", tmp_path / "x.csv")
    (tmp_path / "x.parquet").write_bytes(b"no parquet")
    with pytest.raises(ValueError, match=r"truth=.*x\.parquet: not readable as a table"):
        read_table("truth", tmp_path / "x.parquet")


def test_numbers_are_read_where_asked_and_a_wrong_one_has_its_line(tmp_path: Path) -> None:
    file = tmp_path / "t.csv"
    file.write_text('note,n\n"two\nlines",4.5\n\nx,\ny,4,5\n'.replace("4,5", "'4'"))
    table = read_table("", file)
    assert (table.index + FIRST_LINE).tolist() == [2, 5, 6]
    with pytest.raises(ValueError, match=r"t\.csv, line 6: column n is \"'4'\"; a number is needed"):
        numbers(table, "n", file)
    assert numbers(table[:2], "n", file).fillna(-1).tolist() == [4.5, -1.0]
