"""Each year's folder: trained two steps, predicted, and its submission found right by `check`, or wrong."""

import dataclasses
import json
import re
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from core.checkpoint import find, read_card
from core.data.layouts import LAYOUTS, SubmissionForm
from core.inference.__main__ import main
from core.inference.check import submission_faults
from core.inference.config import InferenceConfig
from core.inference.run import predict
from core.scoring.decisions import DecisionConfig
from tests.folders import UNRECORDED, YEARS, classes_of, make_year, stem_of_test
from tests.runs import open_trainer, tiny_config, with_data

TABLES = {2021: "test.csv", 2022: "test.csv"}
TRAINED = {2021: 2021, 2022: 2022, 2023: 2021, 2024: 2021, 2025: 2026, 2026: 2026}
"""Year -> year with the same classes, which trains for it: the network learns the same."""


@dataclasses.dataclass(frozen=True)
class Years:
    """A folder a year, a checkpoint of each, and its submission."""

    folders: dict[int, Path]
    checkpoints: dict[int, Path]
    submissions: dict[int, Path]

    def table(self, year: int) -> Path:
        """Return the host's table of rows."""
        return self.folders[year] / TABLES.get(year, "sample_submission.csv")

    def config(self, year: int, out: Path) -> InferenceConfig:
        """Return what predicts a year's test soundscapes."""
        return InferenceConfig(
            checkpoints=(str(self.checkpoints[year]),), out=str(out), device="cpu",
            soundscapes=(str(self.folders[year] / "test_soundscapes"),),
        )  # fmt: skip


def train(root: Path, outputs: Path) -> Path:
    """Train two steps on a folder; return the checkpoint."""
    config = with_data(tiny_config(root, outputs), fold=None, batch_size=16)
    trainer = open_trainer(replace(config, epochs=1), stamp=root.name)
    trainer.fit()
    assert trainer.progress.global_step <= 2
    return find(trainer.record.folder.checkpoints / "last")


def of_year(source: Path, folder: Path, year: int) -> Path:
    """Copy a checkpoint as if another year's folder had trained it."""
    shutil.copytree(source, folder)
    card = json.loads((folder / "checkpoint.json").read_text())
    (folder / "checkpoint.json").write_text(json.dumps(card | {"year": year}))
    return folder


@pytest.fixture(scope="module")
def years(tmp_path_factory: pytest.TempPathFactory) -> Years:
    top = tmp_path_factory.mktemp("years")
    folders = {year: make_year(top / str(year), year) for year in YEARS}
    trained = {year: train(folders[year], top / "outputs") for year in set(TRAINED.values())}
    copied = {year: of_year(trained[TRAINED[year]], top / f"of{year}", year) for year in YEARS}
    checkpoints = copied | trained
    found = Years(folders, checkpoints, {year: top / f"{year}.csv" for year in YEARS})
    for year in YEARS:
        predict(found.config(year, found.submissions[year]))
    return found


def read(path: Path) -> pd.DataFrame:
    return pd.read_csv(path, dtype=str, keep_default_na=False)


@pytest.mark.parametrize("year", YEARS)
def test_each_years_submission_is_right(years: Years, year: int) -> None:
    submission, stem = years.submissions[year], stem_of_test(year)
    assert submission_faults(submission, years.table(year)) == []
    given = read(submission)
    if year == 2021:
        assert given["row_id"].tolist() == ["20152_SSW_5", "20152_SSW_10"]
        assert list(given) == ["row_id", "birds"]
        words = {word for text in given["birds"] for word in text.split(" ")}
        assert words <= {*classes_of(2021), "nocall"}
    elif year == 2022:
        assert list(given) == ["row_id", "target"]
        assert set(given["target"]) == {"True", "False"}
    else:
        assert given["row_id"].tolist() == [f"{stem}_5", f"{stem}_10"]
        assert list(given) == ["row_id", *classes_of(year)]
        values = given.drop(columns="row_id").to_numpy(float)
        assert len(np.unique(values)) > values.size / 2


def test_every_form_reads_the_same_decisions(years: Years, tmp_path: Path) -> None:
    """Birds of 2021, targets of 2022 and probabilities of one model say the same of each window."""
    tables = {}
    forms: tuple[SubmissionForm, ...] = ("birds", "targets", "wide")
    folder = tmp_path / "card"
    shutil.copytree(years.folders[2021] / "test_soundscapes", folder)
    for form in forms:
        out = tmp_path / f"{form}.csv"
        config = replace(years.config(2021, out), soundscapes=(str(folder),), form=form)
        predict(replace(config, post=DecisionConfig(threshold="fixed", fixed=0.5)))
        tables[form] = read(out).set_index("row_id")
    stem, codes = stem_of_test(2021), classes_of(2021)
    for end in (5, 10):
        probability = tables["wide"].loc[f"{stem}_{end}", list(codes)].astype(float)
        heard = [code for code in codes if probability[code] >= 0.5]
        assert tables["birds"].loc[f"20152_SSW_{end}", "birds"] == (" ".join(heard) or "nocall")
        assert heard == [c for c in codes if tables["targets"].loc[f"{stem}_{c}_{end}", "target"] == "True"]


def test_2026_keeps_the_order_of_the_taxonomy_and_classes_without_recordings(years: Years) -> None:
    card = read_card(years.checkpoints[2026])
    assert (card.year, tuple(card.species)) == (2026, classes_of(2026))
    given = read(years.submissions[2026])
    assert list(given)[1] == "22961"
    for code in UNRECORDED:
        assert code not in card.train_counts or card.train_counts[code] == 0
        assert given[code].astype(float).between(0, 1).all()


@pytest.mark.parametrize("year", [2021, 2022, 2026])
@pytest.mark.parametrize("is_missing", [True, False])
def test_a_folder_that_the_host_fills_later(
    years: Years, year: int, is_missing: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = tmp_path / "host"
    root.mkdir()
    shutil.copy(years.folders[year] / "sample_submission.csv", root)
    if not is_missing:
        (root / "test_soundscapes").mkdir()
        (root / "test_soundscapes" / "readme.txt").write_text("filled when the submission is scored")
    out = tmp_path / "submission.csv"
    config = replace(years.config(year, out), soundscapes=(str(root / "test_soundscapes"),))
    predict(config)
    absent = {2021: "nocall", 2022: "False", 2026: "0.0"}[year]
    assert f"each row is {absent}" in capsys.readouterr().out
    assert submission_faults(out, root / "sample_submission.csv") == []
    cells = {"0.0" if cell == "0" else cell for cell in read(out).drop(columns="row_id").to_numpy().ravel()}
    assert cells == {absent}
    (root / "sample_submission.csv").unlink()
    with pytest.raises(ValueError, match=r"test_soundscapes"):
        predict(config)


def test_rows_follow_from_the_files_where_the_sample_names_but_some(years: Years, tmp_path: Path) -> None:
    root, stem = tmp_path / "host", stem_of_test(2026)
    shutil.copytree(years.folders[2026] / "test_soundscapes", root / "test_soundscapes")
    shutil.copy(root / "test_soundscapes" / f"{stem}.ogg", root / "test_soundscapes" / "another.ogg")
    sample = read(years.folders[2026] / "sample_submission.csv")[["row_id", *classes_of(2026)[::-1]]]
    sample.to_csv(root / "sample_submission.csv", index=False)
    out = tmp_path / "submission.csv"
    predict(replace(years.config(2026, out), soundscapes=(str(root / "test_soundscapes"),)))
    given = read(out)
    assert given["row_id"].tolist() == [f"{stem}_5", f"{stem}_10", "another_5", "another_10"]
    assert list(given) == list(sample)
    assert given.iloc[0, 1:].tolist() == given.iloc[2, 1:].tolist()
    folder = (str(root / "test_soundscapes"),)
    assert submission_faults(out, root / "sample_submission.csv", soundscapes=folder) == []
    assert (
        "2 rows unknown, the first is another_10" in submission_faults(out, root / "sample_submission.csv")[0]
    )


def put(column: int, value: str) -> Callable[[pd.DataFrame], pd.DataFrame]:
    """Return what replaces a cell of the second row."""

    def change(table: pd.DataFrame) -> pd.DataFrame:
        table.iloc[1, column] = value
        return table

    return change


@pytest.mark.parametrize(
    ("kind", "change", "fault"),
    [
        ("all", lambda t: t.iloc[1:], ": 1 row missing, the first is"),
        ("all", lambda t: pd.concat([t, t.iloc[:1]]), ": 1 row repeated, the first is"),
        ("all", lambda t: pd.concat([t, t.iloc[:1].assign(row_id="a")]), ": 1 row unknown, the first is a"),
        ("all", lambda t: t.iloc[::-1], ": all rows are there, but not in their order; the first is"),
        ("all", lambda t: t.assign(more="0"), ": 1 column unknown, the first is more"),
        ("all", lambda t: t.iloc[:, :-1], ": 1 column missing, the first is"),
        ("all", lambda t: t[t.columns[::-1]], ": all columns are there, but not in their order"),
        ("all", put(1, ""), ", line 3: "),
        ("wide", put(-1, "nan"), ", line 3: {} 'nan' is not a probability from 0 to 1; 1"),
        ("wide", put(-1, "1.01"), ", line 3: {} '1.01' is not a probability from 0 to 1; 1 are not"),
        ("wide", put(-1, "-0.1"), ", line 3: {} '-0.1' is not a probability from 0 to 1; 1 are not"),
        ("wide", put(-1, "True"), ", line 3: {} 'True' is not a probability from 0 to 1; 1 are not"),
        ("targets", put(1, "0.7"), ", line 3: target '0.7' is not True or False; 1 are not"),
        ("birds", put(1, "001 nocall"), ", line 3: birds '001 nocall' is not codes with a blank"),
        ("birds", put(1, "001 001"), ", line 3: birds '001 001' is not codes with a blank"),
        ("birds", put(1, "001  nan"), ", line 3: birds '001  nan' is not codes with a blank"),
    ],
)  # fmt: skip
def test_each_fault_is_found(
    years: Years, kind: str, change: Callable[[pd.DataFrame], pd.DataFrame], fault: str, tmp_path: Path
) -> None:
    for year in YEARS:
        if kind in ("all", LAYOUTS[year].submission):
            table = change(read(years.submissions[year]))
            table.to_csv(tmp_path / "s.csv", index=False)
            found = submission_faults(tmp_path / "s.csv", years.table(year))[0]
            assert found.startswith(f"{tmp_path / 's.csv'}{fault.format(table.columns[-1])}")


def test_check_says_what_time_the_year_grants(
    years: Years, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def check(*words: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["core.inference", "check", *words])
        with pytest.raises(SystemExit) as stop:
            main()
        shown = capsys.readouterr()
        assert isinstance(stop.value.code, int)
        return stop.value.code, shown.out, shown.err

    sample = str(years.table(2026))
    status, out, _ = check(str(years.submissions[2026]), "--sample", sample)
    assert status == 0
    assert re.fullmatch(
        r".*: right\nTime: \S+ min for 0.0028 h of audio here; BirdCLEF 2026 grants 90 min\n", out
    )
    shutil.copy(years.submissions[2021], tmp_path / "copy.csv")
    status, out, _ = check(str(tmp_path / "copy.csv"), "--test", str(years.table(2021)))
    assert (status, out.splitlines()[1]) == (0, "Time: not known here; BirdCLEF 2021 grants 180 min")
    assert check(str(years.submissions[2025]), "--sample", str(years.table(2023)))[0] == 1
    status, _, error = check(str(years.submissions[2025]))
    assert status == 2
    assert "test or sample: name one of the host's tables" in error


def test_the_forecast_is_beside_the_budget_of_the_year(
    years: Years, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    predict(years.config(2026, tmp_path / "s.csv"))
    shown = capsys.readouterr()
    assert re.search(r"Forecast: 1 file, 0.00 h: \d+ s of the 90 min of BirdCLEF 2026", shown.out + shown.err)


def test_a_table_of_another_form_is_refused_where_it_is_named(years: Years, tmp_path: Path) -> None:
    config = replace(years.config(2026, tmp_path / "s.csv"), test=str(years.table(2022)), form="wide")
    with pytest.raises(
        ValueError, match=r"of the form targets; the submission is of the form wide, see --form"
    ):
        predict(config)
